"""SWIM (DSN 2002): how soon a crash is first detected, what it costs, how fast news spreads.

The core sends more than SWIM does (a gossip round beside the pings); where the paper means SWIM
alone it is turned off.
"""

from __future__ import annotations

from math import e, exp, log

from gossip.sim import work
from gossip.sim.papers.result import Result, chart, percentile, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

PERIOD_NS = SECOND
EXPECTED = e / (e - 1)
SIZES = (8, 16, 32, 64, 128)


def swim_alone(size: int, seed: int) -> Pool:
    """News travels on pings and acks only, lambda is 3."""
    pool = Pool(size, lan(**AS_MEMBERLIST, gossip_nodes=0, retransmit_mult=3), seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    pool.engine.log("suspected", "updated")
    pool.boot_at_once()
    pool.run(20 * PERIOD_NS + pool.random.below(PERIOD_NS))
    return pool


def detection(task: tuple[int, int]) -> float:
    """Periods from a crash to the first ping that fails, as whole ones begun."""
    size, seed = task
    pool = swim_alone(size, seed)
    victim = pool.random.below(size)
    pool.engine.crash(victim)
    began = pool.engine.now
    while True:
        pool.run(100 * MILLISECOND)
        times = [at for at, _, _, about, _ in pool.engine.take_log() if about == victim]
        if times:
            # A suspicion comes one period after its ping.
            return (min(times) - PERIOD_NS - began) // PERIOD_NS + 1


def load_of(size: int) -> float:
    """Datagrams that one member sends in one period of a quiet pool."""
    pool = swim_alone(size, size)
    before = pool.engine.counts()["sent"]
    periods = 100
    pool.run(periods * PERIOD_NS)
    return (pool.engine.counts()["sent"] - before) / periods / size


def infection(task: tuple[int, int]) -> list[float]:
    """When each further member heard of a change, in periods."""
    size, seed = task
    pool = swim_alone(size, seed)
    source = pool.random.below(size)
    began = pool.engine.now
    pool.swims[source].update_meta(b"news", pool.engine.clock(source))
    pool.engine.touch(source)
    pool.run(20 * PERIOD_NS)
    heard = sorted(at - began for at, node, _, _, _ in pool.engine.take_log() if node != source)
    return [at / PERIOD_NS for at in heard]


def run(quick: bool, jobs: int) -> Result:
    result = Result("SWIM: first detection, load, infection")
    kills = 60 if quick else 1000
    sizes = SIZES[1:4] if quick else SIZES
    detections = {}
    for size in sizes:
        found = list(work.each(detection, [(size, seed) for seed in range(1, kills + 1)], jobs))
        detections[size] = sum(found) / len(found)
    rows = []
    for size in sizes:
        load = load_of(size)
        rows.append(
            [size, detections[size], EXPECTED, ratio(detections[size], EXPECTED), load, 2.0,
             ratio(load, 2.0)]
        )  # fmt: skip
        result.demand(1.9 < load < 2.15, f"swim: load {load:.2f} at {size}")
    mean = sum(detections.values()) / len(detections)
    result.demand(0.8 < mean / EXPECTED < 1.25, f"swim: first detection after {mean:.2f} periods")
    header = ["members", "periods to the first detection", "e/(e-1)", "ratio",
              "datagrams a member and period", "published", "ratio"]  # fmt: skip
    result.tables.append(table(header, rows))
    add_infection(result, 64 if quick else 128, 10 if quick else 100, jobs)
    return result


def add_infection(result: Result, size: int, runs: int, jobs: int) -> None:
    """The curve of infection, and the logistic one of a push of two messages a period."""
    times = list(work.each(infection, [(size, seed) for seed in range(1, runs + 1)], jobs))
    flat = sorted(time for each in times for time in each)
    steps = [step / 4 for step in range(41)]
    measured = [(at, (1 + sum(time <= at for time in flat) / runs) / size) for at in steps]
    logistic = [(at, 1 / (1 + (size - 1) * exp(-2 * at))) for at in steps]
    half = log(size - 1) / 2
    median = percentile(flat, 50)
    result.tables.append(
        table(
            ["members", "runs", "periods until half know", "by 1/(1+(n-1)e^-2t)", "ratio"],
            [[size, runs, median, half, ratio(median, half)]],
        )
    )
    result.demand(0.5 < median / half < 2, f"swim: half know after {median:.2f} periods")
    result.pictures["swim-infection"] = chart(
        f"Infection of {size} members", "periods", "part that knows",
        {"measured": measured, "logistic": logistic},
    )  # fmt: skip
