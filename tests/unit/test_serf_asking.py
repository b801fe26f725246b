"""Own queries: what is sent, who is heard, when they end (Serf §11.1, §11.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND, serf
from tests.sim.solo import Solo

TIMEOUT = 5 * SECOND


def started(members: int = 0, **changes: Any) -> Solo:
    solo = Solo.start(serf=serf(**changes), probe_interval_ns=1000 * SECOND)
    solo.members(members)
    solo.forget()
    return solo


def ask(solo: Solo, **wishes: Any) -> tuple[int, int]:
    """A query; its id and Lamport time."""
    wishes.setdefault("timeout_ns", TIMEOUT)
    id_, ltime, deadline = solo.serf.query(b"q", b"p", solo.now, **wishes)
    assert deadline == solo.now + TIMEOUT
    solo.collect()
    return id_, ltime


def answer(solo: Solo, query: tuple[int, int], *names: bytes, flags: int = 0) -> None:
    id_, ltime = query
    for name in names:
        wire_serf.hear(solo, wire_serf.response(ltime, id_, name, name, flags))


def answer_own(solo: Solo) -> None:
    """This node answers its own query, as every other does."""
    solo.serf.respond(solo.events_of("query")[-1][1], b"mine", solo.now)
    solo.collect()


def ends(solo: Solo) -> list[bool]:
    """How the queries that are over ended: early or not."""
    return [event[2] for event in solo.events_of("query_done")]


def heard(solo: Solo, kind: str = "query_response") -> list[bytes]:
    return [event[2] for event in solo.events_of(kind)]


def test_a_query_says_who_asks_what_of_whom_and_how_long() -> None:
    solo = started(2)
    id_, ltime = ask(solo, nodes=[b"peer-0", b"self"], tags=[(b"role", b"web")], ack=True,
                     relay_factor=2)  # fmt: skip
    solo.run_for(SECOND)
    bodies = [body for kind, body in wire_serf.gossiped(solo) if kind == "query"]
    assert bodies[0] == {
        "Addr": bytes((10, 0, 0, 1)), "Port": 7946, "SourceNode": b"self", "Flags": 1,
        "Filters": [b"\x00" + wire.pack([b"peer-0", b"self"]),
                    b"\x01" + wire.pack({"Expr": b"web", "Tag": b"role"})],
        "ID": id_, "LTime": ltime, "Name": b"q", "Payload": b"p", "RelayFactor": 2,
        "Timeout": TIMEOUT,
    }  # fmt: skip
    assert 0 < id_ < 2**31
    assert (ltime, solo.serf.clocks()[2]) == (1, 2)
    (judged,) = solo.events_of("filter")
    assert judged[2] == [(b"role", b"web")], "it is a query to this node, too"


def test_a_query_without_filters_has_nil_for_them_and_is_its_askers_to_answer() -> None:
    solo = started(1)
    ask(solo, ack=True)
    assert heard(solo, "query_ack") == [b"self"]
    answer_own(solo)
    assert heard(solo) == [b"self"]
    solo.run_for(SECOND)
    assert wire_serf.gossiped(solo)[0][1]["Filters"] is None


def test_a_query_that_nobody_shall_broadcast_is_still_sent_by_its_asker() -> None:
    solo = started(1)
    ask(solo, no_broadcast=True)
    assert solo.serf.stats()["queries_queued"] == 1


def test_replies_are_told_once_a_name_acks_and_responses_apart() -> None:
    solo = started(2)
    query = ask(solo, ack=True)
    for _ in range(3):
        answer(solo, query, b"peer-0", flags=1)
        answer(solo, query, b"peer-0", b"", b"a stranger")
    answer(solo, query, b"peer-1", flags=3)
    answer(solo, query, b"peer-1", flags=2)
    assert heard(solo, "query_ack") == [b"self", b"peer-0", b"peer-1"]
    assert heard(solo) == [b"peer-0", b"", b"a stranger", b"peer-1"]
    assert solo.serf.stats()["replies_seen"] == 8


def test_replies_that_fit_no_query_of_ours_are_dropped() -> None:
    solo = started(1)
    id_, ltime = ask(solo)
    for query in ((id_, ltime + 1), (id_ + 1, ltime)):
        answer(solo, query, b"peer-0")
    answer(solo, (id_, ltime), b"peer-0", flags=1)  # an ack that was not asked for
    assert not heard(solo)
    assert not heard(solo, "query_ack")
    assert solo.dropped("response_unknown") == 3
    solo.run_for(TIMEOUT)
    answer(solo, (id_, ltime), b"peer-0")
    assert not heard(solo), "it is over"
    assert solo.dropped("response_unknown") == 4


def test_a_query_ends_as_soon_as_all_who_were_there_have_answered() -> None:
    solo = started(3)
    query = ask(solo)
    answer(solo, query, b"peer-0", b"peer-1")
    answer_own(solo)
    assert not ends(solo)
    answer(solo, query, b"a stranger")
    assert not ends(solo), "only who is awaited counts"
    answer(solo, query, b"peer-2")
    assert ends(solo) == [True]
    assert solo.kinds()[-2:] == ["query_response", "query_done"]
    solo.run_for(2 * TIMEOUT)
    assert ends(solo) == [True]


def test_who_fails_or_leaves_meanwhile_is_not_waited_for() -> None:
    solo = started(4)
    query = ask(solo)
    answer_own(solo)
    answer(solo, query, b"peer-0")
    solo.hear(wire.dead(b"peer-1", 1, b"somebody"))
    solo.hear(wire.dead(b"peer-0", 1, b"somebody"))  # has answered: counts once
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-2", 5))
    assert not ends(solo)
    solo.hear(wire.dead(b"peer-2", 1, b"peer-2"))
    assert not ends(solo)
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-3", 6, prune=True))
    solo.run_for(TIMEOUT - 1)
    assert not ends(solo), "one that is leaving may still answer"
    solo.run_for(1)
    assert ends(solo) == [False]


def test_a_member_that_is_forgotten_is_not_waited_for() -> None:
    solo = started(1, broadcast_timeout_ns=SECOND, leave_propagate_delay_ns=SECOND)
    ask(solo)
    answer_own(solo)
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-0", 6, prune=True))
    solo.run_for(2 * SECOND)
    assert wire_serf.status(solo, b"peer-0") == "none"
    assert ends(solo) == [True]


def test_who_joins_after_the_start_is_not_waited_for_nor_who_failed_and_came_back() -> None:
    solo = started(2)
    query = ask(solo)
    solo.member("late")
    solo.hear(wire.dead(b"peer-0", 1, b"somebody"))
    solo.hear(wire.alive(b"peer-0", bytes((10, 0, 1, 1)), 7946, 5, vsn=wire.SERF_VSN))
    assert wire_serf.status(solo, b"peer-0") == "alive"
    answer_own(solo)
    answer(solo, query, b"peer-1")
    assert ends(solo) == [True]
    solo.hear(wire.dead(b"late", 1, b"somebody"))
    assert ends(solo) == [True]


def test_with_nodes_only_those_are_waited_for_and_only_if_they_are_there() -> None:
    solo = started(3)
    solo.hear(wire.dead(b"peer-2", 1, b"somebody"))
    query = ask(solo, nodes=[b"peer-0", b"peer-1", b"peer-1", b"peer-2", b"nobody"])
    assert not solo.events_of("query"), "it is not for this node"
    answer(solo, query, b"peer-0", b"peer-2")
    assert not ends(solo)
    solo.hear(wire.dead(b"peer-1", 1, b"somebody"))
    assert ends(solo) == [True]


def test_a_query_for_nobody_who_is_there_is_over_at_once() -> None:
    solo = started(1)
    ask(solo, nodes=[b"nobody"])
    assert ends(solo) == [True]


def test_the_caller_may_say_who_is_awaited() -> None:
    solo = started(2)
    query = ask(solo, tags=[(b"role", b"web")], awaited=[b"peer-1"])
    answer(solo, query, b"peer-0")
    assert not ends(solo)
    answer(solo, query, b"peer-1")
    assert ends(solo) == [True]


def test_where_acks_are_the_answers_they_end_the_query() -> None:
    solo = started(1)
    id_, ltime, _ = solo.serf.query(b"_serf_ping", None, solo.now, ack=True, acks_answer=True)
    solo.collect()
    assert heard(solo, "query_ack") == [b"self"]
    answer(solo, (id_, ltime), b"peer-0", flags=1)
    assert ends(solo) == [True]
    assert not solo.events_of("query")


def test_a_node_that_ignores_its_own_query_does_not_wait_for_itself() -> None:
    solo = started(1)
    query = ask(solo)
    solo.serf.ignore(solo.events_of("query")[0][1])
    answer(solo, query, b"peer-0")
    assert ends(solo) == [True]
    solo = started(0)
    ask(solo)
    solo.serf.ignore(solo.events_of("query")[0][1])
    solo.collect()
    assert ends(solo) == [True]


def test_a_query_ends_at_its_deadline_and_a_negative_timeout_is_one_at_once() -> None:
    solo = started(1)
    ask(solo)
    solo.run_for(TIMEOUT - 1)
    assert not ends(solo)
    solo.run_for(1)
    assert ends(solo) == [False]
    _, _, deadline = solo.serf.query(b"q", None, solo.now, timeout_ns=-1)
    assert deadline == solo.now
    solo.run_for(0)
    assert ends(solo) == [False, False]
    assert solo.serf.stats()["queries_queued"] == 1, "it goes out all the same"


def test_of_a_cancelled_query_nothing_more_is_told() -> None:
    solo = started(1)
    query = ask(solo)
    solo.serf.cancel_query(query[0])
    solo.serf.cancel_query(query[0])
    answer(solo, query, b"peer-0")
    solo.run_for(2 * TIMEOUT)
    assert not heard(solo)
    assert not ends(solo)
    assert solo.serf.stats()["queries_running"] == 0


def test_a_query_that_is_too_long_raises_and_sends_nothing() -> None:
    solo = started(1)
    with pytest.raises(ValueError, match="query exceeds limit of 1024 bytes"):
        solo.serf.query(b"q", b"x" * 1024, solo.now)
    with pytest.raises(ValueError, match="query exceeds limit of 1024 bytes"):
        solo.serf.query(b"q", b"x" * 100_000, solo.now)
    with pytest.raises(ValueError, match="relay_factor: 256"):
        solo.serf.query(b"q", b"", solo.now, relay_factor=256)
    large = started(1, query_size_limit=9216)
    with pytest.raises(ValueError, match=r"at most 13.. fit beside a packet's headers"):
        large.serf.query(b"q", b"x" * 2000, large.now)
    for one in (solo, large):
        assert one.serf.stats()["queries_queued"] == 0
        assert one.serf.stats()["queries_running"] == 0
        assert one.serf.clocks()[2] == 1


def test_only_so_many_queries_run_at_a_time() -> None:
    solo = started(1)
    for number in range(1024):
        solo.serf.query(b"q", None, solo.now, timeout_ns=SECOND + number * MILLISECOND)
    with pytest.raises(RuntimeError, match="too many queries are under way"):
        solo.serf.query(b"q", None, solo.now)
    solo.run_for(4 * SECOND)
    assert len(ends(solo)) == 1024
    solo.serf.query(b"q", None, solo.now)


def test_names_that_answer_one_query_are_bounded_by_the_pool() -> None:
    solo = started(2)
    query = ask(solo)
    for start in range(0, 500, 50):
        names = [b"name-%d" % number for number in range(start, start + 50)]
        id_, ltime = query
        wire_serf.hear(solo, *(wire_serf.response(ltime, id_, name, b"") for name in names))
    assert len(heard(solo)) == 3 + 64
    assert solo.dropped("voters_full") == 500 - 67
