"""`Memberlist` without async: its methods hand over to the twin for asyncio, and wait.

Each node has a private event loop on a thread of its own (`_io/portal.py`), and its packets on
another one that needs no GIL. No protocol and no thread is dealt with here.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import (
    Any,
    ClassVar,
    Generic,
    ParamSpec,
    Self,
    TypeAlias,
    TypeVar,
    Unpack,
    cast,
    overload,
)
from weakref import WeakSet

from gossip import memberlist
from gossip._io import bounds, subscriptions
from gossip._io.apart import ApartDriver, ApartKeyring
from gossip._io.pipe import Pipe
from gossip._io.portal import Portal
from gossip._io.requests import within
from gossip.blocking.twins import documented_by
from gossip.config import AcceptMember, Config, DriverChoice, Tuning
from gossip.errors import ClosedError, ConfigError, StateError, TimeoutExpired
from gossip.events import Event, EventsLost, MembersSnapshot
from gossip.keyring import Keyring
from gossip.members import Address, Member
from gossip.reports import JoinReport, Stats

E = TypeVar("E", bound=Event)
P = ParamSpec("P")
T = TypeVar("T")

_Heard: TypeAlias = tuple[subscriptions.Subscription[E], Pipe[E | MembersSnapshot | EventsLost]]


@documented_by(subscriptions.Subscription)
class Subscription(Generic[E]):
    """The events of a node from the moment `events()` was called; an iterator.

    The first item is a `MembersSnapshot`. What may be merged or lost while it waits, and what is
    said then, is the same as with `gossip.Subscription`.

    A loop over it ends when no event came for `timeout` seconds, and can be entered again; with
    None it waits on. It ends for good when the node, or this, is closed and everything that waited
    was taken: `closed` tells. `get` raises instead. Threads may share one: each event goes to one.
    """

    def __init__(
        self,
        node: Memberlist,
        source: subscriptions.Subscription[E],
        pipe: Pipe[E | MembersSnapshot | EventsLost],
        timeout: float | None,
    ) -> None:
        self._node = node  # it is not forgotten while somebody listens
        self._source = source
        self._pipe = pipe
        self._timeout = timeout

    def __iter__(self) -> Subscription[E]:
        return self

    def __next__(self) -> E | MembersSnapshot | EventsLost:
        event = self._pipe.take(self._timeout)
        if event is None:
            raise StopIteration
        return event

    def get(self, *, timeout: float | None = None) -> E | MembersSnapshot | EventsLost:
        event = self._pipe.take(timeout)
        if event is not None:
            return event
        if self._pipe.over:
            raise StateError("the subscription has ended: it, or its node, was closed")
        raise TimeoutExpired(f"no event came within {timeout} s")

    @property
    def closed(self) -> bool:
        return self._pipe.over

    def close(self) -> None:
        self._pipe.portal.soon(self._source.close)


@documented_by(memberlist.Memberlist)
class Memberlist:
    """A node of a pool that speaks memberlist's wire, for programs without asyncio.

        with gossip.blocking.Memberlist("web-1", seeds=["10.0.0.5"], key_file="/etc/gossip.key",
                                        bind="10.0.0.7:7946") as node:
            for event in node.events(timeout=5):
                ...

    The node lives from the entry of the block to its end, where it leaves the pool and closes,
    also when the block ends by an exception or Ctrl-C. It belongs to the process that started it:
    one made before a fork may be started after it, one that was started raises ForkedError in a
    child. Any thread may call it, several at once, but no signal handler, and nothing that runs on
    an event loop: there `gossip.Memberlist` is what to use. Looking at it is always allowed.

    Every call that waits takes `timeout` in seconds, and raises TimeoutExpired when it is over;
    None leaves it to the protocol's own limits. `accept_member` is asked on a thread of its own.
    """

    _twin: ClassVar[type[memberlist.Memberlist]] = memberlist.Memberlist

    def __init__(
        self,
        name: str | None = None,
        *,
        seeds: Sequence[str] = (),
        key: bytes | str | None = None,
        key_file: str | PurePath | None = None,
        bind: str = "127.0.0.1:7946",
        advertise: str | None = None,
        label: str = "",
        meta: bytes = b"",
        plaintext: bool = False,
        accept_member: AcceptMember | None = None,
        retry_join: float = 5.0,
        **tuning: Unpack[Tuning],
    ) -> None:
        """Checks everything that can be checked without the network; raises ConfigError.

        The arguments are the fields of `Config`. The driver is always "thread".
        """
        tuning["driver"] = on_a_thread(tuning.get("driver"))
        self._setup(
            memberlist.Memberlist(
                name,
                seeds=seeds,
                key=key,
                key_file=key_file,
                bind=bind,
                advertise=advertise,
                label=label,
                meta=meta,
                plaintext=plaintext,
                accept_member=accept_member,
                retry_join=retry_join,
                **tuning,
            )
        )

    @classmethod
    def from_config(cls, config: Config) -> Self:
        node = cls.__new__(cls)
        node._setup(cls._twin.from_config(replace(config, driver="thread")))
        return node

    def _setup(self, node: memberlist.Memberlist) -> None:
        pipes: WeakSet[Pipe[Any]] = WeakSet()
        portal = Portal(node.name, lambda: _end(node, pipes))
        self._node, self._pipes, self._portal = node, pipes, portal
        node._keyring = ApartKeyring(portal, node.keyring)
        node._make_driver = partial(ApartDriver, portal)

    # Life.

    def start(self, *, timeout: float | None = None) -> Self:
        portal, node = self._portal, self._node
        portal.start()
        try:
            portal.wait(timeout, lambda: within(timeout, node.start(), "the start"), "the start")
        except BaseException:
            portal.end(bounds.LOOP_END_SECONDS)
            raise
        forgotten = weakref.finalize(self, portal.end_soon)
        forgotten.atexit = False  # the portal sees to that
        return self

    def close(self, *, timeout: float | None = None) -> None:
        """Stops at once, without leaving: to the others this node fails. Idempotent.

        Raises TimeoutExpired when it takes longer; it is on its way all the same.
        """
        limit = bounds.LOOP_END_SECONDS if timeout is None else timeout
        if not self._portal.end(limit):
            raise TimeoutExpired(f"node {self.name} was not closed within {limit:g} s")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._portal.forked_away:
            return  # the end of the block in a child: the node is its parent's
        node = self._node
        try:
            with contextlib.suppress(ClosedError):  # by another thread, then
                self._portal.wait(None, lambda: node.__aexit__(kind, error, trace), "the leave")
        finally:
            self.close()

    def leave(self, *, timeout: float | None = None) -> None:
        self._wait(self._node.leave, timeout=timeout)

    def join(self, *seeds: str, timeout: float | None = None) -> JoinReport:
        return self._wait(self._node.join, *seeds, timeout=timeout)

    # Looking.

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def config(self) -> Config:
        return self._node.config

    @property
    def keyring(self) -> Keyring:
        return self._node.keyring

    @property
    def address(self) -> Address:
        return self._near.address

    def members(self) -> list[Member]:
        return self._near.members()

    def member(self, name: str) -> Member | None:
        return self._near.member(name)

    @property
    def local_member(self) -> Member:
        return self._near.local_member

    @property
    def health_score(self) -> int:
        return self._near.health_score

    def stats(self) -> Stats:
        return self._portal.here(self._node.stats)

    @overload
    def events(self, *, timeout: float | None = None) -> Subscription[Event]: ...
    @overload
    def events(self, *types: type[E], timeout: float | None = None) -> Subscription[E]: ...
    def events(self, *types: type[Any], timeout: float | None = None) -> Subscription[Any]:
        """Events from this moment on, of the given types or of all; see `Subscription`.

        The first item is a snapshot of the members as they are now: of none when the node is not
        started yet, and all joins follow. The protocol never waits for whoever reads this.

        timeout: a loop over it ends when no event came for so many seconds.
        """
        source, pipe = self._portal.here(self._listen, types)
        return Subscription(self, source, pipe, timeout)

    # Talking.

    def ping(self, name: str, *, timeout: float | None = None) -> float:
        return self._wait(self._node.ping, name, timeout=timeout)

    def send(
        self, name: str, payload: bytes, *, reliable: bool = False, timeout: float | None = None
    ) -> None:
        self._wait(self._node.send, name, payload, reliable=reliable, timeout=timeout)

    def broadcast(self, payload: bytes, *, name: str = "") -> None:
        self._near.broadcast(payload, name=name)

    @property
    def broadcast_limit(self) -> int:
        return self._near.broadcast_limit

    def update_meta(self, meta: bytes, *, timeout: float | None = None) -> None:
        self._wait(self._node.update_meta, meta, timeout=timeout)

    def set_local_state(self, state: bytes) -> None:
        self._near.set_local_state(state)

    def set_ack_payload(self, payload: bytes | None) -> None:
        self._near.set_ack_payload(payload)

    # How.

    @property
    def _near(self) -> memberlist.Memberlist:
        """For what any thread may do at once: the core has a lock."""
        self._portal.check_process()
        return self._node

    def _wait(
        self, call: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        timeout = cast("float | None", kwargs.get("timeout"))
        return self._portal.wait(timeout, lambda: call(*args, **kwargs), f"the {call.__name__}")

    def _listen(self, types: tuple[type[E], ...]) -> _Heard[E]:
        source = self._node.events(*types)
        return source, self._piped(source, "an event")

    def _piped(self, source: AsyncIterator[T], what: str) -> Pipe[T]:
        """On the loop."""
        pipe = Pipe(self._portal, source, what)
        self._pipes.add(pipe)
        return pipe

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def on_a_thread(driver: DriverChoice | None) -> DriverChoice:
    """Nothing else can be chosen."""
    if driver not in (None, "thread"):
        raise ConfigError({"driver": 'gossip.blocking runs on "thread"; leave it out'})
    return "thread"


async def _end(node: memberlist.Memberlist, pipes: WeakSet[Pipe[Any]]) -> None:
    """The last on the loop. Knows no facade, so that one can be forgotten."""
    await node.close()
    for pipe in list(pipes):
        pipe.drain()
