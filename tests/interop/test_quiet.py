"""A mixed pool that is left alone raises no suspicion: the timers of both sides fit each other."""

from __future__ import annotations

import os
import time

import pytest

from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN

# The long form is 300 seconds.
QUIET_SECONDS = float(os.environ.get("GOSSIP_QUIET_SECONDS", "30"))
SUSPICION = ("suspected", "refuting", "refuted", "failed", "left", "gone")


@pytest.mark.cell(6, seconds=QUIET_SECONDS)
async def test_a_pool_left_alone_has_not_one_suspicion() -> None:
    async with Pool(Shape(go=3, python=3, timings=LAN)) as pool:
        await pool.join_all(twice=True)
        until = time.monotonic() + QUIET_SECONDS
        await pool.none_sees(*SUSPICION, until=until)
        for node in pool.nodes:
            assert await node.health_score() == 0, node.name
            assert node.count("pinged") >= QUIET_SECONDS / LAN.probe_interval / 2, node.name
