"""SWIM (DSN 2002): how soon a crash is first detected, what it costs, how fast news spreads.

The core does more than SWIM does; where the paper means SWIM alone, memberlist's gossip rounds and
push/pulls beside the pings are turned off. Two more things differ. Each member probes all others
once in a round whose order it draws, as the paper has it in the end and its formula has not. And a
change rides on at most 3 ceil(log10(N + 1)) messages of each member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, e, exp, hypot, log, log10, nan, sqrt
from statistics import fmean, stdev

from gossip._core import Rng
from gossip.sim import work
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

PERIOD_NS = SECOND
EXPECTED = e / (e - 1)
LOAD = 2.0
LAMBDA = 3
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


def plain(task: tuple[int, int, int]) -> list[float]:
    """The same without the core: when each further member hears, where each pings the next of its
    order once a period at a moment of its own, and ping and ack carry the news, each member's first
    so many of them. The paper's curve takes each message for one at any moment; but who hears by
    the ack of its own ping pings again only after a whole period."""
    size, limit, seed = task
    rng = Rng(seed)
    orders = [[j for j in range(size) if j != i] for i in range(size)]
    moments = sorted((rng.u64() / 2**64, i) for i in range(size))
    left = {rng.below(size): limit}
    heard: list[float] = []

    def tell(source: int, target: int, at: float) -> None:
        if left.get(source, 0):
            left[source] -= 1
            if target not in left:
                left[target] = limit
                heard.append(at)

    for period in range(min(size - 1, SPREAD_PERIODS)):
        for moment, i in moments:
            order, other = orders[i], period + rng.below(size - 1 - period)
            order[period], order[other] = order[other], order[period]
            tell(i, order[period], period + moment)
            tell(order[period], i, period + moment)
    return heard


def add_infection(result: Result, sizes: Sequence[int], runs: int, jobs: int) -> None:
    """Beside the logistic curve of two messages a period, and beside the plain model."""
    rows = []
    for size in sizes:
        seeds, limit = range(1, runs + 1), LAMBDA * ceil(log10(size + 1))
        model = list(work.each(plain, [(size, limit, seed) for seed in seeds], jobs))
        for gossip in (False, True):
            done = list(work.each(infection, [(size, seed, gossip) for seed in seeds], jobs))
            heard = [list(each.heard) for each in done]
            copies = fmean(each.copies for each in done)
            name = "pings and gossip rounds" if gossip else "pings"
            others = ["-"] * 3 if gossip else [*spread(size, model)[:2], log(size - 1) / 2]
            half, all_know, complete = spread(size, heard)
            rows.append([size, name, runs, half, *others[::2], all_know, others[1], complete,
                         "-" if gossip else copies, limit])  # fmt: skip
            if not gossip:
                judge_infection(result, size, halves(size, heard), halves(size, model))
                result.demand(
                    0.9 * limit < copies <= limit, f"swim: {copies:.2f} copies of {limit} a member"
                )
                if size == sizes[-1]:
                    result.pictures["swim-infection"] = picture(size, heard, model)
    header = ["members", "news on", "runs", "periods until half know", "plain model",
              "1/(1+(n-1)e^-2t)", "until all know", "plain model", "all knew, % of runs",
              "copies a member", "bound"]  # fmt: skip
    result.tables.append(table(header, rows))


def halves(size: int, runs: Iterable[Sequence[float]]) -> list[float]:
    """When half the members knew, of all runs in which they did."""
    return [heard[size // 2 - 2] for heard in runs if len(heard) > size // 2 - 2]


def spread(size: int, runs: Sequence[Sequence[float]]) -> list[object]:
    """When half knew, when all did, and in what part of the runs."""
    complete = [heard[-1] for heard in runs if len(heard) == size - 1]
    shown = [with_error(halves(size, runs)), with_error(complete)]
    return [*shown, 100 * len(complete) / len(runs)]


def judge_infection(
    result: Result, size: int, found: Sequence[float], model: Sequence[float]
) -> None:
    """The core spreads news as the plain model does."""
    (mean, error), (expected, other) = mean_of(found), mean_of(model)
    result.demand(
        abs(mean - expected) < 4 * hypot(error, other),
        f"swim: half of {size} know after {mean:.3f} periods, by the model {expected:.3f}",
    )


def picture(size: int, found: Sequence[Sequence[float]], model: Sequence[Sequence[float]]) -> str:
    steps = [step / 4 for step in range(41)]

    def known(runs: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        flat = [at for heard in runs for at in heard]
        return [(at, (1 + sum(time <= at for time in flat) / len(runs)) / size) for at in steps]

    logistic = [(at, 1 / (1 + (size - 1) * exp(-2 * at))) for at in steps]
    return chart(
        f"Infection of {size} members", "periods", "part that knows",
        {"measured": known(found), "plain model": known(model), "logistic": logistic},
    )  # fmt: skip
