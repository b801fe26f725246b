"""The random swarm: pools that a seed makes, to which happens what the seed draws, all checks on.

A safety run has faults throughout. In a liveness run they stop, and then all that live must agree
within a bound. Either way no rule of `gossip/sim/checks.pxi` and `serf_checks.pxi` may break at any
entry of any node. A quarter of the pools have Serf's layer: what happens to them is also user
events, queries, changes of tags and forced leaves, and to agree is to hold the same tags and
statuses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossip._core import Rng
from gossip.config import Config
from gossip.errors import GossipError
from gossip.events import Event, QueryReceived
from gossip.node_config import NodeConfig
from gossip.sim import faults
from gossip.sim.pool import MILLISECOND, SECOND, Pool, lan

# Gossip and push/pulls, and calling those that were lost, each at its own pace.
AGREEMENT_NS = 900 * SECOND
RETRY_JOIN_NS = 15 * SECOND
# Halves that lost each other find each other before; some that never met, each of processes that
# are new and whose joins broke, do not.
SEED_CALLS_NS = 300 * SECOND
# Settings that a core with Serf's layer has otherwise.
OF_SERF = (
    "delegate_protocol_min",
    "delegate_protocol_max",
    "delegate_protocol_version",
    "report_pings",
)
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
    serf: bool = False
    told: Counter[str] = field(default_factory=Counter)
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


def has_serf(seed: int) -> bool:
    """Of eight seeds two: one of an even number and one of an odd."""
    return seed // 2 % 4 == 3


def drawn_config(draws: Pool) -> NodeConfig:
    """How Serf's layer of a pool behaves. The failed are not reaped: halves that have forgotten
    each other do not find each other again."""
    return NodeConfig(
        tags={"role": "web", "life": "0"},
        heal_interval=10.0 + draws.random.below(30),
        user_event_buffer=(512, 16)[draws.random.below(2)],
        tombstone_timeout=(86400.0, 30.0)[draws.random.below(2)],
        flap_timeout=float(draws.random.below(60)),
        disable_coordinates=draws.random.below(4) > 0,
    )


def drawn_settings(draws: Pool, config: NodeConfig | None) -> dict[str, int]:
    """One of the profiles, sometimes with parts of it changed."""
    random = draws.random
    settings = lan() if random.below(3) else lan(**Config.local().settings())
    settings["heal_interval_ns"] = (10 + random.below(30)) * SECOND
    if random.below(3) == 0:
        settings["dead_node_reclaim_time_ns"] = (1 + random.below(30)) * SECOND
    if random.below(4) == 0:
        settings["enable_compression"] = 0
    if random.below(4) == 0:
        settings["disable_tcp_pings"] = 1
    if config is not None:
        serf = config.settings()
        settings |= {name: serf[name] for name in OF_SERF}
    return settings


class Told:
    """Who hears what the nodes of a pool are told, and answers most queries."""

    def __init__(self, report: Report, seed: int) -> None:
        self._told = report.told
        self._random = Rng(seed)

    def __call__(self, number: int, event: Event) -> None:
        self._told[type(event).__name__] += 1
        if isinstance(event, QueryReceived) and self._random.below(4):
            event.respond(b"node-%d" % number)


def run(seed: int, seconds: int = 300) -> Report:
    """One run; raises `Violation`."""
    draws = Pool(0, lan(), seed)
    size = 3 + draws.random.below(8) if draws.random.below(3) else 3 + draws.random.below(62)
    report = Report(seed, size, serf=has_serf(seed))
    config = drawn_config(draws) if report.serf else None
    pool = Pool(
        size,
        drawn_settings(draws, config),
        seed,
        check=1,
        serf=config,
        on_event=Told(report, seed) if report.serf else None,
    )
    faults.end_all(draws)
    pool.engine.delay("uniform", 100_000, 2 * MILLISECOND)
    pool.boot()
    live = seed % 2 == 0
    end = pool.engine.now + seconds * SECOND * (3 if live else 5) // 5
    kinds = faults.SERF_FAULTS if report.serf else faults.FAULTS
    names = list(kinds)
    while pool.engine.now < end and pool.engine.violation is None:
        pool.run(faults.between(pool, 50, 20_000))
        name = names[pool.random.below(len(names))]
        if pool.engine.now < end and pool.engine.violation is None:
            kinds[name](pool)
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
        if pool.engine.now - began >= SEED_CALLS_NS:
            faults.call_the_seed(pool)
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
    told: Counter[str] = Counter()
    slowest, runs, with_serf = 0.0, 0, 0
    for report in reports:
        runs += 1
        with_serf += report.serf
        all_faults.update(report.faults)
        verdicts.update(report.verdicts)
        told.update(report.told)
        slowest = max(slowest, report.agreed_after or 0.0)
    names = {**faults.FAULTS, **faults.SERF_FAULTS}
    return "\n".join(
        [
            f"{runs} runs, no violation; the slowest agreement took {slowest:g} s",
            "faults: " + ", ".join(f"{name} {all_faults[name]}" for name in names),
            "verdicts: " + ", ".join(f"{name} {verdicts[name]}" for name in VERDICTS),
            f"with Serf's layer: {with_serf} runs ({100 * with_serf // max(runs, 1)} %); told: "
            + ", ".join(f"{name} {told[name]}" for name in sorted(told)),
        ]
    )
