"""How a benchmark compares, and the table at the end of a run.

`pytest bench` measures; a target that is missed fails the run, and so does, with `--all-targets`,
one that was not measured. What was measured is written to build/bench/figures.json; `--again` goes
on with that and measures once more what was missed or failed, which on a busy machine may be noise.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
if not any((ROOT / "gossip").glob("_core*.so")):  # see tests/conftest.py
    sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != ROOT] + [str(ROOT)]
import gossip  # noqa: E402

# Child processes see the same package, and `bench` behind it.
os.environ["PYTHONPATH"] = f"{Path(gossip.__file__ or '').resolve().parents[1]}{os.pathsep}{ROOT}"

from bench import lab, packets  # noqa: E402
from bench.figures import Figures  # noqa: E402

ROUNDS = 5
FIGURES = ROOT / "build" / "bench" / "figures.json"
_figures = Figures()
_extra: dict[str, Any] = {}
_failed: set[str] = set()

Measure = Callable[[], float]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-targets", action="store_true", help="fail when a target has no figure")
    parser.addoption("--tolerance", type=float, help="how far a target may be missed, as a share")
    parser.addoption("--again", action="store_true", help="measure what was missed once more")


def pytest_configure(config: pytest.Config) -> None:
    tolerance = config.getoption("--tolerance")
    if tolerance is not None:
        _figures.tolerance = tolerance


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--again"):
        run = json.loads(FIGURES.read_text())
        _figures.load(run)
        _extra.update(run["extra"])
        missed = _figures.missed() | set(run["failed"])
        config.hook.pytest_deselected(items=[each for each in items if each.nodeid not in missed])
        items[:] = [each for each in items if each.nodeid in missed]


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    _figures.test = request.node.nodeid
    return _figures


@pytest.fixture
def extra() -> dict[str, Any]:
    """Series for docs/performance.md that no target holds."""
    return _extra


@pytest.fixture
def compare(benchmark: Any) -> Callable[..., list[float]]:
    """Runs the subject and its peers in turn, five times: the best of each."""

    def run(subject: Measure, *others: Measure) -> list[float]:
        results: list[list[float]] = [[] for _ in (subject, *others)]

        def before() -> None:
            for other, taken in zip(others, results[1:], strict=True):
                taken.append(other())

        benchmark.pedantic(
            lambda: results[0].append(subject()), setup=before, rounds=ROUNDS, iterations=1
        )
        benchmark.extra_info["measured"] = results
        return [min(taken) for taken in results]

    return run


@pytest.fixture(scope="session")
def reference() -> Measure:
    """One run of the reference loop: ns a ping."""
    library, batch = lab.reference(), packets.pings(256)
    joined, length, rounds = b"".join(batch), len(batch[0]), 1000

    def run() -> float:
        taken = library.reference_pings(joined, length, len(batch), rounds)
        assert taken > 0
        return float(taken / (rounds * len(batch)))

    return run


def pytest_sessionfinish(session: pytest.Session) -> None:
    absent = _figures.absent() if session.config.getoption("--all-targets") else []
    if _figures.measured:
        _figures.save(FIGURES, extra=_extra, failed=sorted(_failed))
    if session.exitstatus == 0 and (absent or any(row.missed for row in _figures.rows())):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("targets")
    for line in _figures.table():
        terminalreporter.write_line(line)
    if terminalreporter.config.getoption("--all-targets"):
        for name in _figures.absent():
            terminalreporter.write_line(f"not measured: {name}")
