"""Rapid (ATC 2018): where SWIM is weak. Views during bootstrap, a flip-flopping link, heavy loss.

memberlist's figures there are of real machines; what is repeated is the kind of behaviour: many
different views while a pool forms, and members with bad links that are neither kept nor removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from gossip.sim import work
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

# Unique sizes of the view during bootstrap, and about how long it took, published for memberlist.
PUBLISHED_VIEWS = {1000: 901, 1500: 1383, 2000: 1858}
PUBLISHED_SECONDS = {2000: 95.0}
QUICK_SIZES = (100, 200)
FULL_SIZES = (100, 200, 500, 1000, 1500, 2000)
START_S = 10
LIMIT_S = 300
LOOK_NS = 100 * MILLISECOND
SETTLE_S = 20


def fresh(size: int, seed: int) -> Pool:
    pool = Pool(size, lan(**AS_MEMBERLIST), seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    return pool


@dataclass(frozen=True)
class Bootstrap:
    """How many different sizes of the pool any node held, at a look each 0.1 s and each second,
    and after how many seconds all held all (0: not within the limit)."""

    views: int
    views_by_second: int
    seconds: float


def bootstrap(task: tuple[int, int]) -> Bootstrap:
    """All start within ten seconds and join the first."""
    size, seed = task
    pool = fresh(size, seed)
    engine = pool.engine
    began = engine.now
    pool.start(0)
    started = 1
    sizes: set[int] = set()
    by_second: set[int] = set()
    done = 0.0
    while engine.now - began < LIMIT_S * SECOND and not done:
        due = min(size, 1 + (engine.now - began) * size // (START_S * SECOND))
        for number in range(started, due):
            pool.start(number)
            pool.join(number, 0)
        started = max(started, due)
        pool.run(LOOK_NS)
        held = {sum(engine.counts_of(number)[:2]) for number in range(started)}
        sizes |= held
        if (engine.now - began) % SECOND == 0:
            by_second |= held
        if started == size and held == {size}:
            done = (engine.now - began) / SECOND
    return Bootstrap(len(sizes), len(by_second), done)


@dataclass(frozen=True)
class Trouble:
    """What one member in a hundred has: loss of what comes to it and of what it sends, for good or
    for so many seconds on and as many off."""

    loss_in: float
    loss_out: float = 0.0
    flips_s: int = 0


FLIP_FLOP = Trouble(1.0, flips_s=20)
HEAVY_LOSS = Trouble(0.8, 0.8)


@dataclass(frozen=True)
class Course:
    """By second: the part of the pairs (healthy, troubled) in which the healthy one holds the other
    gone, and how many different sizes of the pool the healthy hold. And how often one of them held
    another gone, or came back on that, about the troubled and about the healthy."""

    gone: tuple[float, ...]
    views: tuple[int, ...]
    removals: int
    returns: int
    healthy_removed: int

    @property
    def turns(self) -> int:
        """How often the opinion of the pool went over one half, either way."""
        return sum((a > 0.5) != (b > 0.5) for a, b in pairwise(self.gone))


def troubled(task: tuple[int, int, Trouble, int]) -> Course:
    """So many seconds of that trouble."""
    size, seed, trouble, length_s = task
    pool = fresh(size, seed)
    engine = pool.engine
    pool.boot_at_once()
    pool.run(SETTLE_S * SECOND)
    bad = set(pool.choose(max(1, size // 100)))
    healthy = [number for number in range(size) if number not in bad]
    engine.log("joined", "failed", "left")
    gone: set[tuple[int, int]] = set()
    parts, views, told = [], [], {"joined": 0, "failed": 0, "healthy": 0}
    for second in range(length_s):
        on = not trouble.flips_s or second // trouble.flips_s % 2 == 0
        for number in bad:
            engine.line(
                number,
                loss_in=trouble.loss_in if on else 0.0,
                loss_out=trouble.loss_out if on else 0.0,
            )
        pool.run(SECOND)
        for _, node, kind, about, _ in engine.take_log():
            if node in bad:
                continue
            if about not in bad:
                told["healthy"] += kind == "failed"
                continue
            told[kind] += 1
            (gone.discard if kind == "joined" else gone.add)((node, about))
        parts.append(len(gone) / (len(healthy) * len(bad)))
        views.append(len({sum(engine.counts_of(number)[:2]) for number in healthy}))
    return Course(tuple(parts), tuple(views), told["failed"], told["joined"], told["healthy"])


def run(quick: bool, jobs: int) -> Result:
    """In a pool of 100 a single member is troubled: the short form has many such pools."""
    result = Result("Rapid: where SWIM is weak")
    add_bootstrap(result, QUICK_SIZES if quick else FULL_SIZES, jobs)
    if quick:
        add_troubles(result, 100, 120, 12, jobs)
    else:
        add_troubles(result, 1000, 400, 1, jobs)
    return result


def add_bootstrap(result: Result, sizes: tuple[int, ...], jobs: int) -> None:
    rows = []
    for size, found in zip(
        sizes, work.each(bootstrap, [(size, 1) for size in sizes], jobs), strict=True
    ):
        published = PUBLISHED_VIEWS.get(size)
        seconds = PUBLISHED_SECONDS.get(size)
        rows.append(
            [size, found.views, found.views_by_second, published or "-",
             ratio(found.views_by_second, published) if published else "-",
             found.seconds, seconds or "-", ratio(found.seconds, seconds) if seconds else "-"]
        )  # fmt: skip
        result.demand(found.views > size / 2, f"rapid: {size} nodes had {found.views} views")
        result.demand(found.seconds > 0, f"rapid: {size} nodes never held each other")
    header = ["nodes", "different views", "at a look each second", "published", "ratio",
              "seconds until all hold all", "published", "ratio"]  # fmt: skip
    result.tables.append(table(header, rows))


def add_troubles(result: Result, size: int, length_s: int, runs: int, jobs: int) -> None:
    troubles = {
        "one-way loss, 20 s on, 20 s off": FLIP_FLOP,
        "80 % loss, both ways": HEAVY_LOSS,
    }
    rows = []
    lines = {}
    for name, trouble in troubles.items():
        tasks = [(size, seed, trouble, length_s) for seed in range(1, runs + 1)]
        done = list(work.each(troubled, tasks, jobs))
        rows.append(
            [name, runs, fmean(each.turns for each in done),
             100 * fmean(max(each.gone) for each in done),
             100 * fmean(each.gone[-1] for each in done), max(max(each.views) for each in done),
             max(each.views[-1] for each in done), sum(each.removals for each in done),
             sum(each.returns for each in done), sum(each.healthy_removed for each in done)]
        )  # fmt: skip
        judge_trouble(result, name, done)
        lines[name.split(",")[0]] = [(at + 1.0, part) for at, part in enumerate(done[0].gone)]
    header = [f"1 % of {size} nodes, {length_s} s", "runs", "opinion changed",
              "most held them gone, %", "in the end, %", "most different views at once",
              "in the end", "removals", "returns", "removals of healthy ones"]  # fmt: skip
    result.tables.append(table(header, rows))
    result.pictures["rapid"] = chart(
        "Part of the pool that holds the troubled members gone", "seconds", "part", lines
    )


def judge_trouble(result: Result, name: str, done: Sequence[Course]) -> None:
    """They are removed in most runs, and not all at once and for good, as Rapid would."""
    removed = sum(max(each.gone) > 0.5 for each in done)
    swings = any(each.returns or max(each.views) > 1 for each in done)
    result.demand(2 * removed >= len(done), f"rapid: {name}: removed in {removed} of {len(done)}")
    result.demand(swings, f"rapid: {name}: removed once, by all, for good")
