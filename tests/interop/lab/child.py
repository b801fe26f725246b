"""A child process that speaks JSON lines: commands in, replies and events out, its log on stderr.

It knows no protocol. What a node can be asked stands in `lab.node`.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.interop.lab.process import Process

_REPLY_WITHIN = 60.0
_EVENTS_SHOWN = 60


class Refused(Exception):
    """The child answered a command with an error; the text is the child's."""


@dataclass(frozen=True)
class Event:
    """Something a child reported. `at`: when it was read here, in monotonic seconds."""

    kind: str
    at: float
    fields: dict[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def matches(self, kind: str, fields: dict[str, Any]) -> bool:
        return self.kind == kind and all(self.fields.get(k) == v for k, v in fields.items())


class Child(Process):
    """`events` holds all that it ever reported; an index into it is a point in time."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.events: list[Event] = []
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)

    async def call(self, do: str, **arguments: Any) -> Any:
        """Carry out a command and return its value; raises Refused with the child's own words."""
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self.write(json.dumps({"id": number, "do": do, **arguments}).encode())
        try:
            async with asyncio.timeout(_REPLY_WITHIN):
                return await reply
        except TimeoutError:
            raise AssertionError(f"{self.name} did not answer {do} {arguments}") from None
        finally:
            del self._replies[number]

    async def saw(self, kind: str, within: float, since: int = 0, **fields: Any) -> Event:
        """Wait for the first event of this kind with these fields, from index `since` on."""

        def check() -> Event | None:
            return next((e for e in self.events[since:] if e.matches(kind, fields)), None)

        return await self.until(f"{kind} {fields}", within, check)

    async def saw_often(self, kind: str, times: int, within: float, **fields: Any) -> None:
        """Wait until such an event was reported so many times since the start."""

        def check() -> bool | None:
            return self.count(kind, **fields) >= times or None

        await self.until(f"{kind} {fields} {times} times", within, check)

    def count(self, *kinds: str, since: int = 0, **fields: Any) -> int:
        """How many events of these kinds, with these fields, were reported."""
        events = self.events[since:]
        return sum(event.matches(kind, fields) for event in events for kind in kinds)

    def heard(self, line: bytes) -> None:
        fields: dict[str, Any] = json.loads(line)
        if "reply" in fields:
            self._settle(fields)
        else:
            self.take(Event(fields.pop("event"), time.monotonic(), fields))

    def take(self, event: Event) -> None:
        """Record an event; a subclass may look at it too."""
        self.events.append(event)

    def fell_silent(self) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(AssertionError(f"{self.name} ended before it answered"))

    def report(self) -> str:
        events = [event for event in self.events if event.kind != "pinged"][-_EVENTS_SHOWN:]
        lines = [
            f"{event.at:.3f} {event.kind} {json.dumps(event.fields)[:200]}" for event in events
        ]
        return "\n".join([f"--- events of {self.name}", *lines, super().report()])

    def _settle(self, fields: dict[str, Any]) -> None:
        reply = self._replies.get(fields["reply"])
        if reply is None or reply.done():
            return
        if "error" in fields:
            reply.set_exception(Refused(fields["error"]))
        else:
            reply.set_result(fields["value"])
