"""Queries between running `Node`s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import gossip
from gossip._core import pack

from .nodes import SECONDS_MAX, next_of, node, serf_node, stranger

Response = gossip.QueryResponse
LONG: dict[str, Any] = {"timeout": SECONDS_MAX}


@asynccontextmanager
async def answering(*nodes: gossip.Node) -> AsyncIterator[None]:
    """While the block runs each node answers every query with its own name."""

    async def answer(one: gossip.Node, events: gossip.Subscription[gossip.QueryReceived]) -> None:
        async for event in events:
            if isinstance(event, gossip.QueryReceived):
                event.respond(f"{one.name} got {event.payload.decode()}".encode())

    tasks = [asyncio.create_task(answer(each, each.events(gossip.QueryReceived))) for each in nodes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_every_node_answers_and_the_query_ends_long_before_its_time() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b, serf_node("c", a) as c:
        async with answering(a, b, c):
            query = a.query("uptime", b"x", ack=True, **LONG)
            answers = [answer async for answer in query]
        assert query.early
        assert query.members == 3
        assert query.deadline > time.monotonic()
        responses = {each.node: each.payload for each in answers if isinstance(each, Response)}
        assert responses == {name: f"{name} got x".encode() for name in "abc"}
        # An ack that is slower than the last response is not waited for.
        assert {each.node for each in answers if isinstance(each, gossip.QueryAck)} <= set("abc")


async def test_a_query_says_who_asks_and_when_it_is_over() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b:
        events = b.events(gossip.QueryReceived)
        query = a.query("uptime", b"payload", **LONG)
        asked = await next_of(events, gossip.QueryReceived)
        assert (asked.name, asked.payload, asked.source) == ("uptime", b"payload", "a")
        assert asked.ltime == query.ltime
        assert 0 < asked.deadline - time.monotonic() <= SECONDS_MAX
        with pytest.raises(gossip.ArgumentError, match="response exceeds limit of 1024 bytes"):
            asked.respond(bytes(1024))
        with pytest.raises(gossip.ArgumentError, match="an answer is bytes"):
            asked.respond("text")  # type: ignore[arg-type]
        asked.respond(b"short enough")
        with pytest.raises(gossip.StateError, match="response already sent"):
            asked.respond(b"again")
        assert await query.responses() == {"b": b"short enough"}
        assert query.early  # a has no listener, so its own query does not wait for it


async def test_an_answer_after_the_deadline_is_refused() -> None:
    async with serf_node("a") as a:
        events = a.events(gossip.QueryReceived)
        query = a.query("uptime", timeout=0.001)
        asked = await next_of(events, gossip.QueryReceived)
        assert await query.responses() == {}
        assert not query.early
        with pytest.raises(gossip.StateError, match="response is past the deadline"):
            asked.respond(b"late")


async def test_filters_choose_who_is_asked() -> None:
    async with (
        serf_node("a", tags={"role": "web-1"}) as a,
        serf_node("b", a, tags={"role": "web-22", "dc": "ams"}) as b,
        serf_node("c", a, tags={"role": "db"}) as c,
        answering(a, b, c),
    ):

        async def asked(**filters: Any) -> set[str]:
            query = a.query("q", **filters, **LONG)
            found = set(await query.responses())
            assert query.early
            assert query.members == len(found)
            return found

        await next_of(a.events(), gossip.MembersSnapshot)
        assert await asked() == {"a", "b", "c"}
        assert await asked(nodes=["b"]) == {"b"}
        assert await asked(nodes=["b", "c"]) == {"b", "c"}
        assert await asked(tags={"role": "web"}) == {"a", "b"}
        assert await asked(tags={"role": r"^web-\d$"}) == {"a"}
        assert await asked(tags={"role": "web", "dc": "^ams$"}) == {"b"}
        assert await asked(tags={"dc": "^$"}) == {"a", "c"}
        assert await asked(nodes=["a", "c"], tags={"role": "db"}) == {"c"}
        assert await asked(nodes=["nobody"], tags={"role": "db"}) == set()


async def test_reachability_is_a_ping_of_all() -> None:
    async with serf_node("a") as a, serf_node("b", a), serf_node("c", a):
        query = a.query("_serf_ping", **LONG)
        assert await query.acks() == {"a", "b", "c"}
        assert query.early


async def test_a_member_that_goes_is_not_waited_for() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b:
        events = b.events(gossip.QueryReceived)
        query = a.query("q", **LONG)
        await next_of(events, gossip.QueryReceived)
        await b.leave(timeout=SECONDS_MAX)
        assert await query.responses() == {}
        assert query.early


async def test_relayed_answers_count_once() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b, serf_node("c", a) as c:
        async with answering(a, b, c):
            query = a.query("q", b"x", relay_factor=2, **LONG)
            answers = [each async for each in query]
        assert sorted(each.node for each in answers) == ["a", "b", "c"]
        assert b.stats().serf["relays_sent"] + c.stats().serf["relays_sent"] >= 2


async def test_queries_that_break_a_rule_are_refused() -> None:
    async with serf_node("a") as a:
        for arguments, said in (
            ({"name": ""}, "at least one letter"),
            ({"name": "_serf_list-keys"}, "cannot contain the '_serf_' prefix"),
            ({"name": "_serf_ping", "payload": b"x"}, "cannot contain the '_serf_' prefix"),
            ({"name": "q", "payload": bytes(1024)}, "query exceeds limit of 1024 bytes"),
            ({"name": "q", "timeout": -1}, "up to 86400 s, not -1"),
            ({"name": "q", "timeout": float("nan")}, "up to 86400 s"),
            ({"name": "q", "relay_factor": 256}, "relay_factor"),
            ({"name": "q", "nodes": "b"}, r"write nodes=\['b'\]"),
            ({"name": "q", "nodes": [""]}, "the name of a member"),
            ({"name": "q", "tags": {"role": "("}}, "pattern '\\(' of tag 'role'"),
        ):
            with pytest.raises(gossip.ArgumentError, match=said):
                a.query(**arguments)
    old = serf_node("old", delegate_protocol_version=3)
    async with old:
        with pytest.raises(gossip.StateError, match="Feature not supported"):
            old.query("q")


async def test_a_query_that_is_closed_or_forgotten_ends() -> None:
    async with serf_node("a") as a, serf_node("b", a):
        query = a.query("q", **LONG)
        query.close()
        query.close()
        assert await query.responses() == {}
        a.query("q", **LONG)  # nobody holds it
        waiting = a.query("q", **LONG)
        task = asyncio.create_task(anext(waiting))
        await asyncio.sleep(0)
        with pytest.raises(gossip.StateError, match="another task waits"):
            await anext(waiting)
        await a.close()
        with pytest.raises(StopAsyncIteration):
            await task
        waiting.close()


async def test_answers_go_only_to_members() -> None:
    """A forged query that names a stranger's address is not answered there: no amplification."""
    versions = {f"delegate_protocol_{what}": 5 for what in ("max", "version")}
    async with (
        serf_node("a") as a,
        node("bare", a, delegate_protocol_min=2, **versions, meta=b"\xff\x80") as bare,
    ):
        with stranger() as victim:
            port = victim.getsockname()[1]
            body = {
                "Addr": bytes((127, 0, 0, 1)),
                "Filters": None,
                "Flags": 1,
                "ID": 7,
                "LTime": 5,
                "Name": "q",
                "Payload": b"",
                "Port": port,
                "RelayFactor": 255,
                "SourceNode": "nobody",
                "Timeout": 1000,
            }
            events = a.events(gossip.QueryReceived)
            await bare.send("a", b"\x04" + pack(body), timeout=SECONDS_MAX)
            assert (await next_of(events, gossip.QueryReceived)).source == "nobody"
            # An ack to a member goes out after it; had there been one before, it were there now.
            acks = await a.query("_serf_ping", nodes=["a"], timeout=SECONDS_MAX).acks()
            assert acks == {"a"}
            with pytest.raises(BlockingIOError):
                victim.recv(2000)
