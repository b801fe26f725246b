"""Snapshots change sides: a real agent comes back through ours, and we through the agent's."""

from __future__ import annotations

import pytest

import gossip
from gossip._serf.snapshot import replay
from tests.interop.lab.serf_pool import SerfPool, until
from tests.interop.lab.timings import LAN

SPREAD = LAN.spread_within(9)


@pytest.mark.cell(7, seconds=40)
async def test_either_side_comes_back_through_the_other_s_snapshot() -> None:
    async with SerfPool(bytes(16)) as pool:
        path = pool.folder / "snapshot"
        ours = await pool.add("py-9", 1, snapshot_path=path)
        await ours.node.join(pool.debian[0].address)
        ltime = ours.node.send_event("remembered")
        await pool.all_see("alive", {*pool.names, "py-9"}, SPREAD)
        await ours.saw(gossip.UserEvent, SPREAD, name="remembered")
        await ours.close()
        found = replay(path.read_bytes(), rejoin_after_leave=False)
        assert set(found.alive) == {*pool.names, "py-9"}
        assert (found.event_clock, found.skipped) == (ltime, 0)

        agent = await pool.add_agent("go-9", 2, f"-snapshot={path}")
        everybody = {*pool.names, "go-9"}

        async def rejoined() -> bool | None:
            members = await agent.members()
            alive = {name for name, each in members.items() if each["status"] == "alive"}
            return everybody <= alive or None

        await until("the agent is back through our snapshot", SPREAD, rejoined)
        await agent.run("event", "-coalesce=false", "later")
        for one in pool.ours:
            later = (await one.saw(gossip.UserEvent, SPREAD, name="later")).ltime
            assert later > ltime  # its clock stood in our file

        async def written() -> bool | None:
            return replay(path.read_bytes(), rejoin_after_leave=False).event_clock == later or None

        await until("the agent has written what it heard", SPREAD, written)
        agent.kill()
        await agent.ended(SPREAD)

        again = await pool.add("py-8", 3, snapshot_path=path)
        await again.sees(SPREAD, dict.fromkeys(pool.names, "alive"))
        assert again.node.send_event("last") > later
        for one in pool.ours:
            await one.saw(gossip.UserEvent, SPREAD, name="last")
        assert not again.events("later")
