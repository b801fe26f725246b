"""Who listens to a node's events, and what happens to those who listen slowly.

Publishing never waits and never calls user code. What waits for a consumer is bounded: membership
events by the number of members (the newest of a member takes the place of an older one) and, where
peers make up names or conflicts without end, by count (a snapshot takes the place of all), payloads
by count and bytes (the oldest is dropped and counted).
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from gossip._io import bounds
from gossip.errors import StateError, TimeoutExpired
from gossip.events import (
    Event,
    EventsLost,
    LoopLagged,
    MemberJoined,
    MemberRefuted,
    MembersSnapshot,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
    NameConflict,
    PartitionHealed,
    PingCompleted,
    QueryReceived,
    StateReceived,
    SuspicionConfirmed,
    UserEvent,
)

E = TypeVar("E")

_Droppable = MessageReceived | StateReceived | PingCompleted | UserEvent | QueryReceived


class Subscription(Generic[E]):
    """The events of a node from the moment `events()` was called; an async iterator.

    The first item is a `MembersSnapshot`. Membership events are never lost: while they wait, the
    newest about a member replaces an older one (a join that waits stays a join, with the newest
    state of the member; an update, and the confirmation of each accuser, wait beside it). Of
    messages, user events, queries, states and ping results the oldest are dropped when too many
    wait; then `EventsLost` says how many, and a fresh `MembersSnapshot` follows. Both come whatever
    types were asked for.

    The iteration ends when the node is closed and everything that waited was taken, or by
    `close()`. One task at a time may wait.
    """

    def __init__(
        self, hub: Hub, types: tuple[type[Any], ...], snapshot: MembersSnapshot, limit: int
    ) -> None:
        self._hub = hub
        self._types = types
        self._limit = limit
        self._waiting: OrderedDict[Hashable, Event] = OrderedDict({"snapshot": snapshot})
        self._payloads: deque[tuple[int, int]] = deque()  # (key, bytes), oldest first
        self._payload_bytes = 0
        self._serial = 0
        self._lost = 0
        self._snapshot_due = False
        self._closed = False
        self._reader: asyncio.Future[None] | None = None

    def __aiter__(self) -> Subscription[E]:
        return self

    async def __anext__(self) -> E | MembersSnapshot | EventsLost:
        while True:
            event = self._take()
            if event is not None:
                return event  # type: ignore[return-value]
            if self._closed:
                raise StopAsyncIteration
            await self._wait()

    async def get(self, *, timeout: float | None = None) -> E | MembersSnapshot | EventsLost:
        """The next event; raises TimeoutExpired after `timeout` seconds, StateError at the end."""
        try:
            async with asyncio.timeout(timeout):
                return await anext(self)
        except TimeoutError:
            raise TimeoutExpired(f"no event came within {timeout} s") from None
        except StopAsyncIteration:
            raise StateError("the subscription has ended: it, or its node, was closed") from None

    @property
    def closed(self) -> bool:
        """Whether it has ended: it, or its node, was closed, and all that waited was taken."""
        return self._closed and not self._waiting and not self._lost and not self._snapshot_due

    def close(self) -> None:
        """Ends the subscription; what waits can still be taken. Closing twice is no matter."""
        self._closed = True
        self._hub.remove(self)
        self._wake()

    def wants(self, kind: type[Any]) -> bool:
        return not self._closed and issubclass(kind, self._types)

    def publish(self, event: Event) -> None:
        """Takes an event in, if it is of a type that was asked for. Never waits."""
        if self._closed or not isinstance(event, self._types):
            return
        if isinstance(event, _Droppable):
            self._put_payload(event)
        else:
            self._put_fact(event)
        self._wake()

    def lose(self, count: int) -> None:
        """Events were lost before they came here."""
        self._lost += count
        self._wake()

    def _put_fact(self, event: Event) -> None:
        key = _key(event)
        before = self._waiting.get(key)
        if isinstance(before, MemberJoined) and isinstance(event, MemberSuspected | MemberRefuted):
            self._waiting[key] = replace(before, member=event.member)
            return
        self._waiting[key] = event
        self._waiting.move_to_end(key)
        if len(self._waiting) - len(self._payloads) > bounds.FACTS_MAX:
            self._forget_facts()

    def _forget_facts(self) -> None:
        """A consumer that far behind is better served by the snapshot that follows."""
        kept = {
            key: event
            for key, event in self._waiting.items()
            if key == "snapshot" or isinstance(event, _Droppable)
        }
        self._lost += len(self._waiting) - len(kept)
        self._waiting = OrderedDict(kept)

    def _put_payload(self, event: _Droppable) -> None:
        self._serial += 1
        size = len(event.payload)
        self._waiting[self._serial] = event
        self._payloads.append((self._serial, size))
        self._payload_bytes += size
        while len(self._payloads) > self._limit or (
            self._payload_bytes > bounds.EVENT_BYTES and len(self._payloads) > 1
        ):
            self._forget_payload()
            self._lost += 1

    def _forget_payload(self) -> None:
        key, size = self._payloads.popleft()
        self._waiting.pop(key, None)
        self._payload_bytes -= size

    def _take(self) -> Event | None:
        if self._lost and "snapshot" not in self._waiting:
            lost, self._lost = self._lost, 0
            self._snapshot_due = True
            return EventsLost(lost)
        if self._snapshot_due:
            self._snapshot_due = False
            return self._hub.snapshot()
        if not self._waiting:
            return None
        key, event = self._waiting.popitem(last=False)
        if isinstance(event, _Droppable):
            assert self._payloads[0][0] == key
            self._payload_bytes -= self._payloads.popleft()[1]
        return event

    async def _wait(self) -> None:
        if self._reader is not None:
            raise StateError("another task waits on this subscription; give each task its own")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _key(event: Event) -> Hashable:
    """What an event is about: of two that wait with one key, the newer takes the older's place."""
    if isinstance(event, NameConflict):
        return ("conflict", event.existing.name, event.address)
    if isinstance(event, LoopLagged):
        return "lagged"
    if isinstance(event, PartitionHealed):
        return event
    member = getattr(event, "member", None)
    name = None if member is None else member.name
    if isinstance(event, SuspicionConfirmed):
        return ("confirmed", name, event.by)
    return ("update" if isinstance(event, MemberUpdated) else "life", name)


class Hub:
    """All subscriptions of one node. One that nobody holds any more is forgotten.

    snapshot: gives the members as they are; a driver puts its own in the place of the first.
    """

    def __init__(self, snapshot: Callable[[], MembersSnapshot], limit: int) -> None:
        self.snapshot = snapshot
        self._limit = limit
        self._subscriptions: dict[int, weakref.ref[Subscription[Any]]] = {}

    def subscribe(self, types: tuple[type[Any], ...]) -> Subscription[Any]:
        """A subscription that is active from now on; its snapshot is of this moment."""
        subscription: Subscription[Any] = Subscription(
            self, types or (object,), self.snapshot(), self._limit
        )
        key = id(subscription)
        forget = self._subscriptions.pop

        def forgotten(_: object) -> None:
            forget(key, None)

        self._subscriptions[key] = weakref.ref(subscription, forgotten)
        return subscription

    def wants(self, kind: type[Any]) -> bool:
        """Whether somebody listens to events of this type."""
        return any(subscription.wants(kind) for subscription in self._active())

    def remove(self, subscription: Subscription[Any]) -> None:
        self._subscriptions.pop(id(subscription), None)

    def publish(self, event: Event) -> None:
        for subscription in self._active():
            subscription.publish(event)

    def lose(self, count: int) -> None:
        for subscription in self._active():
            subscription.lose(count)

    def close(self) -> None:
        for subscription in self._active():
            subscription.close()

    def _active(self) -> list[Subscription[Any]]:
        return [each for ref in list(self._subscriptions.values()) if (each := ref()) is not None]
