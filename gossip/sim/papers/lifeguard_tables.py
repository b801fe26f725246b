"""Tables IV to VII of Lifeguard, from runs of its two experiments over the grid of the scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gossip.sim.papers.lifeguard import CONFIGURATIONS, Outcome, tuned
from gossip.sim.papers.lifeguard_runs import Grid, Runs, Task
from gossip.sim.papers.result import Result, chart, percentile, ratio, table
from gossip.sim.work import Effort

# Published: FP, FP at healthy members, messages (M), GiB.
TABLE_IV = {
    "SWIM": (339_002, 1_326, 435.33, 149.15),
    "LHA-Probe": (229_574, 436, 428.62, 134.28),
    "LHA-Suspicion": (10_174, 89, 484.55, 158.87),
    "Buddy System": (318_935, 591, 435.62, 147.67),
    "Lifeguard": (5_193, 25, 481.42, 146.13),
}
TABLE_V = {
    "SWIM": (12.44, 16.96, 19.40, 12.90, 16.93, 20.17),
    "LHA-Probe": (12.42, 17.75, 20.10, 12.90, 17.98, 20.56),
    "LHA-Suspicion": (12.42, 17.47, 25.41, 12.89, 17.33, 23.80),
    "Buddy System": (12.45, 17.12, 19.16, 12.92, 17.18, 19.81),
    "Lifeguard": (12.45, 17.90, 21.20, 12.91, 18.05, 21.68),
}
# Published, % of SWIM: median first, median full, FP, FP at healthy members.
TABLE_VII = {
    (2, 2): (53.14, 55.12, 98.37, 31.15),
    (2, 4): (54.10, 56.28, 43.64, 22.47),
    (2, 6): (54.34, 56.74, 24.16, 13.65),
    (4, 2): (82.96, 84.42, 37.72, 20.29),
    (4, 4): (83.04, 84.03, 8.04, 9.50),
    (4, 6): (83.12, 84.42, 3.18, 4.83),
    (5, 2): (99.76, 99.92, 26.61, 15.38),
    (5, 4): (99.52, 99.61, 5.43, 5.05),
    (5, 6): (100.08, 100.08, 1.53, 1.89),
}
SECONDS = 1e-9

WRONG = Grid(CONFIGURATIONS, gaps=True)
SLOW = Grid(CONFIGURATIONS, gaps=False)


def pairs_of(quick: bool) -> list[tuple[int, int]]:
    return [(2, 2), (2, 6), (4, 6), (5, 6)] if quick else list(TABLE_VII)


def sweep_grids(quick: bool) -> tuple[Grid, Grid]:
    named = {f"{alpha}/{beta}": tuned(alpha, beta) for alpha, beta in pairs_of(quick)}
    both = {"SWIM": CONFIGURATIONS["SWIM"], **named}
    return Grid(both, gaps=True), Grid(both, gaps=False)


def prepare(names: Collection[str], effort: Effort) -> None:
    """Makes the runs of several tables in common passes, so that all of them grow alike."""
    grids = [grid for name in names for grid in grids_of(name, effort.quick)]
    if grids:
        RUNS.gather(grids, effort)


def grids_of(name: str, quick: bool) -> tuple[Grid, ...]:
    if name == "lifeguard-sweep":
        return sweep_grids(quick)
    by_name = {"lifeguard-fp": WRONG, "lifeguard-load": WRONG, "lifeguard-latency": SLOW}
    return (by_name[name],) if name in by_name else ()


@dataclass
class Sum:
    """All runs of one configuration."""

    false_positives: int = 0
    at_healthy: int = 0
    messages: int = 0
    sent_bytes: int = 0
    first: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    by_slow: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, task: Task, outcome: Outcome) -> None:
        self.false_positives += outcome.false_positives
        self.at_healthy += outcome.at_healthy
        self.messages += outcome.messages
        self.sent_bytes += outcome.sent_bytes
        self.first += [value * SECONDS for value in outcome.first_ns]
        self.full += [value * SECONDS for value in outcome.full_ns]
        self.by_slow[task.slow] += outcome.false_positives

    def latencies(self) -> tuple[float, ...]:
        return tuple(
            percentile(values, percent)
            for values in (self.first, self.full)
            for percent in (50, 99, 99.9)
        )


# The papers of one command share their runs.
RUNS = Runs()


def sums_of(grid: Grid, effort: Effort) -> dict[str, Sum]:
    sums = {name: Sum() for name in grid.configurations}
    for task, outcome in RUNS.collect(grid, effort):
        sums[task.configuration].add(task, outcome)
    return sums


def runs_a_cell(grid: Grid, effort: Effort) -> str:
    """The line under a table that says what it is made of."""
    count = grid.passes(effort)
    return f"{count} {'run' if count == 1 else 'runs'} of each cell of the grid."


def percent(value: float, base: float) -> float:
    return 100 * value / base if base else float("nan")


def false_positives(effort: Effort) -> Result:
    """Table IV, and the figure of false positives by the number of slow members."""
    result = Result("Lifeguard, Table IV: false positives")
    sums = sums_of(WRONG, effort)
    result.tables += [table_iv(sums), runs_a_cell(WRONG, effort)]
    swim, lifeguard = sums["SWIM"], sums["Lifeguard"]
    result.demand(
        lifeguard.false_positives < 0.25 * swim.false_positives,
        f"lifeguard-fp: Lifeguard {lifeguard.false_positives}, SWIM {swim.false_positives}",
    )
    result.pictures["lifeguard-fp"] = chart(
        "False positives by slow members", "slow members", "failure events",
        {name: [(slow, count) for slow, count in each.by_slow.items()]
         for name, each in sums.items()},
    )  # fmt: skip
    return result


def table_iv(sums: Mapping[str, Sum]) -> str:
    rows = []
    base, published = sums["SWIM"], TABLE_IV["SWIM"]
    for name, each in sums.items():
        fp = percent(each.false_positives, base.false_positives)
        fp_healthy = percent(each.at_healthy, base.at_healthy)
        was = percent(TABLE_IV[name][0], published[0])
        was_healthy = percent(TABLE_IV[name][1], published[1])
        rows.append(
            [name, each.false_positives, each.at_healthy, fp, was, ratio(fp, was), fp_healthy,
             was_healthy, ratio(fp_healthy, was_healthy)]
        )  # fmt: skip
    header = ["configuration", "FP", "FP at healthy", "FP % of SWIM", "published", "ratio",
              "at healthy % of SWIM", "published", "ratio"]  # fmt: skip
    return table(header, rows)


def load(effort: Effort) -> Result:
    """Table VI. Bytes cannot agree: Consul's own messages and Serf's are not in ours."""
    result = Result("Lifeguard, Table VI: load")
    sums = sums_of(WRONG, effort)
    rows = []
    for name, each in sums.items():
        messages = percent(each.messages, sums["SWIM"].messages)
        size = percent(each.sent_bytes, sums["SWIM"].sent_bytes)
        was = percent(TABLE_IV[name][2], TABLE_IV["SWIM"][2])
        was_size = percent(TABLE_IV[name][3], TABLE_IV["SWIM"][3])
        rows.append(
            [name, each.messages, messages, was, ratio(messages, was), size, was_size,
             ratio(size, was_size)]
        )  # fmt: skip
        result.demand(50 < messages < 200, f"lifeguard-load: {name} {messages:.0f} % of SWIM")
    header = ["configuration", "messages", "% of SWIM", "published", "ratio", "bytes % of SWIM",
              "published", "ratio"]  # fmt: skip
    result.tables += [table(header, rows), runs_a_cell(WRONG, effort)]
    return result


def latency(effort: Effort) -> Result:
    """Table V."""
    result = Result("Lifeguard, Table V: seconds until a slow member is detected, and known to all")
    sums = sums_of(SLOW, effort)
    names = ["median first", "99 % first", "99.9 % first", "median full", "99 % full",
             "99.9 % full"]  # fmt: skip
    rows: list[Sequence[object]] = []
    curves = {}
    for name, each in sums.items():
        measured = each.latencies()
        cells = [
            f"{mine:.2f} / {theirs:.2f} ({ratio(mine, theirs)})"
            for mine, theirs in zip(measured, TABLE_V[name], strict=True)
        ]
        rows.append([name, len(each.first), *cells])
        near = 0.9 < measured[0] / TABLE_V[name][0] < 1.1
        result.demand(near, f"lifeguard-latency: {name} {measured[0]:.2f} s")
        curves[name] = [(percentile(each.first, at), float(at)) for at in range(100) if each.first]
    result.tables.append(
        "Each cell: measured / published (ratio).\n\n"
        + table(["configuration", "detected", *names], rows)
    )
    result.tables.append(runs_a_cell(SLOW, effort))
    result.pictures["lifeguard-latency"] = chart(
        "First detection", "seconds", "% of the detected", curves
    )
    return result


def sweep(effort: Effort) -> Result:
    """Table VII."""
    result = Result("Lifeguard, Table VII: alpha and beta, % of SWIM")
    wrong, slow = sweep_grids(effort.quick)
    slow_ones, wrong_ones = sums_of(slow, effort), sums_of(wrong, effort)
    rows: list[Sequence[object]] = []
    for alpha, beta in pairs_of(effort.quick):
        published = TABLE_VII[alpha, beta]
        name = f"{alpha}/{beta}"
        mine, base = slow_ones[name].latencies(), slow_ones["SWIM"].latencies()
        measured = (
            percent(mine[0], base[0]),
            percent(mine[3], base[3]),
            percent(wrong_ones[name].false_positives, wrong_ones["SWIM"].false_positives),
            percent(wrong_ones[name].at_healthy, wrong_ones["SWIM"].at_healthy),
        )
        cells = [
            f"{value:.2f} / {was:.2f} ({ratio(value, was)})"
            for value, was in zip(measured, published, strict=True)
        ]
        rows.append([name, *cells])
        near = abs(measured[0] - published[0]) < 15
        result.demand(near, f"lifeguard-sweep: {name} median first {measured[0]:.1f} %")
    header = ["alpha/beta", "median first", "median full", "FP", "FP at healthy"]
    result.tables.append("Each cell: measured / published (ratio).\n\n" + table(header, rows))
    count, other = wrong.passes(effort), slow.passes(effort)
    result.tables.append(f"Runs of each cell: {count} for false positives, {other} for latencies.")
    return result
