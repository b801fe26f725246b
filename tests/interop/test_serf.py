"""A bare memberlist node of ours in a pool of real Serf agents."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.serf import SerfAgent
from tests.interop.lab.timings import LAN, SCHEDULING

# Serf refuses a pool in which the delegate versions do not fit its own; `ff80` means "no tags".
SERF_SHAPED = {
    "delegate_protocol_min": 2,
    "delegate_protocol_max": 5,
    "delegate_protocol_version": 5,
    "meta": "ff80",
    "state": "",
    "ack_payload": "",
}
PROBES = 5
SIZE = 3


@pytest.mark.cell(3, seconds=25)
async def test_serf_agents_hold_our_node_for_a_member() -> None:
    async with Pool(Shape(go=0, python=1, timings=LAN, more=SERF_SHAPED)) as pool:
        (ours,) = pool.python
        async with (
            SerfAgent("serf-1", pool.network.host(1)) as first,
            SerfAgent("serf-2", pool.network.host(2)) as second,
        ):
            await second.run("join", first.address)
            assert await ours.call("join", seeds=[first.address]) == 1
            spread, agents = LAN.spread_within(SIZE), (first, second)
            for agent in agents:
                await agent.logged(f"EventMemberJoin: {ours.name}", spread)
                seen = await ours.saw("joined", spread, name=agent.name)
                assert seen["versions"] == [1, 5, 2, 2, 5, 5]
                assert seen["meta"] == "ff80"
            await they_probe_each_other(pool, agents)
            await changes_are_seen(pool, first, second)
            await ours.leave()
            # Serf takes a leave without its own intent for a failure; that layer is not ours yet.
            await first.logged(f"EventMemberFailed: {ours.name}", spread)


async def they_probe_each_other(pool: Pool, agents: tuple[SerfAgent, ...]) -> None:
    (ours,) = pool.python
    within = 2 * PROBES * SIZE * LAN.probe_interval + SCHEDULING
    await asyncio.gather(
        *(ours.saw_often("pinged", PROBES, within, name=agent.name) for agent in agents)
    )
    assert ours.count("suspected", "refuting", "failed") == 0
    for agent in agents:
        assert not agent.has_logged("Suspect")
        assert {m["status"] for m in (await agent.members()).values()} == {"alive"}
        assert (await agent.members())[ours.name]["tags"] == {}


async def changes_are_seen(pool: Pool, first: SerfAgent, second: SerfAgent) -> None:
    """New tags on either side, and the leave of an agent."""
    (ours,) = pool.python
    spread = LAN.spread_within(SIZE)
    await second.run("tags", "-set", "role=web")
    tags = b"\xff\x81\xa4role\xa3web"
    await ours.saw("updated", spread, name=second.name, meta=tags.hex())
    await ours.update_meta(tags)
    for agent in (first, second):
        await agent.logged(f"EventMemberUpdate: {ours.name}", spread)
        assert (await agent.members())[ours.name]["tags"] == {"role": "web"}
    await second.run("leave")
    await ours.saw("left", spread, name=second.name)
