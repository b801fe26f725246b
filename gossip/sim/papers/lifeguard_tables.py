"""Tables IV to VII of Lifeguard, from runs of its two experiments over the grid of the scenario."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from gossip.sim.papers import estimates
from gossip.sim.papers.compare import (
    LEGEND,
    NO,
    Compared,
    order,
    span,
    within,
    within_or_few,
    within_points,
)
from gossip.sim.papers.estimates import Estimate
from gossip.sim.papers.lifeguard import CONFIGURATIONS, Outcome, tuned
from gossip.sim.papers.lifeguard_published import (
    FIGURE_2,
    FIGURE_2_RUNS,
    FIGURE_2_SLOW,
    TABLE_IV,
    TABLE_IV_RUNS,
    TABLE_V,
    TABLE_VII,
)
from gossip.sim.papers.lifeguard_runs import Grid, Runs, Task
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.work import Effort

# What agrees: ratios of Tables IV and VII within so much of the published ones, medians and tails
# of Table V, and load as parts of SWIM's within so many points.
RATIO_BAND = 0.30
MEDIAN_BAND = 0.05
TAIL_BAND = 0.10
LOAD_POINTS = 5

SECONDS = 1e-9
PERCENTS = (50, 99, 99.9)
LATENCIES = ("median first", "99 % first", "99.9 % first", "median full", "99 % full",
             "99.9 % full")  # fmt: skip

WRONG = Grid(CONFIGURATIONS, gaps=True)
SLOW = Grid(CONFIGURATIONS, gaps=False)

Place = tuple[int, int, int]


def pairs_of(quick: bool) -> list[tuple[int, int]]:
    return [(2, 2), (2, 6), (4, 6), (5, 6)] if quick else list(TABLE_VII)


def sweep_grids(quick: bool) -> tuple[Grid, Grid]:
    named = {f"{alpha}/{beta}": tuned(alpha, beta) for alpha, beta in pairs_of(quick)}
    both = {"SWIM": CONFIGURATIONS["SWIM"], **named}
    return Grid(both, gaps=True), Grid(both, gaps=False)


@dataclass
class Tally:
    """All runs of one configuration, by the cell of the grid."""

    cells: dict[Place, list[Outcome]] = field(default_factory=dict)

    def add(self, task: Task, outcome: Outcome) -> None:
        self.cells.setdefault(task.cell, []).append(outcome)

    def runs(self) -> int:
        return sum(map(len, self.cells.values()))

    def each(self, of: Callable[[Outcome], int]) -> list[list[int]]:
        """A number of each run."""
        return [[of(outcome) for outcome in runs] for runs in self.cells.values()]

    def count(self, of: Callable[[Outcome], int], among: Iterable[Place] | None = None) -> int:
        places = self.cells if among is None else among
        return sum(of(outcome) for place in places for outcome in self.cells[place])

    def latencies(self) -> list[Estimate]:
        """In seconds, in the order of Table V."""
        first = [[each.first_ns for each in runs] for runs in self.cells.values()]
        full = [[each.full_ns for each in runs] for runs in self.cells.values()]
        return [
            estimates.quantile(cells, percent).times(SECONDS)
            for cells in (first, full)
            for percent in PERCENTS
        ]


def wrong(outcome: Outcome) -> int:
    return outcome.false_positives


def at_healthy(outcome: Outcome) -> int:
    return outcome.at_healthy


def messages(outcome: Outcome) -> int:
    return outcome.messages


def sent_bytes(outcome: Outcome) -> int:
    return outcome.sent_bytes


COUNTS = {"FP": wrong, "FP at healthy": at_healthy}

# The papers of one command share their runs.
RUNS = Runs()


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


def tallies(grid: Grid, effort: Effort) -> dict[str, Tally]:
    found = {name: Tally() for name in grid.configurations}
    for task, outcome in RUNS.collect(grid, effort):
        found[task.configuration].add(task, outcome)
    return found


def legend(band: str, grid: Grid, effort: Effort, relation: str = "measured over published") -> str:
    """What stands under a table: how to read it, and what it is made of."""
    count = grid.passes(effort)
    part = "a part of the grid" if effort.quick else "the whole grid"
    runs = f"{count} {'run' if count == 1 else 'runs'} of each cell of {part}."
    return f"{LEGEND.format(band=band, relation=relation)}\n{runs}"


def judge(result: Result, columns: Mapping[str, Mapping[str, Compared]], effort: Effort) -> None:
    """Says of each column whether its order is the published one. No two figures may stand the
    other way round and be told apart. That each agrees is asked of the full form: the quick one
    has other cells."""
    lines = ["Order of the configurations, column by column:"]
    for what, figures in columns.items():
        found = order(figures)
        lines.append(f"* {what}: {found.text()}.")
        for pair in found.contradicted:
            result.demand(False, f"{result.title}: {what}: {pair} stand the other way round")
        for name, each in figures.items():
            result.demand(
                effort.quick or each.verdict != NO,
                f"{result.title}: {what}: {name}: {each.measured.value:.4g} "
                f"({span(each.measured)}), published {each.published:.4g}",
            )
    result.tables.append("\n".join(lines))


def ratios(
    found: Mapping[str, Tally], of: Callable[[Outcome], int], published: Mapping[str, float],
    events: Mapping[str, float],
) -> dict[str, Compared]:  # fmt: skip
    """Counts as parts of SWIM's. `events`: how many there were when it was published."""
    base = found["SWIM"]
    return {
        name: within_or_few(
            estimates.percent_of_total(found[name].each(of), base.each(of)),
            part,
            RATIO_BAND,
            min(events[name], found[name].count(of)),
        )
        for name, part in published.items()
    }


def parts_of_swim(column: int) -> dict[str, float]:
    """Of a column of Table IV, SWIM itself left out."""
    base = TABLE_IV["SWIM"][column]
    return {name: 100 * row[column] / base for name, row in TABLE_IV.items() if name != "SWIM"}


def false_positives(effort: Effort) -> Result:
    """Table IV, where its false positives come from, and Figure 2."""
    result = Result("Lifeguard, Table IV: false positives")
    found = tallies(WRONG, effort)
    columns = {}
    for column, (what, of) in enumerate(COUNTS.items()):
        events = {name: row[column] for name, row in TABLE_IV.items()}
        columns[what] = ratios(found, of, parts_of_swim(column), events)
    header = ["configuration", *(f"{what} counted" for what in COUNTS),
              *(f"{what}, % of SWIM" for what in COUNTS)]  # fmt: skip
    rows = []
    for name, tally in found.items():
        parts = ["100", "100"] if name == "SWIM" else [each[name].cell() for each in
                                                       columns.values()]  # fmt: skip
        rows.append([name, *(tally.count(of) for of in COUNTS.values()), *parts])
    result.tables += [table(header, rows), legend("30 %", WRONG, effort)]
    judge(result, columns, effort)
    swim, lifeguard = found["SWIM"].count(wrong), found["Lifeguard"].count(wrong)
    result.demand(
        lifeguard < 0.25 * swim, f"lifeguard-fp: Lifeguard {lifeguard}, SWIM {swim} false positives"
    )
    result.tables.append(origins(found))
    if not effort.quick:
        result.tables += [absolute(found), figure_2(found)]
    result.pictures["lifeguard-fp"] = figure_2_chart(found, effort)
    return result


def absolute(found: Mapping[str, Tally]) -> str:
    """Counts themselves, as of the published number of runs. There is no target for them."""
    rows = []
    for name, tally in found.items():
        cells = []
        for column, of in enumerate(COUNTS.values()):
            measured = estimates.total(tally.each(of)).times(TABLE_IV_RUNS / tally.runs())
            published = TABLE_IV[name][column]
            related = ratio(measured.value, published)
            cells.append(f"{measured.value:,.0f} / {published:,} ({related})<br>{span(measured)}")
        rows.append([name, *cells])
    return f"The counts themselves, in {TABLE_IV_RUNS:,} runs:\n\n" + table(
        ["configuration", *COUNTS], rows
    )


def origins(found: Mapping[str, Tally]) -> str:
    """Where on the grid the false positives are."""
    places = list(found["SWIM"].cells)
    durations = sorted({duration for _, duration, _ in places})
    gaps = sorted({gap for _, _, gap in places})
    rows = []
    for name, tally in found.items():
        for duration in durations:
            means = []
            for gap in gaps:
                among = [place for place in places if place[1:] == (duration, gap)]
                runs = sum(len(tally.cells[place]) for place in among)
                means.append(f"{tally.count(wrong, among) / runs:.3g}")
            rows.append([name, duration, *means])
    return (
        "Where they come from: false positives a run, by how long an anomaly takes and by the gap "
        "to the next one\n(ms), over all numbers of slow members:\n\n"
        + table(["configuration", "anomaly", *(f"gap {gap}" for gap in gaps)], rows)
    )


def by_slow(tally: Tally) -> dict[int, float]:
    """False positives by the number of slow members, as of the published number of runs."""
    counts = {}
    for slow in sorted({place[0] for place in tally.cells}):
        among = [place for place in tally.cells if place[0] == slow]
        runs = sum(len(tally.cells[place]) for place in among)
        counts[slow] = tally.count(wrong, among) * FIGURE_2_RUNS / runs
    return counts


def figure_2(found: Mapping[str, Tally]) -> str:
    rows = []
    for name, published in FIGURE_2.items():
        mine = by_slow(found[name])
        theirs = dict(zip(FIGURE_2_SLOW, published, strict=True))
        rows.append([name, *(f"{count:,.0f} / {theirs[slow]:,} ({ratio(count, theirs[slow])})"
                             for slow, count in mine.items())])  # fmt: skip
    slow_ones = by_slow(found["SWIM"])
    return (
        f"Figure 2: false positives by the number of slow members, in {FIGURE_2_RUNS} runs of "
        "each; measured / published, as\nread off the figure by eye:\n\n"
        + table(["configuration", *(f"{slow} slow" for slow in slow_ones)], rows)
    )


def figure_2_chart(found: Mapping[str, Tally], effort: Effort) -> str:
    """The published lines are of the whole grid: they do not stand beside a part of it."""
    measured = {name: list(by_slow(tally).items()) for name, tally in found.items()}
    published = {name: list(zip(FIGURE_2_SLOW, counts, strict=True))
                 for name, counts in FIGURE_2.items()}  # fmt: skip
    return chart(
        "False positives by slow members" + ("" if effort.quick else " (dashed: published)"),
        "slow members", f"failure events in {FIGURE_2_RUNS} runs", measured,
        beside={} if effort.quick else published, logarithmic=True,
    )  # fmt: skip


def load(effort: Effort) -> Result:
    """Table VI. Bytes cannot agree: Consul's own messages and Serf's are not in ours."""
    result = Result("Lifeguard, Table VI: load")
    found = tallies(WRONG, effort)
    columns = {}
    for column, (what, of) in enumerate({"messages": messages, "bytes": sent_bytes}.items(), 2):
        base = found["SWIM"].each(of)
        columns[what] = {
            name: within_points(estimates.percent_of_total(found[name].each(of), base), part,
                                LOAD_POINTS)
            for name, part in parts_of_swim(column).items()
        }  # fmt: skip
    rows = []
    for name, tally in found.items():
        parts = ["100", "100"]
        if name != "SWIM":
            parts = [each[name].cell_in_points() for each in columns.values()]
        rows.append([name, tally.count(messages), *parts])
    header = ["configuration", "messages", *(f"{what}, % of SWIM" for what in columns)]
    result.tables += [
        table(header, rows),
        legend(f"{LOAD_POINTS} points", WRONG, effort, "measured less published"),
    ]
    judge(result, columns, effort)
    for name, each in columns["messages"].items():
        part = each.measured.value
        result.demand(50 < part < 200, f"lifeguard-load: {name}: {part:.0f} % of SWIM")
    return result


def latency(effort: Effort) -> Result:
    """Table V."""
    result = Result("Lifeguard, Table V: seconds until a slow member is detected, and known to all")
    found = tallies(SLOW, effort)
    rows = []
    for name, tally in found.items():
        figures = {
            what: within(mine, theirs, MEDIAN_BAND if what.startswith("median") else TAIL_BAND)
            for what, mine, theirs in zip(LATENCIES, tally.latencies(), TABLE_V[name], strict=True)
        }
        detected = tally.count(lambda outcome: len(outcome.first_ns))
        rows.append([name, detected, *(each.cell(".2f") for each in figures.values())])
        for what, each in figures.items():
            asked = not effort.quick or what.startswith("median")
            result.demand(
                not asked or each.verdict != NO,
                f"lifeguard-latency: {name}: {what}: {each.measured.value:.2f} s "
                f"({span(each.measured)}), published {each.published:.2f} s",
            )
    result.tables += [
        table(["configuration", "detected", *LATENCIES], rows),
        legend("5 % (medians) or 10 % (tails)", SLOW, effort),
    ]
    result.pictures["lifeguard-latency"] = chart(
        "First detection", "seconds", "% of the detected",
        {name: percentiles(tally) for name, tally in found.items()},
    )  # fmt: skip
    return result


def percentiles(tally: Tally) -> list[tuple[float, float]]:
    times = sorted(at * SECONDS for runs in tally.cells.values() for outcome in runs
                   for at in outcome.first_ns)  # fmt: skip
    return [(times[len(times) * at // 100], float(at)) for at in range(100)]


def sweep(effort: Effort) -> Result:
    """Table VII."""
    result = Result("Lifeguard, Table VII: alpha and beta, % of SWIM")
    wrong_grid, slow_grid = sweep_grids(effort.quick)
    names = {f"{alpha}/{beta}": TABLE_VII[alpha, beta] for alpha, beta in pairs_of(effort.quick)}
    figures = {
        **sweep_of_latencies(tallies(slow_grid, effort), names),
        **sweep_of_counts(tallies(wrong_grid, effort), names),
    }
    rows = [[name, *(figures[what][name].cell() for what in figures)] for name in names]
    counts = len(figures) - len(LATENCIES)
    result.tables += [
        table(["alpha/beta", *LATENCIES], [row[:-counts] for row in rows]),
        legend("30 %", slow_grid, effort),
        table(["alpha/beta", *list(figures)[-counts:]], [[row[0], *row[-counts:]] for row in rows]),
        f"{wrong_grid.passes(effort)} of each cell here.",
    ]
    judge(result, figures, effort)
    for name, each in figures[LATENCIES[0]].items():
        near = abs(each.measured.value - each.published) < 15
        result.demand(near, f"lifeguard-sweep: {name}: median first {each.measured.value:.1f} %")
    return result


def sweep_of_latencies(
    found: Mapping[str, Tally], published: Mapping[str, tuple[float, ...]]
) -> dict[str, dict[str, Compared]]:
    times = {name: tally.latencies() for name, tally in found.items()}
    return {
        what: {
            name: within(times[name][at].percent_of(times["SWIM"][at]), row[at], RATIO_BAND)
            for name, row in published.items()
        }
        for at, what in enumerate(LATENCIES)
    }


def sweep_of_counts(
    found: Mapping[str, Tally], published: Mapping[str, tuple[float, ...]]
) -> dict[str, dict[str, Compared]]:
    figures = {}
    for column, (what, of) in enumerate(COUNTS.items()):
        parts = {name: row[len(LATENCIES) + column] for name, row in published.items()}
        events = {name: part / 100 * TABLE_IV["SWIM"][column] for name, part in parts.items()}
        figures[what] = ratios(found, of, parts, events)
    return figures
