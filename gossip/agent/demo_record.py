"""What `gossip demo` has to say, said once: the scenario makes records, a view shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = (
    str | int | float | bool | None | list[str] | dict[str, int] | dict[str, float] | dict[str, str]
)


class Kind(StrEnum):
    """What a record is about; the `event` of its JSON form."""

    BEGAN = "began"
    STEP_BEGAN = "step_began"
    NOTED = "noted"
    STEP_DONE = "step_done"
    STEP_FAILED = "step_failed"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    time: seconds since the demo began. step: the step it belongs to, "" for the whole.
    seconds: how long the step took; of a note, how long after the beginning of its step.
    text: for a reader. facts: the same for a machine.
    """

    kind: Kind
    time: float
    text: str
    step: str = ""
    seconds: float = 0.0
    facts: Mapping[str, Fact] = field(default_factory=dict)


Show = Callable[[Record], None]
