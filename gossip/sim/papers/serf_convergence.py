"""Serf's convergence simulator: its formula, and what the core does.

The formula (from the page Serf's web site once had) takes a member for infected by a logistic law;
one change of metadata spreads here through gossip rounds, pings and push/pulls, as it does in a
pool. Loss and failed members are those of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from gossip.sim import work
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

INTERVAL_S = 0.2
FANOUT = 3
STEPS_MAX = 100_000
# (loss, failed): the sizes of each form.
CASES = ((0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (0.0, 0.3))
QUICK_SIZES = (30, 100, 300)
FULL_SIZES = (30, 100, 1000, 5000)


def formula(size: int, loss: float, failed: float, at_s: float) -> float:
    """The part that knows after so many seconds."""
    contact = FANOUT / size * (1 - loss) * (1 - failed) * 0.5
    return 1 / (1 + (size + 1) * exp(-contact * size * at_s / INTERVAL_S))


def formula_time(size: int, loss: float, failed: float, part: float) -> float:
    """When that part knows, in whole intervals, as the page counts."""
    for step in range(STEPS_MAX):
        if formula(size, loss, failed, step * INTERVAL_S) >= part:
            return step * INTERVAL_S
    raise AssertionError("the formula never comes there")


@dataclass(frozen=True)
class Spread:
    """When each living member knew, in seconds, in order."""

    times: tuple[float, ...]
    living: int

    def time_of(self, part: float) -> float | None:
        """None: fewer were reached."""
        at = max(0, round(part * self.living) - 2)  # the source is not in it
        return self.times[at] if at < len(self.times) else None


def spread(task: tuple[int, float, float, int]) -> Spread:
    """One change in one pool."""
    size, loss, failed, seed = task
    pool = Pool(size, lan(**AS_MEMBERLIST), seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    pool.boot_at_once()
    pool.engine.network(loss=loss)
    pool.run(SECOND // 2)
    for number in pool.choose(round(failed * size)):
        pool.engine.crash(number)
    up = [number for number in range(size) if pool.engine.is_up(number)]
    source = up[pool.random.below(len(up))]
    pool.engine.log("updated")
    began = pool.engine.now
    pool.swims[source].update_meta(b"news", pool.engine.clock(source))
    pool.engine.touch(source)
    pool.run(12 * SECOND)
    times = sorted(
        (at - began) / SECOND
        for at, node, _, about, _ in pool.engine.take_log()
        if about == source and node != source
    )
    return Spread(tuple(times), len(up))


def run(quick: bool, jobs: int) -> Result:
    result = Result("Serf: seconds until 99 % of the living members know")
    sizes = QUICK_SIZES if quick else FULL_SIZES
    runs = 4 if quick else 10
    rows = []
    curves: dict[str, list[tuple[float, float]]] = {}
    for loss, failed in CASES:
        tasks = [(size, loss, failed, seed) for size in sizes for seed in range(1, runs + 1)]
        done = list(work.each(spread, tasks, jobs))
        for number, size in enumerate(sizes):
            mine = done[number * runs : (number + 1) * runs]
            times = sorted(time for each in mine if (time := each.time_of(0.99)) is not None)
            median = times[len(times) // 2] if times else float("nan")
            reached = sum(len(each.times) + 1 for each in mine) / sum(each.living for each in mine)
            by_formula = formula_time(size, loss, failed, 0.99)
            rows.append([size, f"{loss:.0%}", f"{failed:.0%}", median, by_formula,
                         ratio(median, by_formula), 100 * reached])  # fmt: skip
            result.demand(reached > 0.98, f"serf-convergence: {size}: {reached:.1%} were reached")
            if (loss, failed) == (0.0, 0.0):
                curves |= curves_of(size, mine[0])
    header = ["members", "loss", "failed", "measured s", "formula s", "ratio", "reached in 12 s, %"]
    result.tables.append(table(header, rows))
    result.pictures["serf-convergence"] = chart(
        "Part of the members that know", "seconds", "part", curves
    )
    return result


def curves_of(size: int, one: Spread) -> dict[str, list[tuple[float, float]]]:
    moments = [step / 20 for step in range(61)]
    measured = [(at, (1 + sum(time <= at for time in one.times)) / one.living) for at in moments]
    by_formula = [(at, formula(size, 0, 0, at)) for at in moments]
    return {f"{size} measured": measured, f"{size} formula": by_formula}
