"""The push/pull dialogue from both sides, its merge rules, its clock (protocol §10, §11, §20)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import wire
from tests.sim.settings import EPOCH, MILLISECOND, SECOND
from tests.sim.solo import ROUND_TRIP, Puppet, Solo, Stream

INTERVAL = 30 * SECOND
TELLS_LATER = 10 * MILLISECOND


def joined(solo: Solo, reply: bytes, *, seed_name: str = "seed") -> tuple[Puppet, tuple[Any, ...]]:
    """Join a puppet that answers `reply`; gives the puppet and the answer to the request."""
    seed = solo.puppet(seed_name, dialled="accept", serve=lambda data: reply)
    request = solo.swim.join(seed.ip, seed.port, seed.name, solo.now)
    solo.collect()
    solo.run_for(TELLS_LATER)
    (answer,) = [event for event in solo.events if event[:2] == ("done", request)]
    return seed, answer


def request_of(stream: Stream) -> dict[str, Any]:
    return wire.read_stream(stream.written)


def reply_of(stream: Stream) -> dict[str, Any]:
    return wire.read_stream(stream.written, reply=True)


def names(reply: dict[str, Any]) -> set[str]:
    return {node["Name"] for node in reply["nodes"]}


# The dialling side.


def test_a_join_sends_every_row_of_the_table_itself_included() -> None:
    solo = Solo.start(meta=b"mine")
    peer = solo.member("peer", incarnation=4, meta=b"its")
    solo.member("gone")
    solo.member("lost")
    solo.hear(wire.dead(b"gone", 1, b"gone"), wire.dead(b"lost", 1, b"peer"))
    solo.hear(wire.suspect(b"peer", 4, b"x"))
    seed, _ = joined(solo, wire.push_pull([], join=True))
    sent = request_of(solo.dialled[0])
    assert sent["header"] == {"Join": True, "Nodes": 4, "UserStateLen": 0}
    rows = {node["Name"]: node for node in sent["nodes"]}
    assert {name: row["State"] for name, row in rows.items()} == {
        "self": 0, "peer": 1, "lost": 2, "gone": 3,
    }  # fmt: skip
    assert rows["peer"] == {
        "Name": "peer", "Addr": peer.ip, "Port": 7946, "Meta": b"its", "Incarnation": 4,
        "State": 1, "Vsn": wire.VSN,
    }  # fmt: skip
    assert rows["self"]["Meta"] == b"mine"
    assert solo.state(seed.name) == "unknown", "it said nothing of itself"


def test_the_users_state_travels_both_ways() -> None:
    solo = Solo.start()
    solo.swim.set_local_state(b"my state")
    joined(solo, wire.push_pull([], join=True, user_state=b"its state"))
    sent = request_of(solo.dialled[0])
    assert sent["header"]["UserStateLen"] == 8
    assert sent["user_state"] == b"my state"
    assert solo.events_of("state") == [("state", b"its state", True)]


def test_an_empty_user_state_is_not_delivered() -> None:
    solo = Solo.start()
    joined(solo, wire.push_pull([], join=True))
    assert not solo.events_of("state")


def test_the_initiator_merges_the_reply() -> None:
    solo = Solo.start()
    far = [Puppet(b"far-%d" % number, bytes((10, 7, 0, number)), 8000) for number in range(50)]
    _, answer = joined(solo, wire.push_pull([puppet.entry() for puppet in far], join=True))
    assert answer[2] is None
    assert solo.swim.member_count == 51
    assert {solo.state(puppet.name) for puppet in far} == {"alive"}
    assert solo.row(b"far-3")[1:3] == (bytes((10, 7, 0, 3)), 8000)


def test_a_reply_in_single_bytes_is_the_same_reply() -> None:
    solo = Solo.start()
    seed = solo.puppet("seed", dialled="accept")
    solo.swim.join(seed.ip, seed.port, seed.name, solo.now)
    solo.collect()
    solo.run_for(TELLS_LATER)
    (stream,) = solo.dialled
    for byte in wire.push_pull([seed.entry()], join=True, user_state=b"state"):
        solo.feed(stream, bytes((byte,)))
    assert solo.state(b"seed") == "alive"
    assert solo.events_of("state") == [("state", b"state", True)]
    assert stream.closed_at is not None


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (wire.message(wire.ERR, {"Error": "no keys for you"}), "remote error: no keys for you"),
        (wire.ack(1), ""),
        (b"\x06\xc1", ""),
        (wire.push_pull([], node_count=-1), ""),
        (b"", "closed"),
    ],
)
def test_a_join_that_goes_wrong_says_how(reply: bytes, says: str) -> None:
    solo = Solo.start()
    _, answer = joined(solo, reply)
    assert answer[2]
    assert says in answer[2]
    assert solo.dialled[0].closed_at is not None


def test_a_join_that_is_refused_says_so() -> None:
    solo = Solo.start()
    seed = solo.puppet("seed", dialled="refuse")
    request = solo.swim.join(seed.ip, seed.port, seed.name, solo.now)
    solo.collect()
    solo.run_for(TELLS_LATER)
    (answer,) = [event for event in solo.events if event[:2] == ("done", request)]
    assert answer[2] == "connection refused"


def test_a_join_into_silence_ends_after_the_tcp_timeout() -> None:
    solo = Solo.start()
    seed = solo.puppet("seed", dialled="hang")
    request = solo.swim.join(seed.ip, seed.port, seed.name, solo.now)
    solo.collect()
    solo.run_for(10 * SECOND - 1)
    assert not [event for event in solo.events if event[0] == "done"]
    solo.run_for(1)
    (answer,) = [event for event in solo.events if event[:2] == ("done", request)]
    assert "timed out" in answer[2]
    assert solo.dialled[0].closed_at == solo.now


# The accepting side.


def test_the_acceptor_answers_before_it_merges() -> None:
    solo = Solo.start()
    newcomer = solo.puppet("newcomer")
    solo.swim.set_local_state(b"mine")
    stream = solo.dial(wire.push_pull([newcomer.entry()], join=True, user_state=b"its"))
    reply = reply_of(stream)
    assert reply["header"] == {"Join": True, "Nodes": 1, "UserStateLen": 4}
    assert names(reply) == {"self"}
    assert solo.state(b"newcomer") == "alive"
    assert solo.events_of("state") == [("state", b"its", True)]
    assert stream.closed_at == solo.now


@pytest.mark.parametrize("join", [True, False])
def test_the_reply_repeats_the_join_flag(join: bool) -> None:
    solo = Solo.start()
    stream = solo.dial(wire.push_pull([], join=join))
    assert reply_of(stream)["header"]["Join"] is join


def test_bytes_after_the_request_are_ignored() -> None:
    solo = Solo.start()
    peer = solo.puppet("peer")
    stream = solo.dial(wire.push_pull([peer.entry()]) + b"\xffgarbage")
    assert names(reply_of(stream)) == {"self"}
    assert solo.state(b"peer") == "alive"


def test_a_slow_request_is_cut_off_without_a_reply_and_changes_nothing() -> None:
    solo = Solo.start()
    peer = solo.puppet("peer")
    request = wire.push_pull([peer.entry()], join=True)
    stream = solo.dial(request[:-1])
    solo.run_for(10 * SECOND)
    assert stream.closed_at is not None
    assert stream.written == b""
    assert solo.state(b"peer") == "unknown"


def test_trickling_bytes_do_not_keep_a_stream_open() -> None:
    solo = Solo.start(tcp_timeout_ns=2 * SECOND)
    stream = solo.dial(wire.push_pull([], node_count=100))
    for _ in range(40):
        solo.feed(stream, b"\x87")
        solo.run_for(100 * MILLISECOND)
    assert stream.closed_at is not None
    assert stream.closed_at <= EPOCH + 2 * SECOND


def test_a_half_of_a_request_then_the_end_changes_nothing() -> None:
    solo = Solo.start()
    peers = [solo.puppet(f"peer-{number}") for number in range(3)]
    request = wire.push_pull([peer.entry() for peer in peers], join=True)
    for cut in range(len(request)):
        stream = solo.dial(request[:cut], ends=True)
        assert stream.closed_at is not None
        assert stream.written == b""
    assert solo.swim.member_count == 1


# Merging.


def merge(solo: Solo, *entries: dict[str, object], join: bool = False) -> None:
    solo.dial(wire.push_pull(entries, join=join))


@pytest.mark.parametrize("state", [wire.STATE_SUSPECT, wire.STATE_DEAD])
def test_a_remote_death_is_only_a_suspicion_of_our_own(state: int) -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    merge(solo, peer.entry(state))
    assert solo.state(b"peer") == "suspect"
    assert solo.events_of("suspected", b"peer")[0][2] == b"self"
    solo.run_for(400 * MILLISECOND)
    assert {message["From"] for message in solo.messages("suspect")} == {"self"}


def test_a_remote_leave_is_a_leave() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    merge(solo, peer.entry(wire.STATE_LEFT))
    assert solo.state(b"peer") == "left"
    assert solo.kinds(ignoring=("joined",)) == ["left"]


@pytest.mark.parametrize("state", [wire.STATE_SUSPECT, wire.STATE_DEAD, wire.STATE_LEFT])
def test_nothing_is_learnt_of_an_unknown_name_that_is_not_alive(state: int) -> None:
    solo = Solo.start()
    merge(solo, solo.puppet("peer").entry(state))
    assert solo.state(b"peer") == "unknown"


@pytest.mark.parametrize("state", [-1, 4, 5, 255, 1 << 40])
def test_an_unknown_state_is_ignored_and_its_neighbours_are_not(state: int) -> None:
    solo = Solo.start()
    odd, fine = solo.member("odd"), solo.puppet("fine")
    merge(solo, odd.entry(state, incarnation=9), fine.entry())
    assert (solo.state(b"odd"), solo.incarnation(b"odd")) == ("alive", 1)
    assert solo.state(b"fine") == "alive"


def test_port_nought_of_an_entry_becomes_the_own_port() -> None:
    solo = Solo.start()
    merge(solo, solo.puppet("peer").entry(port=0))
    assert solo.row(b"peer")[2] == 7946


def test_an_accusation_in_a_push_pull_is_refuted() -> None:
    solo = Solo.start()
    me = wire.push_node(b"self", bytes((10, 0, 0, 1)), 7946, 5, wire.STATE_DEAD)
    merge(solo, me)
    assert (solo.incarnation(), solo.swim.health_score) == (6, 1)


def test_versions_that_do_not_fit_stop_the_whole_merge() -> None:
    solo = Solo.start()
    good = solo.puppet("good")
    strange = solo.puppet("strange", vsn=bytes((3, 5, 3, 0, 0, 0)))
    merge(solo, good.entry(), strange.entry())
    assert solo.swim.member_count == 1
    assert solo.swim.stats()["push_pulls_refused"] == 1


def test_delegate_versions_that_do_not_fit_stop_the_whole_merge() -> None:
    solo = Solo.start()
    good = solo.puppet("good")
    strange = solo.puppet("strange", vsn=bytes((1, 5, 2, 2, 5, 4)))
    merge(solo, good.entry(), strange.entry())
    assert solo.swim.member_count == 1


def test_only_the_living_narrow_the_range_of_versions() -> None:
    solo = Solo.start()
    good = solo.puppet("good")
    relic = solo.puppet("relic", vsn=bytes((1, 1, 1, 0, 0, 0)))
    merge(solo, good.entry(), relic.entry(wire.STATE_DEAD))
    assert solo.state(b"good") == "alive"


def test_a_join_reports_versions_that_do_not_fit() -> None:
    solo = Solo.start()
    strange = Puppet(b"strange", bytes((10, 7, 0, 1)), vsn=bytes((3, 5, 3, 0, 0, 0)))
    _, answer = joined(solo, wire.push_pull([strange.entry()], join=True))
    assert "version" in answer[2]
    assert solo.swim.member_count == 1


# The clock.


def push_pulls(solo: Solo) -> list[int]:
    return [stream.opened_at for stream in solo.dialled]


def quiet_pool(members: int, seed: int = 1) -> Solo:
    solo = Solo.start(seed=seed, disable_tcp_pings=1)
    solo.members(members)
    return solo


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_first_push_pull_comes_one_to_two_intervals_after_the_start(seed: int) -> None:
    solo = quiet_pool(3, seed)
    solo.run_for(2 * INTERVAL + 1)
    (first, *_) = push_pulls(solo)
    assert EPOCH + INTERVAL <= first <= EPOCH + 2 * INTERVAL


@pytest.mark.parametrize(("members", "scale"), [(31, 1), (32, 2), (63, 2), (64, 3)])
def test_the_interval_grows_with_the_pool(members: int, scale: int) -> None:
    solo = quiet_pool(members)
    solo.run_for((1 + 3 * scale) * INTERVAL)
    first, second, *_ = push_pulls(solo)
    assert second - first == scale * INTERVAL


def test_a_push_pull_of_the_clock_is_no_join() -> None:
    solo = Solo.start(disable_tcp_pings=1)
    solo.member("peer", dialled="accept")
    solo.run_for(2 * INTERVAL + 10 * ROUND_TRIP)
    assert request_of(solo.dialled[0])["header"]["Join"] is False


def test_only_the_living_are_chosen() -> None:
    solo = Solo.start(disable_tcp_pings=1, heal_interval_ns=0)
    alive = solo.member("alive")
    solo.members(3)
    for number in range(3):
        name = b"peer-%d" % number
        solo.hear(wire.dead(name, 1, name if number else b"x"))
    solo.run_for(6 * INTERVAL)
    assert {stream.ip for stream in solo.dialled} == {alive.ip}


def test_a_suspect_is_not_chosen() -> None:
    solo = Solo.start(disable_tcp_pings=1, suspicion_mult=300)
    solo.member("peer")
    solo.hear(wire.suspect(b"peer", 1, b"x"))
    solo.run_for(5 * INTERVAL)
    assert solo.state(b"peer") == "suspect"
    assert not solo.dialled


def test_an_interval_of_nought_turns_it_off() -> None:
    solo = Solo.start(push_pull_interval_ns=0, disable_tcp_pings=1)
    solo.members(3)
    solo.run_for(100 * SECOND)
    assert not solo.dialled
