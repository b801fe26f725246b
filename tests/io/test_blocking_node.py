"""A Serf node without async: tags, user events, queries and the keys of the pool."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import gossip
from gossip.blocking import Node, Query, Subscription

from .blocking_program import PATIENT
from .nodes import SECONDS_MAX


def node(name: str, *seeds: Node, **fields: Any) -> Node:
    seeds_ = [str(seed.address) for seed in seeds]
    return Node(name, bind="127.0.0.1:0", seeds=seeds_, **PATIENT, **fields)


def answer_queries(events: Subscription[gossip.QueryReceived], answer: bytes) -> int:
    """On a thread, until the node is closed; gives how many it answered."""
    count = 0
    for event in events:
        if isinstance(event, gossip.QueryReceived):
            event.respond(answer + event.payload)
            with pytest.raises(gossip.StateError):
                event.respond(b"twice")
            count += 1
    return count


def test_tags_events_and_coordinates_are_shared() -> None:
    with node("a", tags={"role": "web"}) as a:
        events = a.events(gossip.UserEvent, gossip.MemberUpdated)
        with node("b", a) as b:
            assert b.tags == {}
            b.set_tags({"role": "db"}, timeout=SECONDS_MAX)
            assert b.tags == {"role": "db"}
            ltime = b.send_event("cache-refresh", b"user:7")
            found: dict[type, Any] = {}
            while len(found) < 3:
                event = events.get(timeout=SECONDS_MAX)
                found[type(event)] = event
            assert found[gossip.MemberUpdated].member.tags == {"role": "db"}
            event = found[gossip.UserEvent]
            assert (event.name, event.payload, event.ltime) == ("cache-refresh", b"user:7", ltime)
            assert b.distance("b") == 0 or b.coordinate() is not None
            with pytest.raises(gossip.StateError, match="set_tags"):
                b.update_meta(b"")


def test_queries_are_answered_on_threads_and_end_when_all_have_answered() -> None:
    with ThreadPoolExecutor(2) as threads, node("a") as a, node("b", a) as b:
        answering = [
            threads.submit(answer_queries, each.events(gossip.QueryReceived), each.name.encode())
            for each in (a, b)
        ]
        query = a.query("uptime", b"?", timeout=3600)
        assert (query.name, query.members) == ("uptime", 2)
        assert query.deadline > time.monotonic()
        assert query.responses(timeout=SECONDS_MAX) == {"a": b"a?", "b": b"b?"}
        assert query.early
        assert query.lost == 0
        each = [answer.node for answer in a.query("uptime", nodes=["b"], timeout=3600)]
        assert each == ["b"]
        a.close()
        b.close()
        assert [count.result(SECONDS_MAX) for count in answering] == [1, 2]


def test_a_query_that_nobody_answers_is_over_when_its_time_is_or_it_is_closed() -> None:
    with node("a") as a:
        silent = a.events(gossip.QueryReceived)  # somebody might answer
        query = a.query("uptime", timeout=3600)
        with pytest.raises(gossip.TimeoutExpired, match="was not over within"):
            query.responses(timeout=0.01)
        query.close()
        assert list(query) == []
        assert a.query("uptime", ack=True, timeout=0.01).responses(timeout=SECONDS_MAX) == {}
        assert a.query("_serf_ping", timeout=3600).acks(timeout=SECONDS_MAX) == {"a"}
        last: Query = a.query("uptime", timeout=3600)
    assert last.responses(timeout=SECONDS_MAX) == {}, "it ended with the node"
    assert [type(event) for event in silent].count(gossip.QueryReceived) == 3, "a ping is none"


def test_the_keys_of_the_pool_are_changed() -> None:
    old, new = gossip.generate_key(), gossip.generate_key()
    with node("a", key=old) as a, node("b", a, key=old) as b:
        a.keys.install(new, timeout=SECONDS_MAX)
        a.keys.use(new, timeout=SECONDS_MAX)
        report = a.keys.remove(old, timeout=SECONDS_MAX)
        assert report.answered == {"a", "b"}
        assert a.keyring.keys == b.keyring.keys == (new,)
        assert a.keys.list(timeout=SECONDS_MAX).primary_keys == {gossip.encode_key(new): 2}


def test_a_member_is_made_to_leave() -> None:
    with node("a") as a:
        b = node("b", a).start()
        joined = a.events(gossip.MemberLeft)
        b.leave(timeout=SECONDS_MAX)
        b.close()
        next(joined)
        assert isinstance(joined.get(timeout=SECONDS_MAX), gossip.MemberLeft)
        a.force_leave("b", prune=True, timeout=SECONDS_MAX)
        a.force_leave("nobody", timeout=SECONDS_MAX)
        assert a.join(str(a.address), replay=True, timeout=SECONDS_MAX).reached == 0
