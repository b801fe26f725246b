"""Many runs on many processors: in order whatever order they end in, or as they end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Effort:
    """How much of an experiment is run, and by how many processes.

    Lifeguard's tables alone know `runs`, the most runs of a cell of their grid (None: as many as
    the scenario says), and `keep`, a file of finished runs that are not run again.
    """

    quick: bool = False
    jobs: int = 1
    runs: int | None = None
    keep: Path | None = None


def each(function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """`function(task)` of every task, in as many processes; in this one when it is one job."""
    if jobs <= 1:
        yield from map(function, tasks)
        return
    listed: list[Any] = list(tasks)
    with ProcessPoolExecutor(jobs) as executor:
        yield from executor.map(function, listed, chunksize=max(1, len(listed) // (jobs * 32)))


def as_they_end(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result]]:
    """Each task and `function(task)` once it is there. Two for each process are under way or
    wait, however many there are: who stops loses no more than these."""
    if jobs <= 1:
        yield from ((task, function(task)) for task in tasks)
        return
    waiting = iter(tasks)
    running: dict[Future[Result], Task] = {}
    with ProcessPoolExecutor(jobs, initializer=leave_signals_to_the_parent) as executor:

        def send(count: int) -> None:
            running.update((executor.submit(function, one), one) for one in islice(waiting, count))

        send(2 * jobs)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                send(1)
                yield task, future.result()


def leave_signals_to_the_parent() -> None:
    """A process of a pool ends what it is at when all are interrupted, and is then sent away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
