"""A run of the engine that others repeat: a program that prints the trace of a seed, and a pool.

As a program: `python -m tests.sim.engine_run SEED`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from gossip._core import Swim
from gossip.sim.pool import Pool as BarePool

from .settings import MILLISECOND, SECOND, lan


class Pool(BarePool):
    """Nodes that know each other, all checks on; each but the first joined the first."""

    def __init__(self, size: int, seed: int, **changes: int) -> None:
        super().__init__(size, lan(**changes), seed, check=1)
        self.engine.delay("uniform", 100_000, 2 * MILLISECOND)
        self.boot()
        # Gossip may miss a node; the push/pulls of the next minutes do not.
        self.wait_until(self.engine.agreed, 200 * SECOND)

    def come_back(self, number: int, address: bytes | None = None) -> Swim:
        """A fresh process for a node, which joins the first of the others."""
        self.addresses[number] = address or self.addresses[number]
        swim = self.start(number)
        self.join(number, 1 if number == 0 else 0)
        return swim

    def run(self, duration_ns: int) -> None:
        super().run(duration_ns)
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
        return self.wait_until(lambda: self.states(about) == wanted, limit_ns)

    def wait_until(self, condition: Callable[[], bool], limit_ns: int) -> int:
        """How long it took; fails after the limit."""
        began = self.engine.now
        assert self.run_until(condition, limit_ns, 10 * MILLISECOND), "not so in time"
        return self.engine.now - began


def a_bad_day(seed: int) -> str:
    """Loss, duplicates, a crash, a restart, a partition, pauses; gives the trace."""
    pool = Pool(12, seed)
    pool.engine.network(loss=0.05, duplicates=0.02, reordered=0.1, reorder_ns=50 * MILLISECOND)
    pool.run(5 * SECOND)
    pool.engine.crash(3)
    pool.run(20 * SECOND)
    pool.come_back(3)
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
