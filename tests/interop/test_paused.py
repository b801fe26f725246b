"""A Python process that the system stops and continues: suspected or failed, and back again."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN


@pytest.mark.cell(6, seconds=12)
async def test_a_node_stopped_for_five_seconds_is_suspected_and_refutes() -> None:
    # A failure takes six probe intervals of suspicion here, so that five seconds are never enough.
    async with Pool(Shape(go=3, python=3, timings=replace(LAN, suspicion_mult=6))) as pool:
        await pool.join_all(twice=True)
        paused = pool.python[0]
        others = pool.others(paused)
        paused.pause()
        paused_at = time.monotonic()
        await pool.any_saw(others, "suspected", 5.0, name=paused.name)
        await pool.none_sees("failed", "gone", until=paused_at + 5.0)
        paused.resume()
        for observer in pool.python[1:]:
            await observer.saw("refuted", pool.spread_within, name=paused.name)
        # Go reports no refutation, but an update, and that only of a member that is alive.
        await paused.update_meta(b"back")
        await pool.all_saw_meta(pool.nodes, paused, b"back")
        assert set((await pool.go[0].statuses_told_by(pool.go[1])).values()) == {"alive"}
        assert [node.count("failed", "gone") for node in pool.nodes] == [0] * 6


@pytest.mark.cell(6, seconds=25)
async def test_a_node_stopped_for_fifteen_seconds_fails_and_rejoins() -> None:
    async with Pool(Shape(go=3, python=3, timings=LAN)) as pool:
        await pool.join_all(twice=True)
        paused = pool.python[0]
        others = pool.others(paused)
        paused.pause()
        paused_at = time.monotonic()
        await pool.all_saw(others, paused, "failed", "gone", within=pool.failed_within)
        since = {node: node.now() for node in pool.nodes}
        await pool.none_sees("joined", until=paused_at + 15.0, since=since)
        paused.resume()
        for node in others:
            await node.saw("joined", pool.spread_within, since[node], name=paused.name)
        await pool.all_see(pool.nodes)
        assert paused.count("failed", "gone") == 0
        assert [node.count("failed", "gone") for node in others] == [1] * 5
