"""Who may become a member: networks, names, limits, accept_member, conflicts: protocol §12, §19."""

from __future__ import annotations

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo, ip

INSIDE = [(ip("10.0.0.0"), 16)]


def stranger(name: bytes, address: str = "10.0.9.9") -> Puppet:
    return Puppet(name, ip(address))


# Networks.


def test_an_alive_packet_from_a_foreign_network_is_dropped() -> None:
    solo = Solo.start(cidrs=INSIDE)
    solo.hear(stranger(b"peer").alive(), source=stranger(b"x", "192.0.2.1"))
    assert solo.state(b"peer") == "unknown"
    assert solo.dropped("cidr") == 1


def test_an_alive_packet_about_a_foreign_address_is_dropped() -> None:
    solo = Solo.start(cidrs=INSIDE)
    friend = stranger(b"friend")
    solo.hear(stranger(b"peer", "10.1.0.1").alive(), source=friend)
    assert solo.state(b"peer") == "unknown"
    solo.hear(stranger(b"peer", "10.0.200.1").alive(), source=friend)
    assert solo.state(b"peer") == "alive"


def test_a_mapped_address_matches_the_ipv4_networks() -> None:
    solo = Solo.start(cidrs=INSIDE)
    friend = stranger(b"friend")
    mapped = bytes(10) + b"\xff\xff"
    solo.hear(wire.alive(b"in", mapped + ip("10.0.3.3"), 7946, 1), source=friend)
    solo.hear(wire.alive(b"out", mapped + ip("10.3.3.3"), 7946, 1), source=friend)
    assert (solo.state(b"in"), solo.state(b"out")) == ("alive", "unknown")


def test_only_alive_is_filtered() -> None:
    solo = Solo.start(cidrs=INSIDE)
    friend = solo.puppet("peer")
    solo.hear(friend.alive(), source=friend)
    foreign = stranger(b"x", "192.0.2.1")
    solo.hear(wire.ping(3, b"self"), wire.user(b"hello"), source=foreign)
    solo.hear(wire.suspect(b"peer", 1, b"x"), source=foreign)
    assert solo.messages("ackResp")
    assert solo.events_of("message")
    assert solo.state(b"peer") == "suspect"


def test_a_push_pull_passes_the_check_of_addresses_only() -> None:
    solo = Solo.start(cidrs=INSIDE)
    inside, outside = stranger(b"inside"), stranger(b"outside", "10.1.0.1")
    solo.dial(wire.push_pull([inside.entry(), outside.entry()], join=True))
    assert (solo.state(b"inside"), solo.state(b"outside")) == ("alive", "unknown")


def test_a_move_to_a_foreign_address_is_refused_before_any_conflict() -> None:
    solo = Solo.start(cidrs=INSIDE)
    friend = solo.puppet("peer")
    solo.hear(friend.alive(), source=friend)
    solo.hear(wire.dead(b"peer", 1, b"peer"))
    moved = stranger(b"peer", "10.1.0.1")
    solo.dial(wire.push_pull([moved.entry(incarnation=9)]))
    assert solo.state(b"peer") == "left"
    assert not solo.events_of("conflict")
    assert solo.dropped("cidr") == 1


# Names, metadata, addresses, versions.


@pytest.mark.parametrize(
    "name", [b"", b"tab\tbed", b"nul\0", b"del\x7f", b"line\nbreak", b"x" * 256]
)
def test_impossible_names_are_refused(name: bytes) -> None:
    solo = Solo.start()
    solo.hear(stranger(name).alive())
    assert solo.swim.member_count == 1
    assert solo.dropped("name") == 1


@pytest.mark.parametrize("name", [b"x" * 255, "zwölf".encode(), b"with space", b"\xff\xfe"])
def test_any_other_bytes_are_a_name(name: bytes) -> None:
    solo = Solo.start()
    solo.hear(stranger(name).alive())
    assert solo.state(name) == "alive"


@pytest.mark.parametrize(("name", "fits"), [
    (b"web-1.example", True), (b"x" * 128, True), (b"x" * 129, False),
    (b"under_score", False), (b"with space", False), ("zwölf".encode(), False),
])  # fmt: skip
def test_the_name_rule_of_serf(name: bytes, fits: bool) -> None:
    solo = Solo.start(name_rule=1)
    solo.hear(stranger(name).alive())
    assert (solo.state(name) == "alive") is fits


def test_metadata_over_its_limit_is_refused() -> None:
    solo = Solo.start()
    solo.hear(stranger(b"fits").alive(meta=bytes(512)), stranger(b"big").alive(meta=bytes(513)))
    assert (solo.state(b"fits"), solo.state(b"big")) == ("alive", "unknown")
    assert solo.dropped("meta") == 1


@pytest.mark.parametrize("addr", [None, b"", b"\x01\x02\x03", bytes(5), bytes(17)])
def test_unusable_addresses_are_refused(addr: bytes | None) -> None:
    solo = Solo.start()
    solo.hear(stranger(b"peer").alive(addr=addr))
    assert solo.state(b"peer") == "unknown"
    assert solo.dropped("address") == 1


@pytest.mark.parametrize("vsn", [
    None, b"", b"\1\5\2", b"\1\5\2\0\0", b"\0\5\2\0\0\0", b"\1\0\2\0\0\0", b"\4\3\3\0\0\0",
    b"\3\5\3\0\0\0", b"\1\1\1\0\0\0", b"\1\5\2\2\5\4",
])  # fmt: skip
def test_versions_that_would_poison_the_pool_are_refused(vsn: bytes | None) -> None:
    solo = Solo.start()
    solo.hear(stranger(b"peer").alive(vsn=vsn))
    assert solo.state(b"peer") == "unknown"
    assert solo.dropped("vsn") == 1


# Limits.


def test_a_packet_brings_only_so_many_new_names() -> None:
    solo = Solo.start(new_names_per_packet=3)
    solo.hear(*[stranger(b"peer-%d" % number).alive() for number in range(10)])
    assert solo.swim.member_count == 4
    assert solo.dropped("new_names") == 7
    solo.hear(*[stranger(b"peer-%d" % number).alive(2) for number in range(10)])
    assert solo.swim.member_count == 7, "known names do not count"


def test_the_table_ends_at_max_members() -> None:
    solo = Solo.start(max_members=5)
    for number in range(10):
        solo.hear(stranger(b"peer-%d" % number).alive())
    assert solo.swim.member_count == 5
    assert solo.dropped("members_full") == 6
    solo.hear(stranger(b"peer-0").alive(2, meta=b"new"))
    assert solo.row(b"peer-0")[3] == b"new", "members still update"


def test_a_push_pull_ends_at_max_members_too() -> None:
    solo = Solo.start(max_members=5)
    entries = [stranger(b"peer-%d" % number).entry() for number in range(10)]
    solo.dial(wire.push_pull(entries, join=True))
    assert solo.swim.member_count == 5


# accept_member.


def test_an_unknown_name_is_asked_about_once_and_is_no_member_yet() -> None:
    solo = Solo.start(ask_accept_member=1)
    for incarnation in (1, 2, 2, 5):
        solo.hear(stranger(b"peer").alive(incarnation, meta=b"%d" % incarnation))
    (event,) = solo.events_of("asked")
    assert event[1][:4] == (b"peer", ip("10.0.9.9"), 7946, b"1")
    assert solo.swim.member(b"peer") is None
    assert solo.swim.member_count == 1
    assert solo.kinds(ignoring=("asked",)) == ["joined"], "only the node itself"
    (node,) = wire.read_stream(solo.dial(wire.push_pull([])).written, reply=True)["nodes"]
    assert node["Name"] == "self"


def test_a_pending_name_is_neither_probed_nor_gossiped_to() -> None:
    solo = Solo.start(ask_accept_member=1)
    solo.hear(stranger(b"peer").alive())
    solo.run_for(5 * SECOND)
    assert not solo.sent


def test_an_admitted_name_joins_with_the_latest_that_was_heard() -> None:
    solo = Solo.start(ask_accept_member=1)
    for incarnation, meta in ((1, b"old"), (3, b"new"), (3, b"other"), (2, b"late")):
        solo.hear(stranger(b"peer").alive(incarnation, meta=meta))
    solo.swim.admit(b"peer", True, solo.now)
    solo.collect()
    (event,) = solo.events_of("joined", b"peer")
    assert (event[1][3], event[1][6]) == (b"new", 3)
    assert solo.state(b"peer") == "alive"
    solo.run_for(900 * MILLISECOND)
    assert "peer" in {claim["Node"] for claim in solo.messages("alive")}


def test_a_refused_name_stays_out_and_is_not_asked_about_again() -> None:
    solo = Solo.start(ask_accept_member=1)
    solo.hear(stranger(b"peer").alive())
    solo.swim.admit(b"peer", False, solo.now)
    for incarnation in range(2, 5):
        solo.hear(stranger(b"peer").alive(incarnation))
    assert len(solo.events_of("asked")) == 1
    assert solo.swim.member(b"peer") is None
    assert solo.dropped("not_accepted") == 3


def test_accusations_of_a_pending_name_are_ignored() -> None:
    solo = Solo.start(ask_accept_member=1)
    solo.hear(stranger(b"peer").alive())
    solo.hear(wire.suspect(b"peer", 1, b"x"), wire.dead(b"peer", 1, b"x"))
    solo.swim.admit(b"peer", True, solo.now)
    solo.collect()
    assert solo.state(b"peer") == "alive"


def test_an_answer_about_a_name_that_does_not_wait_is_nothing() -> None:
    solo = Solo.start(ask_accept_member=1)
    solo.swim.admit(b"nobody", True, solo.now)
    solo.swim.admit(b"self", False, solo.now)
    solo.collect()
    assert solo.state(b"self") == "alive"
    assert solo.swim.member_count == 1


def test_names_that_were_refused_do_not_shut_the_door_for_others() -> None:
    solo = Solo.start(ask_accept_member=1)
    for number in range(1500):
        name = b"bogus-%d" % number
        solo.hear(stranger(name).alive())
        solo.swim.admit(name, False, solo.now)
    solo.hear(stranger(b"honest").alive())
    solo.swim.admit(b"honest", True, solo.now)
    solo.collect()
    assert solo.state(b"honest") == "alive"


def test_pending_names_are_bounded() -> None:
    solo = Solo.start(ask_accept_member=1)
    for number in range(3000):
        solo.hear(stranger(b"bogus-%d" % number).alive())
    assert len(solo.events_of("asked")) <= 1024
    assert solo.dropped("members_full") >= 1900


# Conflicts.


def test_another_node_with_a_members_name_is_one_conflict() -> None:
    solo = Solo.start()
    peer = solo.member("peer", meta=b"first")
    other = stranger(b"peer")
    solo.forget()
    for incarnation in (1, 2, 9):
        solo.hear(other.alive(incarnation, meta=b"second"), source=other)
    (event,) = solo.events
    assert event[0] == "conflict"
    assert event[1][:4] == (b"peer", peer.ip, 7946, b"first")
    assert event[2:] == (other.ip, 7946, b"second")
    assert solo.incarnation(b"peer") == 1


def test_another_node_with_our_own_name_is_one_conflict() -> None:
    solo = Solo.start()
    twin = stranger(b"self")
    solo.forget()
    for incarnation in (1, 5):
        solo.hear(twin.alive(incarnation), source=twin)
    (event,) = solo.events
    assert (event[0], event[1][0], event[2]) == ("conflict", b"self", twin.ip)
    assert (solo.incarnation(), solo.swim.health_score) == (1, 0)


def test_each_other_address_is_a_conflict_of_its_own() -> None:
    solo = Solo.start()
    solo.member("peer")
    for _ in range(3):
        for last in range(1, 4):
            solo.hear(stranger(b"peer", f"10.9.9.{last}").alive(9))
    assert len(solo.events_of("conflict")) == 3


def test_the_two_forms_of_one_ipv4_address_are_a_conflict() -> None:
    """Protocol §12.1: addresses are compared as raw bytes."""
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(peer.alive(2, addr=bytes(10) + b"\xff\xff" + peer.ip))
    assert solo.kinds()[-1] == "conflict"
    assert solo.row(b"peer")[1] == peer.ip


# Claims about this node itself.


def test_an_alive_about_ourselves_from_a_foreign_network_is_dropped() -> None:
    solo = Solo.start(cidrs=INSIDE)
    own = stranger(b"self", "10.0.0.1")
    solo.hear(own.alive(7), source=stranger(b"x", "192.0.2.1"))
    assert (solo.incarnation(), solo.dropped("cidr")) == (1, 1)
    solo.hear(own.alive(7), source=stranger(b"x"))
    assert solo.incarnation() == 8


def test_an_alive_about_ourselves_with_absurd_versions_is_ignored() -> None:
    solo = Solo.start()
    own = stranger(b"self", "10.0.0.1")
    for vsn in (b"\0\5\2\0\0\0", b"\1\0\2\0\0\0", b"\3\2\2\0\0\0"):
        solo.hear(own.alive(7, vsn=vsn))
    assert (solo.incarnation(), solo.dropped("vsn")) == (1, 3)


def test_another_node_of_our_name_without_a_usable_address_is_no_conflict() -> None:
    solo = Solo.start()
    solo.hear(stranger(b"self").alive(addr=b"\1\2\3"))
    assert not solo.events_of("conflict")
    assert solo.dropped("address") == 1
