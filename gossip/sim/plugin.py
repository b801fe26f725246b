"""The pytest plug-in: the fixture `gossip_cluster`, and the seed of a test that failed.

`--gossip-seed N` repeats a run; without it the seed is made of the test's name, so that a test does
the same each time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from gossip.config import Config
    from gossip.sim import Simulation

    ClusterFactory: TypeAlias = Callable[..., Simulation]

SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gossip-seed", type=int, default=None, help="the seed of simulated clusters")


@pytest.fixture
def gossip_cluster(request: pytest.FixtureRequest) -> ClusterFactory:
    """`gossip_cluster(5)` gives a started `gossip.sim.Simulation` of five nodes that know each
    other; `started=False` one that is not started; `config=` a `gossip.Config` for all of them, or
    a `gossip.NodeConfig`, which makes them Serf's."""
    from gossip.sim import Simulation

    given = request.config.getoption("--gossip-seed")
    seed = zlib.crc32(request.node.nodeid.encode()) if given is None else int(given)
    request.node.stash[SEED] = seed

    def make(size: int, *, config: Config | None = None, started: bool = True) -> Simulation:
        simulation = Simulation(size, seed=seed, config=config)
        if started:
            simulation.start()
        return simulation

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    seed: Any = item.stash.get(SEED, None)
    if report.failed and seed is not None:
        command = f"pytest '{item.nodeid}' --gossip-seed {seed}"
        report.sections.append(("gossip cluster", f"seed {seed}; again with: {command}"))
    return report
