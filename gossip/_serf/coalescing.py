"""Coalescing: a burst of events becomes one of each kind (Serf §17).

The first event that waits starts a period, each event starts a quiet time anew; whichever is over
first flushes. The clock is an argument, in seconds. What waits is bounded: a flood of different
names is passed on early.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from gossip._serf import bounds

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class MemberEvent(Generic[E]):
    """An event about a member; `kind` as in "member_join", `event` what is delivered."""

    kind: str
    name: str
    event: E


@dataclass(frozen=True, slots=True)
class NamedEvent(Generic[E]):
    """A user event; `coalesce` says that it may be merged with others of its name."""

    name: str
    ltime: int
    coalesce: bool
    event: E


class _Quantum:
    """When what waits is due: after the period, or after the quiet time, whichever is earlier."""

    __slots__ = ("_period", "_period_end", "_quiescence", "_quiet_end")

    def __init__(self, period: float, quiescence: float) -> None:
        self._period = period
        self._quiescence = quiescence
        self._period_end: float | None = None
        self._quiet_end = 0.0

    def touch(self, now: float) -> None:
        if self._period_end is None:
            self._period_end = now + self._period
        self._quiet_end = now + self._quiescence

    @property
    def deadline(self) -> float | None:
        return None if self._period_end is None else min(self._period_end, self._quiet_end)

    def end(self) -> None:
        self._period_end = None


class MemberCoalescer(Generic[E]):
    """Keeps the newest event of each member, and leaves out what was delivered last already.

    At the flush a member whose last delivered event was of the same kind is skipped, except for
    updates.
    """

    def __init__(self, period: float, quiescence: float) -> None:
        self._quantum = _Quantum(period, quiescence)
        self._waiting: OrderedDict[str, MemberEvent[E]] = OrderedDict()
        self._delivered: OrderedDict[str, str] = OrderedDict()

    @property
    def deadline(self) -> float | None:
        """When `flush` is due; None while nothing waits."""
        return self._quantum.deadline

    def add(self, event: MemberEvent[E], now: float) -> list[E]:
        """Takes an event in; gives what must be delivered at once, which is nearly always none."""
        self._quantum.touch(now)
        self._waiting[event.name] = event
        return self._flush_now() if len(self._waiting) >= bounds.COALESCED_MAX else []

    def flush(self, now: float) -> list[E]:
        """What is due by now, grouped by kind; empty when it is not yet."""
        deadline = self.deadline
        return [] if deadline is None or now < deadline else self._flush_now()

    def _flush_now(self) -> list[E]:
        self._quantum.end()
        by_kind: dict[str, list[E]] = {}
        for event in self._waiting.values():
            if event.kind != "member_update" and self._delivered.get(event.name) == event.kind:
                continue
            self._delivered[event.name] = event.kind
            self._delivered.move_to_end(event.name)
            by_kind.setdefault(event.kind, []).append(event.event)
        self._waiting.clear()
        while len(self._delivered) > bounds.DELIVERED_MAX:
            self._delivered.popitem(last=False)
        return [event for events in by_kind.values() for event in events]


class UserCoalescer(Generic[E]):
    """Keeps, of events of one name that may be merged, those of the highest Lamport time."""

    def __init__(self, period: float, quiescence: float) -> None:
        self._quantum = _Quantum(period, quiescence)
        self._waiting: OrderedDict[str, list[NamedEvent[E]]] = OrderedDict()
        self._count = 0

    @property
    def deadline(self) -> float | None:
        """When `flush` is due; None while nothing waits."""
        return self._quantum.deadline

    def add(self, event: NamedEvent[E], now: float) -> list[E]:
        """Takes an event in; gives what must be delivered at once: one that may not be merged."""
        if not event.coalesce:
            return [event.event]
        self._quantum.touch(now)
        waiting = self._waiting.setdefault(event.name, [])
        if waiting and event.ltime > waiting[0].ltime:
            self._count -= len(waiting)
            waiting.clear()
        if not waiting or event.ltime == waiting[0].ltime:
            waiting.append(event)
            self._count += 1
        return self._flush_now() if self._count >= bounds.COALESCED_MAX else []

    def flush(self, now: float) -> list[E]:
        """What is due by now; empty when it is not yet."""
        deadline = self.deadline
        return [] if deadline is None or now < deadline else self._flush_now()

    def _flush_now(self) -> list[E]:
        self._quantum.end()
        events = [each.event for waiting in self._waiting.values() for each in waiting]
        self._waiting.clear()
        self._count = 0
        return events
