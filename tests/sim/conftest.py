"""Seeds for the simulations: a test that takes `seed` runs once for each.

`GOSSIP_SEED=7` runs seed 7 alone, `GOSSIP_SEEDS=1000` runs that many; a failure prints the command
that replays it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

SEEDS = 4


def chosen_seeds() -> list[int]:
    one = os.environ.get("GOSSIP_SEED")
    if one is not None:
        return [int(one)]
    return list(range(1, 1 + int(os.environ.get("GOSSIP_SEEDS", SEEDS))))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", chosen_seeds())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    seed = parameters.get("seed")
    if report.failed and seed is not None:
        test = item.nodeid.replace(f"[{seed}]", "")
        command = f"GOSSIP_SEED={seed} python -m pytest '{test}'"
        report.sections.append(("replay", f"seed {seed}: {command}"))
    return report
