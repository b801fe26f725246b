"""SWIM (DSN 2002): how soon a crash is first detected, what it costs, how fast news spreads.

The core does more than SWIM does; where the paper means SWIM alone, memberlist's gossip rounds and
push/pulls beside the pings are turned off. Two more things differ. Each member probes all others
once in a round whose order it draws, as the paper has it in the end and its formula has not. And a
change rides on at most 3 ceil(log10(N + 1)) messages of each member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, e, exp, log, log10, nan, sqrt
from statistics import fmean, stdev

from gossip.sim import work
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

PERIOD_NS = SECOND
EXPECTED = e / (e - 1)
LOAD = 2.0
LAMBDA = 3
GAMMA = 0.5772156649015329  # Euler's
# How many kills at each size.
FULL_KILLS = {8: 6000, 16: 6000, 32: 4000, 64: 3000, 128: 2000, 256: 1000}
QUICK_KILLS = {16: 300, 32: 300, 64: 300}
BOOT_PERIODS = 10  # each has then told of itself as often as it may
LOAD_PERIODS = 100
SPREAD_PERIODS = 20


def uniform_periods(size: int) -> float:
    """Expected until the first of the others draws the crashed one, each drawing anew."""
    others = size - 1
    return 1 / (1 - (1 - 1 / others) ** others)


def round_robin_periods(size: int) -> float:
    """Expected where each of the others goes through all in an order of its own, then draws the
    next order; all began at once, and the crash comes at any age of the round."""
    others = size - 1
    total = 0.0
    for age in range(others):
        left = others - age
        for period in range(2 * others):
            if period <= left:
                not_yet = 1 - period / others
            else:  # it had its turn before the crash, and another one is due in the next round
                not_yet = age / others * (1 - (period - left) / others)
            total += max(not_yet, 0.0) ** others
    return total / others


def pool_of(size: int, seed: int, *, gossip: bool = False) -> Pool:
    """Members that know each other and have said so, at a moment of their rounds by chance."""
    settings = lan(**AS_MEMBERLIST, retransmit_mult=LAMBDA, push_pull_interval_ns=0)
    if not gossip:
        settings["gossip_nodes"] = 0
    pool = Pool(size, settings, seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    pool.engine.log("suspected", "updated")
    pool.boot_at_once()
    turns = pool.random.below(size - 1)
    pool.run((BOOT_PERIODS + turns) * PERIOD_NS + pool.random.below(PERIOD_NS))
    return pool


def detection(task: tuple[int, int]) -> int:
    """Periods from a crash to the first ping that fails, as whole ones begun."""
    size, seed = task
    pool = pool_of(size, seed)
    victim = pool.random.below(size)
    pool.engine.crash(victim)
    began = pool.engine.now
    while True:
        pool.run(100 * MILLISECOND)
        times = [at for at, _, _, about, _ in pool.engine.take_log() if about == victim]
        if times:
            # A suspicion comes one period after its ping, which the crash may have met on its way.
            return max(1, (min(times) - PERIOD_NS - began) // PERIOD_NS + 1)


def load_of(size: int) -> float:
    """Datagrams that one member sends in one period of a quiet pool."""
    pool = pool_of(size, size)
    before = pool.engine.counts()["sent"]
    pool.run(LOAD_PERIODS * PERIOD_NS)
    return (pool.engine.counts()["sent"] - before) / LOAD_PERIODS / size


@dataclass(frozen=True)
class Infection:
    """When each further member heard of a change, in periods, in order; and how often a member
    passed it on (NaN where gossip rounds carry it too)."""

    heard: tuple[float, ...]
    copies: float


def infection(task: tuple[int, int, bool]) -> Infection:
    size, seed, gossip = task
    pool = pool_of(size, seed, gossip=gossip)
    source = pool.random.below(size)
    began, before = pool.engine.now, pool.engine.counts()
    pool.swims[source].update_meta(b"news", pool.engine.clock(source))
    pool.engine.touch(source)
    pool.run(SPREAD_PERIODS * PERIOD_NS)
    after = pool.engine.counts()
    claims, packets = (after[each] - before[each] for each in ("messages", "delivered"))
    heard = sorted(at - began for at, node, _, _, _ in pool.engine.take_log() if node != source)
    copies = nan if gossip else (claims - packets) / size  # each packet is a ping or an ack
    return Infection(tuple(at / PERIOD_NS for at in heard), copies)


def mean_of(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    return fmean(values), stdev(values) / sqrt(len(values))


def with_error(values: Sequence[float]) -> str:
    """The mean and what it lies within, 95 of 100 times."""
    mean, error = mean_of(values)
    return f"{mean:.3f} ± {1.96 * error:.3f}"


def run(quick: bool, jobs: int) -> Result:
    result = Result("SWIM: first detection, load, infection")
    kills = QUICK_KILLS if quick else FULL_KILLS
    add_detection(result, kills, jobs)
    add_load(result, kills)
    if quick:
        add_infection(result, (64,), 40, jobs)
    else:
        add_infection(result, (64, 128, 256), 200, jobs)
    return result


def add_detection(result: Result, sizes: Mapping[int, int], jobs: int) -> None:
    rows = []
    for size, kills in sizes.items():
        found = list(work.each(detection, [(size, seed) for seed in range(1, kills + 1)], jobs))
        mean, error = mean_of(found)
        expected = round_robin_periods(size)
        first = 100 * found.count(1) / kills
        others = size - 1
        rows.append(
            [size, kills, with_error(found), EXPECTED, ratio(mean, EXPECTED),
             uniform_periods(size), expected, ratio(mean, expected), first,
             100 * (1 - (1 - 1 / others) ** others)]
        )  # fmt: skip
        result.demand(
            abs(mean - expected) < 4 * error,
            f"swim: {size} members: first detection after {mean:.3f} periods, not {expected:.3f}",
        )
    header = ["members", "kills", "periods to the first detection", "e/(e-1)", "ratio",
              "each draws anew", "round robin", "ratio", "in the first period, %",
              "by either order"]  # fmt: skip
    result.tables.append(table(header, rows))


def add_load(result: Result, sizes: Iterable[int]) -> None:
    loads = {size: load_of(size) for size in sizes}
    header = ["members", "datagrams a member and period", "published", "ratio"]
    rows = [[size, load, LOAD, ratio(load, LOAD)] for size, load in loads.items()]
    result.tables.append(table(header, rows))
    for size, load in loads.items():
        result.demand(1.95 < load < 2.05, f"swim: load {load:.2f} at {size}")


def add_infection(result: Result, sizes: Sequence[int], runs: int, jobs: int) -> None:
    """Beside the logistic curve of two messages a period, and the same from a start by chance:
    the first few members are as slow or fast as it happens, which costs gamma / 2 on average, and
    as much again in the end, when a last few are left."""
    rows = []
    for size in sizes:
        for gossip in (False, True):
            tasks = [(size, seed, gossip) for seed in range(1, runs + 1)]
            done = list(work.each(infection, tasks, jobs))
            complete = [each for each in done if len(each.heard) == size - 1]
            half = [each.heard[(size - 1) // 2] for each in done]
            all_know = [each.heard[-1] for each in complete]
            copies = fmean(each.copies for each in done)
            limit = LAMBDA * ceil(log10(size + 1))
            logistic, by_chance = log(size - 1) / 2, (log(size - 1) + GAMMA) / 2
            shown = [logistic, by_chance, ratio(fmean(half), by_chance)]
            rows.append(
                [size, "pings and gossip rounds" if gossip else "pings", runs, with_error(half),
                 *(["-"] * 3 if gossip else shown), with_error(all_know),
                 "-" if gossip else log(size) + GAMMA, f"{len(complete)} of {runs}",
                 "-" if gossip else copies, limit]
            )  # fmt: skip
            if not gossip:
                judge_infection(result, size, fmean(half) / by_chance, copies, limit)
                if size == sizes[-1]:
                    result.pictures["swim-infection"] = picture(size, done)
    header = ["members", "news on", "runs", "periods until half know", "by 1/(1+(n-1)e^-2t)",
              "with a start by chance", "ratio", "until all know", "by ln n + gamma",
              "all knew in", "copies a member", "bound"]  # fmt: skip
    result.tables.append(table(header, rows))


def judge_infection(result: Result, size: int, half: float, copies: float, limit: int) -> None:
    result.demand(0.9 < half < 1.1, f"swim: half of {size} know after {half:.2f} of the time")
    result.demand(copies <= limit, f"swim: {copies:.2f} copies a member, {limit} are allowed")
    result.demand(copies > 0.9 * limit, f"swim: only {copies:.2f} copies a member of {limit}")


def picture(size: int, done: Sequence[Infection]) -> str:
    flat = sorted(time for each in done for time in each.heard)
    steps = [step / 4 for step in range(41)]
    known = [1 + sum(time <= at for time in flat) / len(done) for at in steps]
    logistic = [(at, 1 / (1 + (size - 1) * exp(-2 * at))) for at in steps]
    return chart(
        f"Infection of {size} members", "periods", "part that knows",
        {"measured": [(at, part / size) for at, part in zip(steps, known, strict=True)],
         "logistic": logistic},
    )  # fmt: skip
