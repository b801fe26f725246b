"""Answering pings, and helping others to ping: protocol §4.1 to §4.4."""

from __future__ import annotations

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo

ME = bytes((10, 0, 0, 1))


def last(solo: Solo) -> tuple[bytes, int]:
    return solo.sent[-1].ip, solo.sent[-1].port


@pytest.mark.parametrize("node", [b"self", b""])
def test_a_ping_is_answered_with_its_number_and_no_payload(node: bytes) -> None:
    solo = Solo.start()
    solo.hear(wire.ping(77, node))
    (packet,) = solo.sent
    (ack,) = packet.messages
    assert (ack.kind, ack["SeqNo"], ack["Payload"]) == ("ackResp", 77, None)
    assert last(solo) == (bytes((192, 0, 2, 1)), 4242)


def test_a_ping_for_another_name_is_counted_and_not_answered() -> None:
    solo = Solo.start()
    solo.hear(wire.ping(77, b"other"))
    assert not solo.sent
    assert solo.dropped("ping_wrong_node") == 1


def test_an_ack_carries_the_payload_of_the_application() -> None:
    solo = Solo.start()
    solo.swim.set_ack_payload(b"coordinates")
    solo.hear(wire.ping(1, b"self"))
    assert solo.messages("ackResp")[0]["Payload"] == b"coordinates"
    solo.swim.set_ack_payload(None)
    solo.hear(wire.ping(2, b"self"))
    assert solo.messages("ackResp")[1]["Payload"] is None


def test_an_ack_goes_to_the_port_the_ping_names_on_the_packets_own_host() -> None:
    solo = Solo.start()
    stranger = Puppet(b"stranger", bytes((192, 0, 2, 1)), 9999)
    solo.hear(stranger.ping(1, b"self"))
    assert last(solo) == (stranger.ip, 9999)


def test_an_ack_goes_to_the_known_address_of_the_member_that_pings() -> None:
    """A member behind another route: its packets come from an address that is not its own."""
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(peer.ping(1, b"self"))
    assert last(solo) == (peer.ip, peer.port)


def test_an_ack_never_goes_to_a_third_host_a_stranger_names() -> None:
    solo = Solo.start()
    victim = Puppet(b"victim", bytes((203, 0, 113, 7)), 53)
    solo.hear(victim.ping(1, b"self"))
    assert last(solo) == (bytes((192, 0, 2, 1)), 4242)


@pytest.mark.parametrize("source", [b"\x01\x02\x03", b"\x00" * 5, b"\x00" * 17])
def test_a_source_address_of_a_wrong_length_gets_no_answer(source: bytes) -> None:
    solo = Solo.start()
    solo.hear(wire.ping(1, b"self", SourceAddr=source, SourcePort=7946, SourceNode=b"x"))
    assert not solo.sent
    assert solo.dropped("source_address") == 1


def test_a_source_without_a_port_is_no_source() -> None:
    solo = Solo.start()
    solo.hear(wire.ping(1, b"self", SourceAddr=bytes((203, 0, 113, 7)), SourcePort=0))
    assert last(solo) == (bytes((192, 0, 2, 1)), 4242)


def test_an_ack_brings_news_to_members_only() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.forget()
    solo.hear(wire.ping(1, b"self"))
    solo.hear(peer.ping(2, b"self"), source=peer)
    to_stranger, to_member = solo.sent
    assert [message.kind for message in to_stranger.messages] == ["ackResp"]
    assert "alive" in [message.kind for message in to_member.messages[1:]]


def test_an_ack_of_a_ping_with_crc_has_no_crc() -> None:
    solo = Solo.start()
    solo.hear_packet(wire.with_crc(wire.ping(5, b"self")))
    assert solo.sent[-1].data[0] == wire.ACK


# The helper's side of an indirect ping.


def ask_to_relay(solo: Solo, asker: Puppet, target: Puppet, *, nack: bool = True) -> None:
    solo.hear(
        wire.indirect_ping(
            900, target.ip, target.port, target.name, nack,
            SourceAddr=asker.ip, SourcePort=asker.port, SourceNode=asker.name,
        ),
        source=asker,
    )  # fmt: skip


def test_a_helper_pings_the_target_under_a_number_and_name_of_its_own() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target")
    ask_to_relay(solo, asker, target)
    (ping,) = solo.messages("ping", to=target)
    assert ping["Node"] == "target"
    assert ping["SeqNo"] != 900
    assert (ping["SourceAddr"], ping["SourcePort"], ping["SourceNode"]) == (ME, 7946, "self")


def test_a_helper_forwards_the_ack_under_the_askers_number_without_the_payload() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    ask_to_relay(solo, asker, target)
    number = solo.messages("ping", to=target)[0]["SeqNo"]
    solo.hear(wire.ack(number, b"secret"), source=target)
    (ack,) = solo.messages("ackResp", to=asker)
    assert (ack["SeqNo"], ack["Payload"]) == (900, None)
    solo.run_for(900 * MILLISECOND)
    assert not solo.messages("nackResp")


def test_a_helper_forwards_one_ack_only() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    ask_to_relay(solo, asker, target)
    number = solo.messages("ping", to=target)[0]["SeqNo"]
    solo.hear(wire.ack(number), source=target)
    solo.hear(wire.ack(number), source=target)
    assert len(solo.messages("ackResp", to=asker)) == 1
    assert solo.dropped("ack_unknown") == 1


def test_a_helper_sends_a_nack_exactly_one_probe_timeout_later() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    asked = solo.now
    ask_to_relay(solo, asker, target)
    solo.run_for(500 * MILLISECOND - 1)
    assert not solo.messages("nackResp")
    solo.run_for(1)
    (packet,) = solo.packets("nackResp", to=asker)
    assert packet.at == asked + 500 * MILLISECOND
    assert [message["SeqNo"] for message in solo.messages("nackResp")] == [900]


def test_a_helper_that_was_not_asked_for_a_nack_stays_silent() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    ask_to_relay(solo, asker, target, nack=False)
    solo.run_for(900 * MILLISECOND)
    assert not solo.messages("nackResp")


def test_a_late_ack_after_the_nack_is_not_forwarded() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    ask_to_relay(solo, asker, target)
    number = solo.messages("ping", to=target)[0]["SeqNo"]
    solo.run_for(600 * MILLISECOND)
    solo.hear(wire.ack(number), source=target)
    assert not solo.messages("ackResp", to=asker)


def test_port_nought_of_a_target_means_the_helpers_own_port() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target")
    target_at_nought = Puppet(target.name, target.ip, 0)
    ask_to_relay(solo, asker, target_at_nought)
    assert len(solo.messages("ping", to=target)) == 1


def test_without_source_fields_the_answer_goes_where_the_packet_came_from() -> None:
    solo = Solo.start()
    asker, target = solo.member("asker"), solo.member("target")
    solo.hear(wire.indirect_ping(900, target.ip, target.port, target.name), source=asker)
    solo.run_for(10 * MILLISECOND)
    assert [message["SeqNo"] for message in solo.messages("ackResp", to=asker)] == [900]


def test_an_empty_target_is_answered_by_a_nack_alone() -> None:
    solo = Solo.start()
    asker = solo.member("asker")
    nowhere = Puppet(b"nowhere", b"")
    ask_to_relay(solo, asker, nowhere)
    solo.run_for(SECOND // 2)
    assert not solo.messages("ping")
    assert [message["SeqNo"] for message in solo.messages("nackResp", to=asker)] == [900]


# Pings by hand.


def done(solo: Solo, request: int) -> tuple[str | None, int] | None:
    found = [event[2:] for event in solo.events if event[:2] == ("done", request)]
    assert len(found) <= 1, "answered twice"
    return found[0] if found else None


def test_a_ping_by_hand_returns_the_round_trip_time() -> None:
    solo = Solo.start()
    solo.member("peer")
    request = solo.swim.ping(b"peer", solo.now)
    solo.collect()
    solo.run_for(10 * MILLISECOND)
    assert done(solo, request) == (None, MILLISECOND)


def test_a_ping_by_hand_without_answer_fails_after_the_probe_timeout_and_changes_nothing() -> None:
    solo = Solo.start()
    solo.member("peer", answers=False)
    request = solo.swim.ping(b"peer", solo.now)
    solo.collect()
    solo.run_for(500 * MILLISECOND - 1)
    assert done(solo, request) is None
    solo.run_for(1)
    answer = done(solo, request)
    assert answer is not None
    assert answer[0]
    assert (solo.state(b"peer"), solo.swim.health_score) == ("alive", 0)
