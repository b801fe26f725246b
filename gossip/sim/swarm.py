"""The random swarm: pools that a seed makes, to which happens what the seed draws, all checks on.

A safety run has faults throughout. In a liveness run they stop, and then all that live must agree
within a bound. Either way no rule of `gossip/sim/checks.pxi` may break at any entry of any node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossip.config import Config
from gossip.errors import GossipError
from gossip.sim import faults
from gossip.sim.pool import MILLISECOND, SECOND, Pool, lan

# Gossip and push/pulls, and calling those that were lost, each at its own pace.
AGREEMENT_NS = 900 * SECOND
RETRY_JOIN_NS = 15 * SECOND
VERDICTS = ("joined", "updated", "suspected", "confirmed", "refuted", "failed", "left", "conflict")


class Violation(GossipError):
    """A rule was broken, or agreement never came; it says how to repeat the run."""


@dataclass
class Report:
    """What one run did, and what it saw."""

    seed: int
    nodes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    agreed_after: float | None = None
    trace: str = ""


def replay(seed: int, seconds: int) -> str:
    return f"python -m gossip.sim swarm --first {seed} --seeds 1 --seconds {seconds}"


def fail_if_broken(pool: Pool, seed: int, seconds: int) -> None:
    broken = pool.engine.violation
    if broken is None:
        return
    what, at, node, about, before, now = broken
    raise Violation(
        f"seed {seed}: {what}: node {node} about node {about}, {before} -> {now}, at "
        f"{at} ns; again with: {replay(seed, seconds)}"
    )


def drawn_settings(pool_seed: Pool) -> dict[str, int]:
    """One of the profiles, sometimes with parts of it changed."""
    random = pool_seed.random
    settings = lan() if random.below(3) else lan(**Config.local().settings())
    settings["heal_interval_ns"] = (10 + random.below(30)) * SECOND
    if random.below(3) == 0:
        settings["dead_node_reclaim_time_ns"] = (1 + random.below(30)) * SECOND
    if random.below(4) == 0:
        settings["enable_compression"] = 0
    if random.below(4) == 0:
        settings["disable_tcp_pings"] = 1
    return settings


def run(seed: int, seconds: int = 300) -> Report:
    """One run; raises `Violation`."""
    draws = Pool(0, lan(), seed)
    size = 3 + draws.random.below(8) if draws.random.below(3) else 3 + draws.random.below(62)
    pool = Pool(size, drawn_settings(draws), seed, check=1)
    report = Report(seed, size)
    faults.end_all(draws)
    pool.engine.delay("uniform", 100_000, 2 * MILLISECOND)
    pool.boot()
    live = seed % 2 == 0
    end = pool.engine.now + seconds * SECOND * (3 if live else 5) // 5
    names = list(faults.FAULTS)
    while pool.engine.now < end and pool.engine.violation is None:
        pool.run(faults.between(pool, 50, 20_000))
        name = names[pool.random.below(len(names))]
        if pool.engine.now < end and pool.engine.violation is None:
            faults.FAULTS[name](pool)
            report.faults[name] += 1
    fail_if_broken(pool, seed, seconds)
    if live:
        settle(pool, report, seconds)
    counts = pool.engine.counts()
    report.verdicts.update({name: counts[name] for name in VERDICTS})
    report.trace = pool.engine.trace
    return report


def settle(pool: Pool, report: Report, seconds: int) -> None:
    """The faults end; agreement has to come, and to last for the rest of the run."""
    began = pool.engine.now
    faults.end_all(pool)
    agreed = False
    while not agreed and pool.engine.now - began < AGREEMENT_NS:
        faults.join_the_lonely(pool)
        agreed = pool.run_until(pool.engine.agreed, RETRY_JOIN_NS, SECOND)
        fail_if_broken(pool, report.seed, seconds)
    if not agreed:
        views = {number: pool.engine.counts_of(number) for number in range(len(pool))}
        raise Violation(
            f"seed {report.seed}: no agreement {AGREEMENT_NS // SECOND} s after the last fault: "
            f"{views}; again with: {replay(report.seed, seconds)}"
        )
    report.agreed_after = (pool.engine.now - began) / SECOND
    pool.run(max(0, began + seconds * SECOND * 2 // 5 - pool.engine.now))
    fail_if_broken(pool, report.seed, seconds)


def summary(reports: Iterable[Report]) -> str:
    """Which faults and verdicts the runs covered."""
    all_faults: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    slowest, runs = 0.0, 0
    for report in reports:
        runs += 1
        all_faults.update(report.faults)
        verdicts.update(report.verdicts)
        slowest = max(slowest, report.agreed_after or 0.0)
    return "\n".join(
        [
            f"{runs} runs, no violation; the slowest agreement took {slowest:g} s",
            "faults: " + ", ".join(f"{name} {all_faults[name]}" for name in faults.FAULTS),
            "verdicts: " + ", ".join(f"{name} {verdicts[name]}" for name in VERDICTS),
        ]
    )
