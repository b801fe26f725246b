"""Our nodes in a pool of real Serf agents of two versions: everything, in both directions.

What the agents think is asked through their own command line. Questions that gossip may miss, or
that a busy machine answers too late, are asked again.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import pytest

import gossip
from tests.interop.lab.serf import SerfAgent, SerfMonitor
from tests.interop.lab.serf_pool import Ours, SerfPool, until
from tests.interop.lab.timings import LAN

KEY, SECOND, THIRD = bytes(range(32)), bytes(range(16)), bytes(range(40, 64))
SPREAD = LAN.spread_within(8)
FAILED = LAN.failed_within(8)


@pytest.mark.cell(8, seconds=90)
@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
async def test_our_nodes_are_members_of_a_pool_of_both_versions(key: bytes | None) -> None:
    async with SerfPool(key) as pool:
        await pool.all_see("alive", pool.names, SPREAD)
        await tags_are_seen(pool)
        await events_reach_everybody_once(pool)
        await queries_are_answered_by_all(pool)
        if key is not None:
            await keys_are_rotated_from_either_side(pool)
        await everybody_is_reached_and_near(pool)
        await the_dead_are_removed(pool)
        await goodbyes_are_understood(pool)


async def tags_are_seen(pool: SerfPool) -> None:
    for agent in (pool.go[0], pool.debian[0]):
        members = await agent.members()
        assert {members[one.name]["tags"]["role"] for one in pool.ours} == {"py"}
        listed = await agent.run("members", "-detailed", "-tag", "role=py")
        assert listed.count("Protocol Version: 4  Available Protocol Range: [2, 5]") == 3
    for one in pool.ours:
        seen = {member.name: member for member in one.node.members()}
        assert {seen[agent.name].tags["role"] for agent in pool.go} == {"go"}
        assert {seen[agent.name].tags["role"] for agent in pool.debian} == {"debian"}
        assert seen["go-1"].versions == (1, 5, 2, 2, 5, 5)
    await pool.debian[1].run("tags", "-set", "version=7")
    for one in pool.ours:
        updated = await one.saw(gossip.MemberUpdated, SPREAD, member="debian-2")
        assert updated.member.tags == {"role": "debian", "version": "7"}
    await pool.ours[0].node.set_tags({"role": "py", "zone": "ü"})

    for agent in pool.agents:

        async def check(agent: SerfAgent = agent) -> bool | None:
            return (await agent.members())["py-1"]["tags"] == {"role": "py", "zone": "ü"} or None

        await until(f"{agent.name} sees new tags", SPREAD, check)


async def events_reach_everybody_once(pool: SerfPool) -> None:
    async with SerfMonitor(pool.go[1]) as new, SerfMonitor(pool.debian[0]) as old:
        for sender in pool.agents:
            await sender.run("event", "-coalesce=false", f"from-{sender.name}", "payload")
        for one in pool.ours:
            one.node.send_event(f"from-{one.name}", b"payload", coalesce=False)
        for name in pool.names:
            for monitor in (new, old):
                await monitor.saw(f'Name: "from-{name}"', SPREAD)
            for one in pool.ours:
                event = await one.saw(gossip.UserEvent, SPREAD, name=f"from-{name}")
                assert (event.payload, event.coalesce) == (b"payload", False)
    for one in pool.ours:
        assert all(len(one.events(f"from-{name}")) == 1 for name in pool.names)


async def queries_are_answered_by_all(pool: SerfPool) -> None:
    for one in pool.ours:
        assert await asked_by_us(one, pool.names) == pool.names
    for agent in (pool.go[0], pool.debian[0]):
        assert await asked_by_agent(agent, pool.names) == pool.names
    assert await asked_by_us(pool.ours[0], {"py-2"}, nodes=["py-2"]) == {"py-2"}
    debian = {agent.name for agent in pool.debian}
    assert await asked_by_us(pool.ours[1], debian, tags={"role": "^deb.an$"}) == debian
    ours = {one.name for one in pool.ours}
    assert await asked_by_agent(pool.go[1], ours, "-tag=role=^py$", "-relay-factor=2") == ours
    assert await asked_by_agent(pool.debian[1], {"py-3"}, "-node=py-3") == {"py-3"}


async def asked_by_us(
    one: Ours, wanted: set[str], nodes: list[str] | None = None, tags: dict[str, str] | None = None
) -> set[str]:
    async def check() -> set[str] | None:
        query = one.node.query("who", nodes=nodes or (), tags=tags, ack=True, relay_factor=1)
        answers = await query.responses()
        assert all(payload == f"{name}\n".encode() for name, payload in answers.items())
        return set(answers) if set(answers) >= wanted else None

    return await until(f"{one.name} is answered by {wanted}", SPREAD, check)


async def asked_by_agent(agent: SerfAgent, wanted: set[str], *options: str) -> set[str]:
    async def check() -> set[str] | None:
        answer = json.loads(await agent.run("query", "-format=json", *options, "who"))
        assert all(said == f"{name}\n" for name, said in answer["Responses"].items())
        complete = set(answer["Responses"]) >= wanted and set(answer["Acks"]) >= wanted
        return set(answer["Responses"]) if complete else None

    return await until(f"{agent.name} is answered by {wanted}", SPREAD, check)


async def keys_are_rotated_from_either_side(pool: SerfPool) -> None:
    first, second, third = (gossip.encode_key(key) for key in (KEY, SECOND, THIRD))
    await succeeds(pool.go[0], "-install", second)
    await succeeds(pool.debian[0], "-use", second)
    await succeeds(pool.go[2], "-remove", first)
    assert await listed(pool.debian[1]) == {second: 8}
    for one in pool.ours:
        assert one.node.keyring.keys == (SECOND,)
        assert gossip.parse_keys(pool.keyring_file(one.name).read_text()) == (SECOND,)
    keys = pool.ours[0].node.keys
    await agreed(lambda: keys.install(THIRD))
    await agreed(lambda: keys.use(THIRD))
    await agreed(lambda: keys.remove(SECOND))
    report = await agreed(keys.list)
    assert report.keys == report.primary_keys == {third: 8}
    assert report.answered == pool.names
    assert await listed(pool.go[1]) == {third: 8}
    for agent in pool.agents:
        assert gossip.parse_keys(pool.keyring_file(agent.name).read_text()) == (THIRD,)


async def succeeds(agent: SerfAgent, *arguments: str) -> None:
    async def check() -> bool | None:
        return "Successfully" in await agent.run("keys", *arguments, check=False) or None

    await until(f"{agent.name}: serf keys {arguments}", SPREAD, check)


async def listed(agent: SerfAgent) -> dict[str, int]:
    async def check() -> dict[str, int] | None:
        said = await agent.run("keys", "-list", check=False)
        found = re.findall(r"^\s*(\S+)\s+\[(\d+)/8\]$", said, re.M)
        return {key: int(count) for key, count in found} if "gathered" in said else None

    return await until(f"{agent.name}: serf keys -list", SPREAD, check)


async def agreed(call: Callable[[], Awaitable[gossip.KeyReport]]) -> gossip.KeyReport:
    async def check() -> gossip.KeyReport | None:
        try:
            report = await call()
        except gossip.KeyQueryError as error:
            if error.report.errors:
                raise
            return None
        return report

    return await until("all change their keys", SPREAD, check)


async def everybody_is_reached_and_near(pool: SerfPool) -> None:
    for agent in (pool.go[0], pool.debian[0]):

        async def reached(agent: SerfAgent = agent) -> bool | None:
            said = await agent.run("reachability", check=False)
            return "Successfully contacted all live nodes" in said or None

        await until(f"{agent.name} reaches all", SPREAD, reached)

        async def near(agent: SerfAgent = agent) -> bool | None:
            said = await agent.run("rtt", "py-1", "py-2", check=False)
            return re.search(r"Estimated py-1 <-> py-2 rtt: [\d.]+ ms", said) is not None or None

        await until(f"{agent.name} knows how far we are", SPREAD, near)
    for one in pool.ours:

        async def acked(one: Ours = one) -> bool | None:
            return await one.node.query("_serf_ping").acks() == pool.names or None

        await until(f"{one.name} reaches all", SPREAD, acked)

        async def far(one: Ours = one) -> bool | None:
            found = one.node.distance("go-1", "debian-1")
            return True if found is not None and 0 < found < 10 else None

        await until(f"{one.name} knows how far the agents are", SPREAD, far)


async def the_dead_are_removed(pool: SerfPool) -> None:
    """An agent and one of ours end without a word; each is pruned by the other side."""
    agent, one = pool.go.pop(), pool.ours.pop()
    agent.kill()
    await agent.ended(SPREAD)
    await one.close()
    gone = {agent.name, one.name}
    await pool.all_see("failed", gone, FAILED)
    await pool.debian[0].run("force-leave", one.name)
    await pool.ours[0].node.force_leave(agent.name)
    await pool.all_see("left", gone, SPREAD)
    await pool.go[0].run("force-leave", "-prune", one.name)
    await pool.ours[0].node.force_leave(agent.name, prune=True)
    await pool.all_see("left", set(), SPREAD)
    for other in pool.ours:
        for name in gone:
            await other.saw(gossip.MemberReaped, SPREAD, member=name)
            assert other.node.member(name) is None


async def goodbyes_are_understood(pool: SerfPool) -> None:
    agent, one = pool.debian.pop(), pool.ours.pop()
    await asyncio.gather(agent.run("leave"), one.node.leave())
    await one.close()
    for other in pool.ours:
        await other.saw(gossip.MemberLeft, SPREAD, member=agent.name)
    await pool.all_see("left", {agent.name, one.name}, SPREAD)
    assert not any(isinstance(event, gossip.NameConflict) for event in pool.ours[0].told)
