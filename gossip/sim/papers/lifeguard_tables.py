"""Tables IV to VII of Lifeguard, from runs of its two experiments over the grid of the scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from gossip.sim import work
from gossip.sim.papers.lifeguard import (
    CONFIGURATIONS,
    SCENARIO,
    Outcome,
    interval,
    threshold,
    tuned,
)
from gossip.sim.papers.result import Result, chart, percentile, ratio, table

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


@dataclass(frozen=True)
class Task:
    """One run of one experiment; gap 0 is the threshold experiment."""

    configuration: str
    settings: tuple[tuple[str, int], ...]
    slow: int
    duration_ms: int
    gap_ms: int
    seed: int


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


def perform(task: Task) -> Outcome:
    settings = dict(task.settings)
    if task.gap_ms:
        return interval(settings, task.slow, task.duration_ms, task.gap_ms, task.seed)
    return threshold(settings, task.slow, task.duration_ms, task.seed)


def tasks(
    configurations: Mapping[str, Mapping[str, int]], quick: bool, *, gaps: bool
) -> Iterable[Task]:
    """The grid. Each configuration has the same seeds: they differ in nothing else."""
    form = SCENARIO["quick" if quick else "full"]
    runs = form["runs"] if gaps or not quick else 4
    waits = form["gaps_ms"] if gaps else [0]
    grid = product(form["slow"], form["durations_ms"], waits, range(runs))
    for number, (slow, duration, gap, _) in enumerate(grid):
        for name, settings in configurations.items():
            yield Task(name, tuple(sorted(settings.items())), slow, duration, gap, number + 1)


# What was run before in this process: the tables share configurations.
_done: dict[tuple[tuple[tuple[str, int], ...], bool, bool], Sum] = {}


def collect(
    configurations: Mapping[str, Mapping[str, int]], quick: bool, jobs: int, *, gaps: bool
) -> dict[str, Sum]:
    keys = {name: (tuple(sorted(each.items())), quick, gaps)
            for name, each in configurations.items()}  # fmt: skip
    missing = {name: configurations[name] for name, key in keys.items() if key not in _done}
    sums = {name: Sum() for name in missing}
    listed = list(tasks(missing, quick, gaps=gaps))
    for task, outcome in zip(listed, work.each(perform, listed, jobs), strict=True):
        sums[task.configuration].add(task, outcome)
    _done.update({keys[name]: each for name, each in sums.items()})
    return {name: _done[key] for name, key in keys.items()}


def percent(value: float, base: float) -> float:
    return 100 * value / base if base else float("nan")


def false_positives(quick: bool, jobs: int) -> Result:
    """Table IV, and the figure of false positives by the number of slow members."""
    result = Result("Lifeguard, Table IV: false positives")
    sums = collect(CONFIGURATIONS, quick, jobs, gaps=True)
    result.tables.append(table_iv(sums))
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


def load(quick: bool, jobs: int) -> Result:
    """Table VI. Bytes cannot agree: Consul's own messages and Serf's are not in ours."""
    result = Result("Lifeguard, Table VI: load")
    sums = collect(CONFIGURATIONS, quick, jobs, gaps=True)
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
    result.tables.append(table(header, rows))
    return result


def latency(quick: bool, jobs: int) -> Result:
    """Table V."""
    result = Result("Lifeguard, Table V: seconds until a slow member is detected, and known to all")
    sums = collect(CONFIGURATIONS, quick, jobs, gaps=False)
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
    result.pictures["lifeguard-latency"] = chart(
        "First detection", "seconds", "% of the detected", curves
    )
    return result


def sweep(quick: bool, jobs: int) -> Result:
    """Table VII."""
    result = Result("Lifeguard, Table VII: alpha and beta, % of SWIM")
    configurations = {"SWIM": CONFIGURATIONS["SWIM"]}
    pairs = [(2, 2), (2, 6), (4, 6), (5, 6)] if quick else list(TABLE_VII)
    configurations |= {f"{a}/{b}": tuned(a, b) for a, b in pairs}
    slow_ones = collect(configurations, quick, jobs, gaps=False)
    wrong_ones = collect(configurations, quick, jobs, gaps=True)
    rows: list[Sequence[object]] = []
    for alpha, beta in pairs:
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
    return result
