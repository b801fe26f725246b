"""Builds the peers once, and runs the tests of this directory side by side.

A test with real peers is a coroutine function without fixtures: it mostly waits, for pools on
addresses of their own. At the first one all selected tests begin, as many as the machine bears;
each is then reported in its turn. The `cell` marker says how many child processes a test runs, and
about how long when that is long: those begin first.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

PEERS = Path(__file__).parent / "peers"
BINARIES = [PEERS / "bin" / name for name in ("memberlist-peer", "serf", "serf-debian")]
PROCESSES_AT_ONCE = 30


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "cell(processes, seconds=10): what a test with real peers takes"
    )


@pytest.fixture(autouse=True, scope="session")
def peers() -> None:
    """Builds the peers; without Go, or without its module proxy, the tests are skipped.

    With GOSSIP_REQUIRE_PEERS=1 that is a failure.
    """
    problem = _build_peers()
    if problem and os.environ.get("GOSSIP_REQUIRE_PEERS", "0") not in ("", "0"):
        pytest.fail(problem, pytrace=False)
    if problem:
        pytest.skip(problem)


def _build_peers() -> str | None:
    """What stands in the way; None once all peers lie in bin/. Nothing to do takes Go a second."""
    if shutil.which("go") is None or shutil.which("apt-get") is None:
        present = all(binary.exists() for binary in BINARIES)
        return None if present else "Go and apt-get are needed for the real peers"
    environment = os.environ | {"PYTHON": sys.executable}
    for script in ("build.sh", "debian.sh"):
        made = subprocess.run(
            [PEERS / script], capture_output=True, text=True, check=False, env=environment
        )
        if made.returncode != 0:
            return f"the real peers could not be made by {script}:\n{made.stderr}"
    return None


class Slots:
    """A number of child processes, given out in the order of asking."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        self._serve()
        await turn

    def give_back(self, count: int) -> None:
        self._free += count
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            count, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= count
                turn.set_result(None)


@dataclass(frozen=True)
class Cell:
    """What a test takes from the machine; the seconds are an estimate."""

    processes: int
    seconds: float = 10.0


def _cell(item: pytest.Item) -> Cell:
    marker = item.get_closest_marker("cell")
    assert marker is not None, f"{item.nodeid} does not say what it takes: mark it with cell"
    return Cell(*marker.args, **marker.kwargs)


class SideBySide:
    """Runs the coroutine tests of a session in one loop, which turns while a test is awaited."""

    def __init__(self, items: list[pytest.Function]) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._slots = Slots(PROCESSES_AT_ONCE)
        longest_first = sorted(items, key=lambda item: -_cell(item).seconds)
        self._tasks = {i.nodeid: self._loop.create_task(self._run(i)) for i in longest_first}

    def outcome(self, item: pytest.Function) -> None:
        """Wait for a test to end; raises what it raised."""
        self._loop.run_until_complete(self._tasks[item.nodeid])

    def close(self) -> None:
        self._runner.close()

    async def _run(self, item: pytest.Function) -> None:
        processes = _cell(item).processes
        await self._slots.take(processes)
        try:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            await item.obj(**parameters)
        finally:
            self._slots.give_back(processes)


_RUNNING = pytest.StashKey[SideBySide]()


def _coroutine_tests(items: Iterable[pytest.Item]) -> list[pytest.Function]:
    functions = [item for item in items if isinstance(item, pytest.Function)]
    return [item for item in functions if inspect.iscoroutinefunction(item.obj)]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    session = pyfuncitem.session
    if _RUNNING not in session.stash:
        session.stash[_RUNNING] = SideBySide(_coroutine_tests(session.items))
    session.stash[_RUNNING].outcome(pyfuncitem)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _RUNNING in session.stash:
        session.stash[_RUNNING].close()
