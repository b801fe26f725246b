"""Two nodes of one name: the pool votes, and the one that it does not know closes (Serf §13)."""

from __future__ import annotations

from typing import Any

import pytest

import gossip

from .nodes import next_of, serf_node


async def test_the_node_that_the_pool_does_not_know_closes() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b, serf_node("c", a) as c:
        for each in (b, c):
            events = each.events()
            while len(each.members()) < 3:
                await next_of(events, gossip.MemberJoined)
        async with serf_node("b", a, c) as second:
            told = [event async for event in second.events()]  # ends when it closes
            with pytest.raises(gossip.ClosedError):
                second.members()
        conflicts = [event for event in told if isinstance(event, gossip.NameConflict)]
        assert all(event.existing.name == "b" for event in conflicts)
        assert {member.name for member in b.members()} == {"a", "b", "c"}
        assert await a.query("_serf_ping", timeout=20).acks() == {"a", "b", "c"}


async def test_without_the_vote_a_conflict_is_only_told() -> None:
    stays: dict[str, Any] = {"enable_name_conflict_resolution": False}
    async with serf_node("a") as a, serf_node("b", a), serf_node("b", **stays) as second:
        events = second.events(gossip.NameConflict)
        await second.join(str(a.address))
        conflict = await next_of(events, gossip.NameConflict)
        assert conflict.existing.address == second.address
        assert second.local_member.status is gossip.Status.ALIVE
