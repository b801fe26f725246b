"""Serf's convergence simulator: its formula, and what the core does.

The formula (from the page Serf's web site once had) takes a member for infected by a logistic law.
One change of metadata spreads here through gossip rounds, and on the pings and acks beside them as
it does in a pool; with `gossip alone` nobody probes, as on the page. Loss and failed members are
those of the page. A run looks on for six seconds: the formula never takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log, log10, sqrt
from statistics import fmean

from gossip.sim import work
from gossip.sim.papers.result import Result, chart, ratio, table
from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

INTERVAL_S = 0.2
FANOUT = 3
RETRANSMIT_MULT = 4
DATAGRAM = 1400
STEPS_MAX = 100_000
LOOK_ON_S = 6
CROWD = 50  # claims that wait at a member, some packets full
NO_PROBES_NS = 3600 * SECOND
# How many runs at each size; from LARGE on one simulation at a time: 10,000 full views take 8 GB.
QUICK_RUNS = {30: 40, 100: 10, 300: 5}
FULL_RUNS = {30: 400, 100: 100, 1000: 10, 5000: 2, 10_000: 1}
LARGE = 5000
DRAWN = (30, 300, 1000, 10_000)


@dataclass(frozen=True)
class Case:
    """What part of the datagrams is lost, what part of the members fails; whether they probe, how
    much a datagram holds, and at which sizes alone that is run."""

    loss: float = 0.0
    failed: float = 0.0
    probes: bool = True
    datagram: int = DATAGRAM
    only: tuple[int, ...] = ()

    @property
    def passed(self) -> float:
        """The part of what is sent that is of use."""
        return (1 - self.loss) * (1 - self.failed)

    @property
    def loss_in_words(self) -> str:
        return (
            f"{self.loss:.0%}"
            + ("" if self.probes else ", gossip alone")
            + ("" if self.datagram == DATAGRAM else f", datagrams of {self.datagram:,} bytes")
        )


CASES = (
    Case(),
    Case(loss=0.25),
    Case(loss=0.5),
    Case(loss=0.5, probes=False),
    Case(loss=0.5, datagram=8 * DATAGRAM, only=(300, 1000)),
    Case(failed=0.3),
)


def formula(size: int, case: Case, at_s: float) -> float:
    """The part that knows after so many seconds."""
    contact = FANOUT / size * case.passed * 0.5
    return 1 / (1 + (size + 1) * exp(-contact * size * at_s / INTERVAL_S))


def formula_time(size: int, case: Case, part: float) -> float:
    """When that part knows, in whole intervals, as the page counts."""
    for step in range(STEPS_MAX):
        if formula(size, case, step * INTERVAL_S) >= part:
            return step * INTERVAL_S
    raise AssertionError("the formula never comes there")


def law_time(size: int, case: Case, part: float) -> float:
    """The same law where each message of a round is one contact, not half of one."""
    return INTERVAL_S * log((size - 1) * part / (1 - part)) / (FANOUT * case.passed)


def copies(size: int) -> int:
    """How often each member may send a change: its retransmit limit."""
    return RETRANSMIT_MULT * ceil(log10(size + 1))


def missed_part(size: int, case: Case) -> float:
    """Whom none of the copies that all others send reaches."""
    return exp(-copies(size) * case.passed)


def died_out(size: int, case: Case) -> float:
    """How likely each copy that the source itself sends is lost: then nobody hears of it."""
    return (1 - case.passed) ** copies(size)


@dataclass(frozen=True)
class Spread:
    """When each living member but the source knew, in seconds, in order; and how many claims a
    member still has to send in the end."""

    times: tuple[float, ...]
    living: int
    waiting: float = 0.0

    def time_of(self, part: float) -> float:
        """inf: fewer were reached."""
        at = max(0, round(part * self.living) - 2)  # the source is not in it
        return self.times[at] if at < len(self.times) else inf

    @property
    def missed(self) -> int:
        return self.living - 1 - len(self.times)

    @property
    def spread(self) -> bool:
        """Whether it did not die out at the source."""
        return len(self.times) > self.living / 2


def spread(task: tuple[int, Case, int]) -> Spread:
    """One change in one pool of that size, from that seed."""
    size, case, seed = task
    probing = {} if case.probes else {"probe_interval_ns": NO_PROBES_NS}
    settings = lan(**AS_MEMBERLIST, **probing, udp_buffer_size=case.datagram)
    pool = Pool(size, settings, seed)
    pool.engine.delay("uniform", 100_000, MILLISECOND)
    pool.boot_at_once()
    pool.engine.network(loss=case.loss)
    pool.run(SECOND // 2)
    for number in pool.choose(round(case.failed * size)):
        pool.engine.crash(number)
    up = [number for number in range(size) if pool.engine.is_up(number)]
    source = up[pool.random.below(len(up))]
    pool.engine.log("updated")
    began = pool.engine.now
    pool.swims[source].update_meta(b"news", pool.engine.clock(source))
    pool.engine.touch(source)
    pool.run(LOOK_ON_S * SECOND)
    times = sorted(
        (at - began) / SECOND
        for at, node, _, about, _ in pool.engine.take_log()
        if about == source and node != source
    )
    waiting = sum(pool.swims[number].stats()["broadcasts_queued"] for number in up)
    return Spread(tuple(times), len(up), waiting / len(up))


def middle(times: Sequence[float]) -> float:
    return sorted(times)[len(times) // 2]


def in_words(times: Sequence[float]) -> str:
    """The median, and from ten runs on what eight of ten lie between."""
    ordered = sorted(times)
    ends = (ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10])
    shown = [f"{at:.2f}" if at < inf else f"> {LOOK_ON_S}" for at in (middle(ordered), *ends)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(ordered) >= 10 else shown[0]


def compared(size: int, case: Case, part: float, done: Sequence[Spread]) -> list[object]:
    """The cells of one part: measured, by the formula, their ratio."""
    times = [each.time_of(part) for each in done]
    by_formula = formula_time(size, case, part)
    found = middle(times)
    return [in_words(times), by_formula, ratio(found, by_formula) if found < inf else "-"]


def cells(size: int, case: Case, done: Sequence[Spread]) -> list[object]:
    asked = sum(each.living - 1 for each in done)
    return [
        *compared(size, case, 0.99, done),
        law_time(size, case, 0.99),
        *compared(size, case, 0.9999, done),
        100 * sum(each.missed for each in done) / asked,
        100 * (missed_part(size, case) + died_out(size, case)),
        round(fmean(each.waiting for each in done)),
    ]


def run(quick: bool, jobs: int) -> Result:
    result = Result("Serf: seconds until 99 % and 99.99 % of the living members know")
    sizes = QUICK_RUNS if quick else FULL_RUNS
    rows = []
    curves: dict[str, list[tuple[float, float]]] = {}
    for case in CASES:
        for size, runs in sizes.items():
            if case.only and size not in case.only:
                continue
            tasks = [(size, case, seed) for seed in range(1, runs + 1)]
            done = list(work.each(spread, tasks, 1 if size >= LARGE else jobs))
            rows.append([size, case.loss_in_words, f"{case.failed:.0%}", runs,
                         *cells(size, case, done)])  # fmt: skip
            judge(result, size, case, done)
            if case == CASES[0] and size in DRAWN:
                curves |= curves_of(size, done[0])
    header = [
        "members", "loss", "failed", "runs", "99 % know", "formula", "ratio", "law of 3 contacts",
        "99.99 % know", "formula", "ratio", f"missed in {LOOK_ON_S} s, %",
        "by the retransmit limit, %", "claims waiting",
    ]  # fmt: skip
    result.tables.append(table(header, rows))
    result.pictures["serf-convergence"] = chart(
        "Part of the members that know, without loss", "seconds", "part", curves
    )
    return result


def judge(result: Result, size: int, case: Case, done: Sequence[Spread]) -> None:
    """All has to keep to the law, unless suspicions and refutations fill every datagram: what loss
    makes of them waits, and the change waits behind it."""
    name = f"serf-convergence: {size} members, {case}"
    time = middle([each.time_of(0.99) for each in done])
    missed = sum(each.missed for each in done if each.spread)
    asked = sum(each.living - 1 for each in done if each.spread)
    expected = asked * missed_part(size, case)
    waiting = fmean(each.waiting for each in done)
    crowded = case.loss > 0 and case.datagram == DATAGRAM and waiting > CROWD
    # In pools of 30 nothing but all is 99 %: half the runs may miss one.
    if size >= 100 and not (crowded and case.loss >= 0.5):
        law = law_time(size, case, 0.99)
        result.demand(0.6 < time / law < 1.5, f"{name}: {time} s, by law {law} s")
    most = expected + 4 * sqrt(expected) + 2
    if crowded:
        most = (0.2 if case.loss >= 0.5 else 0.01) * asked
    result.demand(missed <= most, f"{name}: {missed} missed, {most:.1f} at most")
    if expected > 10 and not case.probes:
        result.demand(missed >= expected / 3, f"{name}: {missed} missed, not {expected:.1f}")


def curves_of(size: int, one: Spread) -> dict[str, list[tuple[float, float]]]:
    moments = [step / 20 for step in range(61)]
    measured = [(at, (1 + sum(time <= at for time in one.times)) / one.living) for at in moments]
    by_formula = [(at, formula(size, CASES[0], at)) for at in moments]
    return {f"{size} measured": measured, f"{size} formula": by_formula}
