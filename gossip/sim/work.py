"""Many runs on many processors: in order, whatever order they end in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def each(function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """`function(task)` of every task, in as many processes; in this one when it is one job."""
    if jobs <= 1:
        yield from map(function, tasks)
        return
    listed: list[Any] = list(tasks)
    with ProcessPoolExecutor(jobs) as executor:
        yield from executor.map(function, listed, chunksize=max(1, len(listed) // (jobs * 32)))
