"""A run of the engine that others repeat: a program that prints the trace of a seed, and a pool.

As a program: `python -m tests.sim.engine_run SEED`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from gossip._core import Swim
from gossip._sim import PORT, Engine

from .settings import MILLISECOND, SECOND, lan


class Pool:
    """Nodes on an engine that know each other; each but the first joined the first."""

    def __init__(self, size: int, seed: int, *, check: int = 1, **changes: int) -> None:
        self.settings = lan(**changes)
        self.engine = Engine(seed, size)
        self.engine.check(check, self.settings["gossip_to_the_dead_time_ns"])
        self.engine.delay("uniform", 100_000, 2 * MILLISECOND)
        self.seed = seed
        self.swims: list[Swim] = []
        self.addresses = [self.engine.new_address() for _ in range(size)]
        for number in range(size):
            self.engine.add()
            self.start(number)
            self.run(20 * MILLISECOND)
        # Gossip may miss a node; the push/pulls of the next minutes do not.
        self.run_until(self.engine.agreed, 200 * SECOND)

    def start(self, number: int, address: bytes | None = None) -> Swim:
        """A fresh process for a node, which joins the first of the others."""
        engine = self.engine
        self.addresses[number] = address or self.addresses[number]
        swim = Swim(
            self.settings, name=b"node-%d" % number, address=self.addresses[number], port=PORT,
            seed=self.seed * 1000 + number, identities=engine.identities, scratch=engine.scratch,
        )  # fmt: skip
        self.swims[number : number + 1] = [swim]
        engine.start(number, swim, self.addresses[number])
        seeds = [other for other in range(len(self.swims)) if other != number]
        if seeds:
            swim.join(self.addresses[seeds[0]], PORT, b"", engine.clock(number))
            engine.touch(number)
        return swim

    def run(self, duration_ns: int) -> None:
        self.engine.run(self.engine.now + duration_ns)
        assert self.engine.violation is None, self.engine.violation

    def states(self, about: int) -> set[str]:
        """What the others that are up hold of a node; the empty string: nothing."""
        nothing = ("", 0, 0)
        return {
            self.engine.rows(number).get(about, nothing)[0]
            for number in range(len(self.swims))
            if number != about and self.engine.is_up(number)
        }

    def run_until_states(self, about: int, wanted: set[str], limit_ns: int) -> int:
        """Runs until all hold that of the node; how long it took, in steps of 10 ms."""
        return self.run_until(lambda: self.states(about) == wanted, limit_ns)

    def run_until(self, condition: Callable[[], bool], limit_ns: int) -> int:
        began = self.engine.now
        while not condition():
            assert self.engine.now - began < limit_ns, "not so in time"
            self.run(10 * MILLISECOND)
        return self.engine.now - began


def a_bad_day(seed: int) -> str:
    """Loss, duplicates, a crash, a restart, a partition, pauses; gives the trace."""
    pool = Pool(12, seed)
    pool.engine.network(loss=0.05, duplicates=0.02, reordered=0.1, reorder_ns=50 * MILLISECOND)
    pool.run(5 * SECOND)
    pool.engine.crash(3)
    pool.run(20 * SECOND)
    pool.start(3)
    pool.engine.pause(5, 7 * SECOND, "blocked")
    pool.engine.pause(6, 4 * SECOND)
    for number in range(4):
        pool.engine.side(number, 1)
    pool.engine.cut(0, 1)
    pool.run(20 * SECOND)
    pool.engine.heal()
    pool.run(30 * SECOND)
    return pool.engine.trace


if __name__ == "__main__":
    print(a_bad_day(int(sys.argv[1])))
