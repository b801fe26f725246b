"""The clock and the network of a simulated cluster: delay, loss, duplicates, partitions, resets.

One heap of things to do, ordered by time and then by when they were planned; one source of random
numbers. Knows nothing of membership: it carries bytes between hosts.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from .settings import EPOCH, MICROSECOND, MILLISECOND

Address = tuple[bytes, int]


@dataclass
class Faults:
    """What goes wrong on the way; probabilities per datagram, or per write of a stream."""

    delay_min_ns: int = 100 * MICROSECOND
    delay_max_ns: int = 2 * MILLISECOND
    loss: float = 0.0
    duplicates: float = 0.0
    replays: float = 0.0  # a copy of an old datagram comes again, up to a minute later
    resets: float = 0.0  # of a stream


class Host(Protocol):
    """What the network needs of a node; `number` is the node's own name for a stream."""

    @property
    def address(self) -> Address: ...
    @property
    def up(self) -> bool: ...
    def deliver(self, data: bytes, source: Address) -> None: ...
    def accept(self, source: Address) -> int: ...
    def opened(self, number: int) -> None: ...
    def received(self, number: int, data: bytes) -> None: ...
    def ended(self, number: int) -> None: ...
    def failed(self, number: int, text: str) -> None: ...


@dataclass
class End:
    """One end of a stream: its host, the host's number for it, when its last bytes arrive."""

    host: Host
    number: int
    open: bool = True
    arrival_ns: int = 0
    peer: End | None = None


@dataclass
class Network:
    """Carries datagrams and streams between hosts, in virtual time."""

    seed: int
    faults: Faults = field(default_factory=Faults)
    now: int = EPOCH
    hosts: dict[Address, Host] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.trace = hashlib.blake2b(digest_size=16)
        self.datagrams = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._blocked: set[tuple[Address, Address, str]] = set()
        self._ends: dict[tuple[int, int], End] = {}

    # Time.

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._heap, (self.now + max(0, delay_ns), self._planned, action))

    def step(self, end_ns: int) -> bool:
        """Do the next thing that is due by `end_ns`; false when there is none."""
        if not self._heap or self._heap[0][0] > end_ns:
            self.now = max(self.now, end_ns)
            return False
        at, _, action = heapq.heappop(self._heap)
        assert at >= self.now, "time went backwards"
        self.now = at
        action()
        return True

    def delay(self) -> int:
        return self.random.randint(self.faults.delay_min_ns, self.faults.delay_max_ns)

    def happens(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    # Who hears whom.

    def block(self, sources: Iterable[Host], targets: Iterable[Host], *, only: str = "") -> None:
        """Nothing passes from sources to targets any more; `only` is `udp` or `tcp`."""
        sides = [(source.address, target.address) for source in sources for target in targets]
        for kind in (only,) if only else ("udp", "tcp"):
            self._blocked |= {(source, target, kind) for source, target in sides}

    def partition(self, *groups: Iterable[Host]) -> None:
        """Groups hear only themselves."""
        listed = [list(group) for group in groups]
        for one in listed:
            for other in listed:
                if one is not other:
                    self.block(one, other)

    def heal(self) -> None:
        self._blocked.clear()

    def passes(self, source: Address, target: Address, kind: str) -> bool:
        return (source, target, kind) not in self._blocked

    # Datagrams.

    def send(self, source: Host, data: bytes, target: Address) -> None:
        self.datagrams += 1
        self.trace.update(b"%d|%r|%r|" % (self.now, source.address, target) + data)
        if not self.passes(source.address, target, "udp") or self.happens(self.faults.loss):
            return
        self.later(self.delay(), lambda: self._arrive(data, source.address, target))
        if self.happens(self.faults.duplicates):
            self.later(self.delay(), lambda: self._arrive(data, source.address, target))
        if self.happens(self.faults.replays):
            old = self.random.randint(0, 60_000) * MILLISECOND
            self.later(old, lambda: self._arrive(data, source.address, target))

    def _arrive(self, data: bytes, source: Address, target: Address) -> None:
        host = self.hosts.get(target)
        if host is not None and host.up:
            host.deliver(data, source)

    # Streams.

    def dial(self, dialler: Host, number: int, target: Address) -> None:
        """Plan the connection; where it is blocked nothing ever comes back."""
        end = End(dialler, number)
        self._ends[id(dialler), number] = end
        if self._both_ways(dialler.address, target):
            self.later(self.delay(), lambda: self._connect(end, target))

    def _both_ways(self, one: Address, other: Address) -> bool:
        return self.passes(one, other, "tcp") and self.passes(other, one, "tcp")

    def _connect(self, end: End, target: Address) -> None:
        host = self.hosts.get(target)
        if not (end.open and end.host.up):
            return
        if host is None or not host.up:
            self._fail(end, "connection refused")
            return
        number = host.accept((end.host.address[0], 40_000))
        if number < 0:
            self.later(self.delay(), lambda: self._end(end))
        else:
            end.peer = self._ends[id(host), number] = End(host, number, peer=end)
        end.host.opened(end.number)

    def write(self, host: Host, number: int, data: bytes) -> None:
        """Bytes towards the other end, cut into pieces as TCP may."""
        near = self._ends[id(host), number]
        far = near.peer
        assert near.open, "written to a closed stream"
        if far is None or not self._both_ways(near.host.address, far.host.address):
            return
        if self.happens(self.faults.resets):
            self.later(self.delay(), lambda: self._fail(near, "connection reset"))
            self.later(self.delay(), lambda: self._fail(far, "connection reset"))
            return
        while data:
            size = self.random.randint(1, len(data))
            self._in_order(far, partial(self._receive, far, data[:size]))
            data = data[size:]

    def close(self, host: Host, number: int) -> None:
        near = self._ends.pop((id(host), number))
        near.open = False
        far = near.peer
        if far is not None and self._both_ways(near.host.address, far.host.address):
            self._in_order(far, lambda: self._end(far))

    def drop_streams(self, host: Host) -> None:
        """A host died: the other ends learn it as a reset."""
        for key in [key for key in self._ends if key[0] == id(host)]:
            end = self._ends.pop(key)
            end.open = False
            if end.peer is not None:
                self.later(self.delay(), partial(self._fail, end.peer, "connection reset"))

    def _in_order(self, far: End, action: Callable[[], None]) -> None:
        far.arrival_ns = max(far.arrival_ns, self.now + self.delay())
        self.later(far.arrival_ns - self.now, action)

    def _receive(self, end: End, data: bytes) -> None:
        if end.open and end.host.up:
            end.host.received(end.number, data)

    def _end(self, end: End) -> None:
        if end.open and end.host.up:
            end.host.ended(end.number)

    def _fail(self, end: End, text: str) -> None:
        if end.open and end.host.up:
            end.host.failed(end.number, text)
