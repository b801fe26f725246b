"""Running nodes find each other again: seeds that are no members are called, and the lost."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

import gossip
from gossip._core import encode_message
from gossip._io.joining import Joiner
from gossip.errors import RequestError

from .nodes import QUICK, SECONDS_MAX, next_of, node, serf_node, stranger
from .test_joining import names

MEMBER = gossip.Address("10.0.0.1", 7946)
AWAY = gossip.Address("10.0.0.2", 7946)


class Pool:
    """The members as a joiner asks for them; every question is counted."""

    def __init__(self, up: set[gossip.Address], size: int = 1) -> None:
        self.up, self._size = up, size
        self.drawn = self.asked = 0
        self._changed = asyncio.Event()

    def size(self) -> int:
        self.drawn += 1
        self._changed.set()
        return self._size

    async def up_at(self, address: gossip.Address) -> bool:
        self.asked += 1
        return address in self.up

    async def draws(self, count: int) -> None:
        """Until it was drawn so often whose turn it is."""
        async with asyncio.timeout(SECONDS_MAX):
            while self.drawn < count:
                self._changed.clear()
                await self._changed.wait()


class Calls:
    """What a joiner calls; each call fails, or succeeds for those that answer."""

    def __init__(self, *answering: gossip.Address) -> None:
        self.made: list[gossip.Address] = []
        self._answering = answering

    async def __call__(self, address: gossip.Address, node_name: bytes) -> None:
        self.made.append(address)
        if address not in self._answering:
            raise RequestError("nobody there")


async def called(
    calls: Calls, pool: Pool, *, draws: int, heal_time: float = 60.0, **fields: Any
) -> Joiner:
    """Has two seeds called until so many draws were made."""
    own: frozenset[gossip.Address] = fields.pop("own", frozenset())
    joiner = Joiner("me", 7946, own, fields.pop("require", False), calls)
    seeds = [str(MEMBER), str(AWAY)]
    task = asyncio.create_task(joiner.keep_calling(seeds, 0.001, heal_time, pool))
    await pool.draws(draws)
    task.cancel()
    await asyncio.wait([task])
    return joiner


async def test_only_the_seed_that_is_no_member_is_called_and_each_call_counts() -> None:
    calls, pool = Calls(), Pool({MEMBER})
    joiner = await called(calls, pool, draws=10)
    assert set(calls.made) == {AWAY}
    assert joiner.calls == len(calls.made) >= 9


async def test_when_all_seeds_are_members_nobody_is_called() -> None:
    calls, pool = Calls(), Pool({MEMBER, AWAY})
    await called(calls, pool, draws=10)
    assert calls.made == []
    assert pool.asked >= 18


async def test_its_own_address_is_not_called() -> None:
    calls, pool = Calls(), Pool({MEMBER})
    await called(calls, pool, draws=10, own=frozenset({AWAY}))
    assert calls.made == []


async def test_where_node_names_are_required_a_seed_without_one_is_not_called() -> None:
    calls, pool = Calls(), Pool(set())
    await called(calls, pool, draws=10, require=True)
    assert calls.made == []


async def test_a_seed_that_stays_away_is_given_up_after_the_heal_time() -> None:
    calls, pool = Calls(), Pool({MEMBER})
    await called(calls, pool, draws=50, heal_time=0.0)
    assert calls.made == [AWAY]


async def test_one_that_answers_without_becoming_a_member_is_not_given_up() -> None:
    """As behind a balancer: its address is no member's."""
    calls, pool = Calls(AWAY), Pool({MEMBER})
    await called(calls, pool, draws=20, heal_time=0.0)
    assert len(calls.made) >= 19


async def test_the_nodes_of_a_large_pool_take_turns() -> None:
    """Two seeds and 100,000 members: each node calls once in 50,000 intervals."""
    calls, pool = Calls(), Pool({MEMBER}, size=100_000)
    await called(calls, pool, draws=100)
    assert len(calls.made) <= 3


async def test_a_name_that_stands_for_another_island_now_brings_the_two_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with node("a", bind="127.0.0.1:0") as a, node("c", bind="127.0.0.9:0") as c:
        table = {"pool.example": ["127.0.0.1"], "new.example": []}
        seeds = [f"pool.example:{a.address.port}", f"new.example:{c.address.port}"]
        with names(monkeypatch, table):
            b = gossip.Memberlist("b", bind="127.0.0.2:0", seeds=seeds, heal_interval=0.1)
            async with b:
                events = b.events(gossip.MemberJoined)
                assert {member.name for member in b.members()} == {"a", "b"}
                table["new.example"] = ["127.0.0.9"]
                await next_of(events, gossip.MemberJoined, member="c")
                assert b.stats().seed_calls >= 1


@pytest.mark.parametrize("make", [node, serf_node], ids=["Memberlist", "Node"])
async def test_a_member_that_comes_back_is_found_and_it_is_told(make: Any) -> None:
    """Nobody knows a seed; only the memory of who was there."""
    fields: dict[str, Any] = {**QUICK, "heal_interval": 0.2, "gossip_to_the_dead_time": 0.0}
    async with make("a", **fields) as a:
        b = await make("b", a, **fields).start()
        place = str(b.address)
        healed, failed = a.events(gossip.PartitionHealed), a.events(gossip.MemberFailed)
        await b.close()
        await next_of(failed, gossip.MemberFailed, member="b")
        async with make("b", bind=place, **fields):
            event = await next_of(healed, gossip.PartitionHealed)
            assert (event.lost, event.regained) == (("b",), ("b",))
            member = a.member("b")
            assert member is not None
            assert member.status == gossip.Status.ALIVE
        assert a.stats().core["heal_answers"] >= 1


async def test_the_first_incarnation_is_the_time_since_2025() -> None:
    before = int(time.time())
    async with node("a") as a:
        started = a.local_member.incarnation + 1_735_689_600 - 1
        assert before <= started <= int(time.time())


class Lines(logging.Handler):
    """The lines of the log, for a task that waits for one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put_nowait(record.getMessage())

    async def next(self) -> str:
        async with asyncio.timeout(SECONDS_MAX):
            return await self._lines.get()


async def test_a_claim_about_us_that_no_clock_explains_is_a_warning() -> None:
    lines = Lines()
    log = logging.getLogger("gossip")
    async with node("a") as a:
        own = a.local_member.incarnation
        body = {"Incarnation": own + (1 << 21), "Node": "a", "From": "x"}
        log.addHandler(lines)
        try:
            with stranger() as bare:
                bare.sendto(encode_message("suspect", body), (a.address.host, a.address.port))
                line = await lines.next()
        finally:
            log.removeHandler(lines)
        assert line.startswith(f"a: a peer speaks of incarnation {own + (1 << 21)} of this node")
        assert a.local_member.incarnation == own + (1 << 21) + 1
