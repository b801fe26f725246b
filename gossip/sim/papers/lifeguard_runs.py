"""The runs that Tables IV to VII of Lifeguard are made of: which there are, which are done.

Tables share runs: a run is its settings and its place on the grid, whatever a table calls the
configuration. A file keeps finished ones, so that a long form may be interrupted and go on. What
is done is told by settings, scenario and seed; another core starts another file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from gossip.sim import work
from gossip.sim.papers.lifeguard import SCENARIO, Outcome, interval, threshold
from gossip.sim.pool import AS_MEMBERLIST
from gossip.sim.work import Effort

Settings = tuple[tuple[str, int], ...]

# A quick detection takes a tenth of a quick interval: it may have more of them.
QUICK_DETECTIONS = 4


class Key(NamedTuple):
    """What a finished run is found by. `physics` is a digest of settings and scenario."""

    experiment: str
    physics: str
    slow: int
    duration_ms: int
    gap_ms: int
    run: int
    seed: int


@dataclass(frozen=True)
class Task:
    """One run of one experiment; gap 0 is the threshold experiment."""

    settings: Settings
    slow: int
    duration_ms: int
    gap_ms: int
    run: int
    seed: int
    configuration: str = field(compare=False)

    @property
    def cell(self) -> tuple[int, int, int]:
        return self.slow, self.duration_ms, self.gap_ms

    @cached_property
    def key(self) -> Key:
        experiment = "interval" if self.gap_ms else "threshold"
        return Key(experiment, physics(self.settings), *self.cell, self.run, self.seed)


@dataclass(frozen=True)
class Grid:
    """All runs of some configurations, in either experiment: `gaps` is the one with intervals."""

    configurations: Mapping[str, Mapping[str, int]]
    gaps: bool

    def passes(self, effort: Effort) -> int:
        """How many runs a cell has."""
        few = effort.quick and not self.gaps
        runs: int = QUICK_DETECTIONS if few else form(effort)["runs"]
        return runs if effort.runs is None else min(runs, effort.runs)

    def tasks(self, effort: Effort, run: int) -> Iterator[Task]:
        """One run of each cell. The seed is the cell's and the run's: configurations differ in
        nothing else, and it is the same however many runs are wanted."""
        full = Grid(self.configurations, self.gaps).passes(Effort(effort.quick))
        shape = form(effort)
        waits = shape["gaps_ms"] if self.gaps else [0]
        named = [(name, tuple(sorted(each.items()))) for name, each in self.configurations.items()]
        places = product(shape["slow"], shape["durations_ms"], waits)
        for number, (slow, duration, gap) in enumerate(places):
            for name, settings in named:
                seed = number * full + run + 1
                yield Task(settings, slow, duration, gap, run, seed, name)


def form(effort: Effort) -> dict[str, Any]:
    chosen: dict[str, Any] = SCENARIO["quick" if effort.quick else "full"]
    return chosen


@cache
def physics(settings: Settings) -> str:
    """A digest of all that decides a run, but its place and its seed."""
    numbers = {name: each for name, each in SCENARIO.items() if not isinstance(each, dict)}
    text = json.dumps([{**AS_MEMBERLIST, **dict(settings)}, numbers], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def perform(task: Task) -> Outcome:
    settings = dict(task.settings)
    if task.gap_ms:
        return interval(settings, task.slow, task.duration_ms, task.gap_ms, task.seed)
    return threshold(settings, task.slow, task.duration_ms, task.seed)


def line_of(task: Task, outcome: Outcome) -> str:
    """A finished run as a line of JSON. The name of the configuration is for the reader alone."""
    values = {"configuration": task.configuration, **task.key._asdict(), "outcome": asdict(outcome)}
    return json.dumps(values) + "\n"


def read_line(text: str) -> tuple[Key, Outcome]:
    values = json.loads(text)
    pairs = values["outcome"].items()
    found: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in pairs
    }
    return Key(*(values[name] for name in Key._fields)), Outcome(**found)


def read(path: Path) -> dict[Key, Outcome]:
    """What a file keeps. A last line that was not written to its end is taken off it."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    return dict(map(read_line, data[:whole].decode().splitlines()))


class Runs:
    """Finished runs of this process and of the files it was given."""

    def __init__(self, function: Callable[[Task], Outcome] = perform) -> None:
        self.function = function
        self.done: dict[Key, Outcome] = {}
        self.files: set[Path] = set()

    def gather(self, grids: Sequence[Grid], effort: Effort) -> None:
        """Runs what is not done yet, in passes over all grids: who stops it has whole passes."""
        if effort.keep is not None and effort.keep not in self.files:
            self.done.update(read(effort.keep))
            self.files.add(effort.keep)
        ended = work.as_they_end(self.function, self.missing(grids, effort), effort.jobs)
        if effort.keep is None:
            self.done.update((task.key, outcome) for task, outcome in ended)
            return
        with effort.keep.open("a", buffering=1) as file:
            for task, outcome in ended:
                file.write(line_of(task, outcome))
                self.done[task.key] = outcome

    def missing(self, grids: Sequence[Grid], effort: Effort) -> list[Task]:
        """What is not done yet, each run once, in passes."""
        wanted: dict[Key, Task] = {}
        for run in range(max(grid.passes(effort) for grid in grids)):
            for grid in grids:
                if run < grid.passes(effort):
                    wanted.update((task.key, task) for task in grid.tasks(effort, run))
        return [task for key, task in wanted.items() if key not in self.done]

    def collect(self, grid: Grid, effort: Effort) -> Iterator[tuple[Task, Outcome]]:
        """All runs of a grid, the missing ones run first; in one order, whoever ran them."""
        self.gather([grid], effort)
        for run in range(grid.passes(effort)):
            for task in grid.tasks(effort, run):
                yield task, self.done[task.key]
