"""The coalescers of a node, with the timer that flushes them (Serf §17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gossip._serf.coalescing import MemberCoalescer, MemberEvent, NamedEvent, UserCoalescer
from gossip.events import Event, UserEvent
from gossip.node_config import NodeConfig


class Timer(Protocol):
    """A call that was planned."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Whose time passes here: that of an event loop, or a simulated one."""

    def seconds(self) -> float: ...
    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer: ...


class Coalescer:
    """Passes events on to `publish`: at once, or merged, as the config says."""

    def __init__(self, config: NodeConfig, clock: Clock, publish: Callable[[Event], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._members = (
            MemberCoalescer[Event](config.coalesce_period, config.quiescent_period)
            if config.coalesce_period
            else None
        )
        self._users = (
            UserCoalescer[Event](config.user_coalesce_period, config.user_quiescent_period)
            if config.user_coalesce_period
            else None
        )
        self._timer: Timer | None = None

    def member(self, kind: str, name: str, event: Event) -> None:
        if self._members is None:
            self._publish(event)
            return
        self._pass_on(self._members.add(MemberEvent(kind, name, event), self._clock.seconds()))

    def user(self, event: UserEvent) -> None:
        if self._users is None:
            self._publish(event)
            return
        named: NamedEvent[Event] = NamedEvent(event.name, event.ltime, event.coalesce, event)
        self._pass_on(self._users.add(named, self._clock.seconds()))

    def _pass_on(self, events: list[Event]) -> None:
        for event in events:
            self._publish(event)
        self._set_timer()

    def _set_timer(self) -> None:
        """One timer; one that comes too early is set anew."""
        deadlines = [each.deadline for each in (self._members, self._users) if each is not None]
        due = min((each for each in deadlines if each is not None), default=None)
        if due is not None and self._timer is None:
            wait = max(0.0, due - self._clock.seconds())
            self._timer = self._clock.call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for coalescer in (self._members, self._users):
            if coalescer is not None:
                self._pass_on(coalescer.flush(now))
        self._set_timer()

    def close(self) -> None:
        """What waits is lost with the node."""
        if self._timer is not None:
            self._timer.cancel()
