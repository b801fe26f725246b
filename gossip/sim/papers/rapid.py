"""Rapid (ATC 2018): where SWIM is weak. Views during bootstrap, a flip-flopping link, heavy loss.

memberlist's figures there are of real machines; what is repeated is the kind of behaviour: many
different views while a pool forms, and members with bad links that are never removed for good.
"""

from __future__ import annotations

from itertools import pairwise

from gossip.sim.papers.result import Result, chart, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

# Unique sizes of the view during bootstrap, published for memberlist.
PUBLISHED_VIEWS = {1000: 901, 1500: 1383, 2000: 1858}
LOOK_NS = 100 * MILLISECOND


def fresh(size: int, seed: int) -> Pool:
    pool = Pool(size, lan(**AS_MEMBERLIST), seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    return pool


def bootstrap(size: int, seed: int) -> tuple[int, float]:
    """All start within ten seconds and join the first: how many different sizes of the pool any
    of them ever held at a look each 0.1 s, and after how many seconds all held all."""
    pool = fresh(size, seed)
    engine = pool.engine
    began = engine.now
    pool.start(0)
    started = 1
    sizes: set[int] = set()
    done = 0.0
    while engine.now - began < 300 * SECOND and not done:
        due = min(size, 1 + (engine.now - began) * size // (10 * SECOND))
        for number in range(started, due):
            pool.start(number)
            pool.join(number, 0)
        started = max(started, due)
        pool.run(LOOK_NS)
        held = {sum(engine.counts_of(number)[:2]) for number in range(started)}
        sizes |= held
        if started == size and held == {size}:
            done = (engine.now - began) / SECOND
    return len(sizes), done


def troubled(
    size: int, seed: int, *, flips_s: int, loss: float, length_s: int
) -> list[tuple[float, float]]:
    """One member in a hundred loses what comes to it, for good or on and off: (seconds, part of
    the pairs (healthy, troubled) in which the healthy one holds the other gone)."""
    pool = fresh(size, seed)
    engine = pool.engine
    pool.boot_at_once()
    pool.run(20 * SECOND)
    bad = set(pool.choose(max(1, size // 100)))
    healthy = [number for number in range(size) if number not in bad]
    began, on, seen = engine.now, False, []
    while engine.now - began < length_s * SECOND:
        second = (engine.now - began) // SECOND
        now_on = second // flips_s % 2 == 0 if flips_s else True
        if now_on != on:
            on = now_on
            for number in bad:
                lossy = loss if on else 0.0
                engine.line(number, loss_in=lossy, loss_out=0.0 if flips_s else lossy)
        pool.run(SECOND)
        held = sum(
            state in ("alive", "suspect")
            for number in healthy
            for about, (state, _, _) in engine.rows(number).items()
            if about in bad
        )
        seen.append((float(second + 1), 1 - held / (len(healthy) * len(bad))))
    return seen


def turns(seen: list[tuple[float, float]]) -> int:
    """How often the opinion of the pool went over one half, either way."""
    sides = [part > 0.5 for _, part in seen]
    return sum(a != b for a, b in pairwise(sides))


def run(quick: bool, jobs: int) -> Result:
    """The three experiments run one after the other; `jobs` is not used."""
    result = Result("Rapid: where SWIM is weak")
    rows = []
    for size in (100, 200) if quick else (100, 200, 1000):
        views, seconds = bootstrap(size, 1)
        rows.append([size, views, seconds, PUBLISHED_VIEWS.get(size, "-")])
        result.demand(views > 5, f"rapid: {size} nodes had {views} views")
    header = ["nodes", "different views", "seconds until all hold all", "published views"]
    result.tables.append(table(header, rows))
    size = 100 if quick else 1000
    length = 120 if quick else 400
    flip = troubled(size, 1, flips_s=20, loss=1.0, length_s=length)
    heavy = troubled(size, 1, flips_s=0, loss=0.8, length_s=length)
    rows = [
        ["one-way loss, 20 s on, 20 s off", turns(flip), max(part for _, part in flip),
         flip[-1][1]],
        ["80 % loss, both ways", turns(heavy), max(part for _, part in heavy), heavy[-1][1]],
    ]  # fmt: skip
    header = [f"1 % of {size} nodes have", "opinion changed", "most that held them gone",
              "in the end"]  # fmt: skip
    result.tables.append(table(header, rows))
    result.pictures["rapid"] = chart(
        "Part of the pool that holds the troubled members gone", "seconds", "part",
        {"flip-flop": flip, "80 % loss": heavy},
    )  # fmt: skip
    return result
