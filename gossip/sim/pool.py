"""A pool of cores on an engine: started, joined, crashed, started again. No scenario stands here.

Experiments use it as it is; `gossip.sim.Simulation` gives it a face for users. Times are ns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossip._core import Rng, Swim
from gossip._sim import PORT, Engine
from gossip.config import Config

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# memberlist does not call the lost again, and notices no stall.
AS_MEMBERLIST: Mapping[str, int] = {"heal_interval_ns": 0, "notice_stalls": 0}


def lan(**changes: int) -> dict[str, int]:
    """The settings of the LAN profile as the core takes them, some of them changed."""
    return {**Config.lan().settings(), "new_names_per_packet": 1024, **changes}


class Pool:
    """Cores that share an engine, numbered from 0. Everything random follows from the seed."""

    def __init__(
        self, size: int, settings: Mapping[str, int], seed: int, *, check: int = 0
    ) -> None:
        self.engine = Engine(seed, size)
        self.settings = settings
        self.random = Rng(seed)
        self.swims: list[Swim] = []
        self.addresses: list[bytes] = []
        if check:
            self.engine.check(check, settings["gossip_to_the_dead_time_ns"])
        for _ in range(size):
            self.engine.add()
            self.addresses.append(self.engine.new_address())

    def __len__(self) -> int:
        return len(self.addresses)

    def core(self, number: int, name: bytes, meta: bytes = b"") -> Swim:
        """A fresh core for a node, not started."""
        return Swim(
            self.settings,
            name=name,
            address=self.addresses[number],
            port=PORT,
            meta=meta,
            seed=self.random.u64(),
            identities=self.engine.identities,
            scratch=self.engine.scratch,
        )

    def start(self, number: int, meta: bytes = b"", clock: int = 0) -> Swim:
        """Runs a fresh process of a node."""
        swim = self.core(number, b"node-%d" % number, meta)
        self.swims[number : number + 1] = [swim]
        self.engine.start(number, swim, self.addresses[number], clock)
        return swim

    def join(self, number: int, target: int) -> int:
        """Lets one node ask another for all it knows; the number of the request."""
        swim = self.swims[number]
        now = self.engine.clock(number)
        request = swim.join(self.addresses[target], PORT, b"", now)
        self.engine.touch(number)
        return request

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

    def run(self, duration_ns: int) -> None:
        self.engine.run(self.engine.now + duration_ns)

    def run_until(self, condition: Callable[[], bool], limit_ns: int, step_ns: int) -> bool:
        """Runs until the condition holds, looked at each `step_ns`; False after the limit."""
        end = self.engine.now + limit_ns
        while not condition():
            if self.engine.now >= end:
                return False
            self.run(min(step_ns, end - self.engine.now))
        return True

    def choose(self, count: int, among: int | None = None) -> list[int]:
        """So many different nodes, each equally likely, of the first `among` or of all."""
        numbers = list(range(len(self) if among is None else among))
        for at in range(count):
            other = at + self.random.below(len(numbers) - at)
            numbers[at], numbers[other] = numbers[other], numbers[at]
        return numbers[:count]
