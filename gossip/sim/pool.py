"""A pool of cores on an engine: started, joined, crashed, started again. No scenario stands here.

Experiments use it as it is; `gossip.sim.Simulation` gives it a face for users. Times are ns.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gossip import _aead
from gossip._core import Rng, Swim
from gossip._sim import PORT, Engine
from gossip._translate import event_of, member_of
from gossip.config import Config
from gossip.events import Event
from gossip.keyring import Keyring
from gossip.node_config import NodeConfig
from gossip.sim.serf import SimulatedLayer

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# memberlist does not call the lost again, and notices no stall.
AS_MEMBERLIST: Mapping[str, int] = {"heal_interval_ns": 0, "notice_stalls": 0}

# What the core tells its driver and not its user.
INTERNAL = frozenset({"asked", "lost", "pushed"})

Answer = Callable[[str | None, int], None]
"""Called with what came of a request: what went wrong, or None, and the core's value."""


def lan(**changes: int) -> dict[str, int]:
    """The settings of the LAN profile as the core takes them, some of them changed."""
    return {**Config.lan().settings(), "new_names_per_packet": 1024, **changes}


@dataclass(order=True)
class Timer:
    """A call planned in virtual time."""

    at: int
    serial: int
    callback: Callable[[], None] | None = None

    def cancel(self) -> None:
        self.callback = None


class Pool:
    """Cores that share an engine, numbered from 0. Everything random follows from the seed.

    check: at each so many entries of a node the rules are looked at; 0: never.
    keys, label: as every node has them. ipv6: what their addresses are.
    serf: gives each core a Serf layer. on_event: called with what each node's user is told, as it
    is; without it, and without Serf, the events stay in C.
    """

    def __init__(
        self,
        size: int,
        settings: Mapping[str, int],
        seed: int,
        *,
        check: int = 0,
        keys: Sequence[bytes] = (),
        label: str = "",
        ipv6: bool = False,
        serf: NodeConfig | None = None,
        on_event: Callable[[int, Event], None] | None = None,
    ) -> None:
        self.engine = Engine(seed, size)
        self.settings = settings
        self.random = Rng(seed)
        self.swims: list[Swim] = []
        self.layers: dict[int, SimulatedLayer] = {}
        self.addresses: list[bytes] = []
        self._keys = tuple(keys)
        self._label = label.encode()
        self._serf = serf
        self._on_event = on_event
        self._listens = serf is not None or on_event is not None
        self._timers: list[Timer] = []
        self._timers_made = 0
        self._awaited: dict[tuple[int, int], Answer] = {}
        if check:
            self.engine.check(check, settings["gossip_to_the_dead_time_ns"])
        for number in range(size):
            self.engine.add()
            self.engine.watch(number, self._listens)
            self.addresses.append(self.engine.new_address(ipv6))

    def __len__(self) -> int:
        return len(self.addresses)

    # Processes.

    def core(self, number: int, name: bytes, meta: bytes = b"") -> Swim:
        """A fresh core for a node, not started; with a Serf layer the metadata are its tags."""
        seed = self.random.u64()
        ring = Keyring(self._keys)
        layer = None
        if self._serf is not None:
            layer = SimulatedLayer(self, number, name.decode(), self._serf, ring, self.random.u64())
            meta = layer.meta
        swim = Swim(
            self.settings,
            name=name,
            address=self.addresses[number],
            port=PORT,
            meta=meta,
            label=self._label,
            seed=seed,
            identities=self.engine.identities,
            scratch=self.engine.scratch,
        )
        if self._keys:
            _use_keys(swim, ring, Rng(self.random.u64()))
        if layer is not None:
            layer.attach(swim)
            self.layers[number] = layer
        return swim

    def start(self, number: int, meta: bytes = b"", clock: int = 0) -> Swim:
        """Runs a fresh process of a node."""
        return self.run_core(number, self.core(number, b"node-%d" % number, meta), clock)

    def run_core(self, number: int, swim: Swim, clock: int = 0) -> Swim:
        """Runs a core that `core` made."""
        for key in [key for key in self._awaited if key[0] == number]:
            del self._awaited[key]
        self.swims[number : number + 1] = [swim]
        self.engine.start(number, swim, self.addresses[number], clock)
        return swim

    def crash(self, number: int) -> None:
        """The process is gone without a word."""
        self.engine.crash(number)
        if number in self.layers:
            self.layers[number].end()

    # What a node's user asks for. Each gives the number of the request.

    def join(
        self, number: int, target: int, *, replay: bool = False, answer: Answer | None = None
    ) -> int:
        """Lets one node ask another for all it knows. replay: user events of before, too."""
        layer = self.layers.get(number)
        if layer is not None:
            layer.joining(ignore_old=not replay)
        request = self.swims[number].join(
            self.addresses[target], PORT, b"", self.engine.clock(number)
        )

        def joined(error: str | None, value: int) -> None:
            if layer is not None:
                layer.joined(ignore_old=not replay, contacted=int(error is None))
            if answer is not None:
                answer(error, value)

        return self._asked(number, request, joined)

    def leave(self, number: int, answer: Answer | None = None) -> int:
        """Says goodbye; the process runs on until it crashes."""
        now, layer = self.engine.clock(number), self.layers.get(number)
        speaker = self.swims[number] if layer is None else layer.serf
        return self._asked(number, speaker.leave(now), answer, leaving=True)

    def update_meta(self, number: int, meta: bytes, answer: Answer | None = None) -> int:
        request = self.swims[number].update_meta(meta, self.engine.clock(number))
        return self._asked(number, request, answer)

    def ask(
        self, number: int, call: Callable[[Swim, int], int], answer: Answer | None = None
    ) -> int:
        """Any other request of a core, at its own time."""
        request = call(self.swims[number], self.engine.clock(number))
        return self._asked(number, request, answer)

    def _asked(
        self, number: int, request: int, answer: Answer | None, leaving: bool = False
    ) -> int:
        if answer is not None and self._listens:
            self._awaited[number, request] = answer
        self.engine.touch(number, leaving)
        return request

    # All of them.

    def boot(self, duration_ns: int = SECOND) -> None:
        """Starts all, one after the other within that time; all but the first join the first."""
        pause = duration_ns // max(len(self), 1)
        for number in range(len(self)):
            self.start(number)
            if number:
                self.join(number, 0)
            self.run(pause)

    def boot_at_once(self) -> None:
        """Starts all within a second, each knowing all others: for large pools, without checks."""
        for number in range(len(self)):
            self.start(number)
            self.run(SECOND // len(self))  # each has its own moments
        self.engine.introduce_all()

    def choose(self, count: int, among: int | None = None) -> list[int]:
        """So many different nodes, each equally likely, of the first `among` or of all."""
        numbers = list(range(len(self) if among is None else among))
        for at in range(count):
            other = at + self.random.below(len(numbers) - at)
            numbers[at], numbers[other] = numbers[other], numbers[at]
        return numbers[:count]

    # Time.

    def run(self, duration_ns: int) -> None:
        """Lets so much time pass; no more of it when a rule was broken."""
        end = self.engine.now + duration_ns
        if not self._listens:
            self.engine.run(end)
            return
        while self.engine.violation is None:
            self._hear()
            stop = min(end, self._timers[0].at) if self._timers else end
            stopped = not self.engine.run(max(stop, self.engine.now))
            rang = not stopped and self._ring()
            if not (stopped or rang or stop < end or self.engine.waiting()):
                return

    def run_until(self, condition: Callable[[], bool], limit_ns: int, step_ns: int) -> bool:
        """Runs until the condition holds, looked at each `step_ns`; False after the limit."""
        end = self.engine.now + limit_ns
        while not condition():
            if self.engine.now >= end:
                return False
            self.run(min(step_ns, end - self.engine.now))
        return True

    def call_later(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        """Calls back while `run` runs."""
        self._timers_made += 1
        timer = Timer(self.engine.now + max(0, delay_ns), self._timers_made, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def _ring(self) -> bool:
        """Makes the calls that are due."""
        rang = False
        while self._timers and self._timers[0].at <= self.engine.now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                callback()
                rang = True
        return rang

    # What nodes are told.

    def _hear(self) -> None:
        """Takes what the cores told, and what they tell when that is answered."""
        while waiting := self.engine.waiting():
            for number in waiting:
                swim = self.swims[number]
                for told in swim.events():
                    if swim is self.swims[number] and self.engine.is_up(number):
                        self._hand_on(number, told)

    def _hand_on(self, number: int, told: tuple[Any, ...]) -> None:
        layer = self.layers.get(number)
        if told[0] == "done":
            answer = self._awaited.pop((number, told[1]), None)
            if answer is not None:
                answer(told[2], told[3])
        elif layer is not None and layer.take(told):
            return
        elif told[0] not in INTERNAL:
            self.publish(number, event_of(told, member_of if layer is None else layer.member_of))

    def publish(self, number: int, event: Event) -> None:
        """A node's user is told."""
        if self._on_event is not None:
            self._on_event(number, event)


def _use_keys(swim: Swim, ring: Keyring, random: Rng) -> None:
    """Seals and opens with the keys of the ring, whatever becomes of it; nonces are drawn."""
    cipher = _aead.choose("auto").cipher

    def nonces(count: int) -> bytes:
        words = (random.u64().to_bytes(8, "little") for _ in range(-(-count // 8)))
        return b"".join(words)[:count]

    def put() -> None:
        swim.set_keys([cipher(key) for key in ring.keys], nonces)

    ring.listen(put)
    put()
