"""Each way to hurt a node with its own wire, as a test: the memberlist rows of the threat list.

What the wire cannot defend (a key holder may accuse anybody, and replay what is older than the
window) is written down in docs/protocol/deviations.md; here stands what must hold.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossip._core import lzw_compress
from tests.sim import wire
from tests.sim.settings import SECOND
from tests.sim.solo import Puppet, Solo

TOP = (1 << 32) - 1
VICTIM = Puppet(b"victim", bytes((203, 0, 113, 7)), 53)


def compress(plain: bytes) -> bytes:
    return wire.message(wire.COMPRESS, {"Algo": 0, "Buf": lzw_compress(plain)})


def members(solo: Solo) -> list[bytes]:
    return sorted(row[0] for row in solo.swim.members())


# Nesting and inflation.


@pytest.mark.parametrize("wrap", [compress, lambda part: wire.compound([part])])
def test_nesting_is_bounded(wrap: type) -> None:
    solo = Solo.start()
    packet = wire.user(b"core")
    for _ in range(12):
        packet = wrap(packet)
    solo.hear_packet(packet)
    assert not solo.events_of("message")
    assert solo.dropped("too_deep") == 1


def test_what_real_nodes_nest_is_within_the_bound() -> None:
    solo = Solo.start()
    solo.hear_packet(wire.with_crc(compress(wire.compound([compress(wire.user(b"core"))]))))
    assert [event[1] for event in solo.events_of("message")] == [b"core"]


def test_a_decompression_bomb_is_not_inflated() -> None:
    solo = Solo.start()
    bomb = compress(wire.user(bytes(16 << 20)))
    assert len(bomb) < 65_536
    solo.hear_packet(bomb)
    assert not solo.events_of("message")
    assert solo.dropped("inflated_too_large") == 1


def test_many_small_bombs_share_one_budget() -> None:
    solo = Solo.start()
    bomb = compress(wire.user(bytes(40_000)))
    solo.hear_packet(wire.compound([bomb] * 40))
    assert 1 <= len(solo.events_of("message")) <= 4
    assert solo.dropped("inflated_too_large") >= 36


def test_parts_without_number_are_bounded() -> None:
    solo = Solo.start()
    empty = wire.compound([b"\x0e"] * 255)
    solo.hear_packet(wire.compound([empty] * 200)[:65_000])
    assert solo.dropped("unknown_type") <= 1024
    assert solo.dropped("too_many_parts") >= 1


def test_an_empty_decompressed_payload_is_a_missing_type() -> None:
    solo = Solo.start()
    solo.hear_packet(compress(b""))
    assert solo.dropped("no_type") == 1


def test_a_stream_that_inflates_beyond_its_limit_is_cut_off_there() -> None:
    solo = Solo.start(enable_compression=0)
    stream = solo.dial(compress(wire.user_message(bytes(41 << 20))))
    assert b"decompressed message is larger than limit (41943040)" in stream.written
    assert not solo.events_of("message")


# Bodies.


@pytest.mark.parametrize("body", [
    b"\x91" * 5_000 + b"\xc0",
    b"\x81\xa1x" * 5_000 + b"\xc0",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\x81\xa4Node\xdb\xff\xff\xff\xff",
    b"\x81\xa4Node\xc6\xff\xff\xff\xff",
    b"\x81\xa1x\xc9\xff\xff\xff\xff\x01",
    b"\x81\xa1x\xdd\xff\xff\xff\xff",
    b"\x81\xa1x\xdf\xff\xff\xff\xff",
], ids=lambda body: body[:6].hex())  # fmt: skip
@pytest.mark.parametrize("kind", [wire.PING, wire.ALIVE, wire.SUSPECT, wire.DEAD, wire.ACK])
def test_lengths_that_lie_and_endless_depth_are_refused(kind: int, body: bytes) -> None:
    solo = Solo.start()
    solo.hear_packet(bytes((kind,)) + body)
    assert members(solo) == [b"self"]
    assert not solo.sent
    assert solo.dropped("decode") == 1


@pytest.mark.parametrize("vsn", [[1, 5, 2, 0, 0, 0], [1, 5], [1] * 300, [-1], ["x"], [256]])
def test_versions_as_a_list_never_crash(vsn: list[object]) -> None:
    solo = Solo.start()
    body = {"Node": b"peer", "Addr": VICTIM.ip, "Port": 1, "Incarnation": 1, "Vsn": vsn}
    solo.hear(bytes((wire.ALIVE,)) + wire.pack(body))
    assert (solo.state(b"peer") == "alive") is (vsn == [1, 5, 2, 0, 0, 0])


# Reflection and amplification.


def test_a_ping_with_a_foreign_source_is_answered_to_its_sender() -> None:
    solo = Solo.start()
    for number in range(20):
        solo.hear(VICTIM.ping(number, b"self"))
    assert {packet.ip for packet in solo.sent} == {bytes((192, 0, 2, 1))}
    assert solo.swim.stats()["source_mismatches"] == 20


def test_a_strangers_ping_is_never_answered_with_more_than_it_sent() -> None:
    solo = Solo.start()
    solo.members(20)
    solo.forget()
    ping = wire.ping(1 << 31, b"self")
    solo.hear(ping)
    assert [len(packet.data) <= len(ping) + 16 for packet in solo.sent] == [True]


def test_a_helper_cannot_be_made_to_flood_a_stranger() -> None:
    solo = Solo.start()
    solo.members(3)
    solo.forget()
    for number in range(1000):
        solo.hear(wire.indirect_ping(number, VICTIM.ip, VICTIM.port, b"victim"))
    at_victim = [packet for packet in solo.sent if packet.ip == VICTIM.ip]
    assert 0 < len(at_victim) <= 16
    assert solo.dropped("relay_unknown_target") >= 984


def test_the_relay_budget_refills_with_time() -> None:
    solo = Solo.start()
    for second in range(3):
        for number in range(100):
            solo.hear(wire.indirect_ping(number, VICTIM.ip, VICTIM.port, b"victim"))
        solo.run_for(SECOND)
        at_victim = [packet for packet in solo.sent if packet.ip == VICTIM.ip]
        assert len(at_victim) == 16 * (second + 1)


def test_relays_to_strangers_bring_them_no_news() -> None:
    solo = Solo.start()
    solo.members(3)
    solo.forget()
    solo.hear(wire.indirect_ping(1, VICTIM.ip, VICTIM.port, b"victim"))
    (packet,) = [packet for packet in solo.sent if packet.ip == VICTIM.ip]
    assert [message.kind for message in packet.messages] == ["ping"]


def test_a_requester_that_names_a_foreign_source_gets_the_answer_itself() -> None:
    solo = Solo.start()
    target = solo.member("target")
    solo.hear(
        wire.indirect_ping(
            9, target.ip, target.port, target.name,
            SourceAddr=VICTIM.ip, SourcePort=VICTIM.port, SourceNode=VICTIM.name,
        )
    )  # fmt: skip
    solo.run_for(SECOND // 2)
    assert VICTIM.ip not in {packet.ip for packet in solo.sent}


def test_relays_under_way_are_bounded() -> None:
    solo = Solo.start()
    target = solo.member("target", answers=False)
    for number in range(3000):
        solo.hear(wire.indirect_ping(number, target.ip, target.port, target.name))
    assert solo.dropped("relays_full") >= 3000 - 1024
    solo.run_for(2 * SECOND)
    relayed = solo.swim.stats()["relays"]
    solo.hear(wire.indirect_ping(1, target.ip, target.port, target.name))
    assert solo.swim.stats()["relays"] == relayed + 1, "they end and make room"


# Poisoned tables.


def test_a_short_vsn_does_not_poison_later_push_pulls() -> None:
    solo = Solo.start()
    solo.hear(stranger(b"poison").alive(vsn=b"\1\5\2"))
    honest = solo.puppet("honest")
    solo.dial(wire.push_pull([honest.entry()], join=True))
    assert members(solo) == [b"honest", b"self"]
    assert solo.swim.stats()["push_pulls_refused"] == 0


@pytest.mark.parametrize("vsn", [b"\1\5\2", None, b"\1\5\2\2\5\4"])
def test_a_members_update_cannot_poison_it_either(vsn: bytes | None) -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(peer.alive(2, vsn=vsn))
    honest = solo.puppet("honest")
    solo.dial(wire.push_pull([honest.entry()], join=True))
    assert members(solo) == [b"honest", b"peer", b"self"]


def test_a_poisoned_entry_of_a_peers_table_does_not_stop_the_merge() -> None:
    """A Go peer may hold a member of versions all nought; its own push/pulls fail with it."""
    solo = Solo.start()
    honest = solo.puppet("honest")
    poisoned = stranger(b"poisoned").entry(vsn=bytes(6))
    solo.dial(wire.push_pull([honest.entry(), poisoned], join=True))
    assert members(solo) == [b"honest", b"self"]


def stranger(name: bytes) -> Puppet:
    return Puppet(name, bytes((10, 9, 9, 9)))


# Incarnations near their end.


@pytest.mark.parametrize("accusation", [wire.suspect, wire.dead])
def test_an_accusation_at_the_end_of_the_numbers_does_not_take_the_own_name(
    accusation: type,
) -> None:
    solo = Solo.start()
    solo.hear(accusation(b"self", TOP, b"x"))
    assert solo.incarnation() == 1
    assert solo.dropped("incarnation_jump") == 1
    solo.hear(wire.suspect(b"self", 1, b"x"))
    assert solo.incarnation() == 2, "it still refutes"


def test_an_alive_at_the_end_of_the_numbers_does_not_take_a_members_name() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(peer.alive(TOP, meta=b"stolen"), stranger(b"new").alive(TOP))
    assert (solo.incarnation(b"peer"), solo.state(b"new")) == (1, "unknown")
    solo.hear(peer.alive(2, meta=b"own"))
    assert solo.row(b"peer")[3] == b"own"


@pytest.mark.parametrize("accusation", [wire.suspect, wire.dead])
def test_an_accusation_at_the_end_of_the_numbers_does_not_silence_a_member(
    accusation: type,
) -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(accusation(b"peer", TOP, b"x"))
    assert (solo.state(b"peer"), solo.incarnation(b"peer")) == ("alive", 1)
    solo.hear(peer.alive(2))
    assert solo.incarnation(b"peer") == 2


def test_a_push_pull_cannot_jump_either() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    me = wire.push_node(b"self", bytes((10, 0, 0, 1)), 7946, TOP, wire.STATE_DEAD)
    solo.dial(wire.push_pull([peer.entry(incarnation=TOP), me]))
    assert (solo.incarnation(), solo.incarnation(b"peer")) == (1, 1)


def test_the_own_incarnation_never_wraps_however_patient_the_attacker() -> None:
    solo = Solo.start()
    accused = 1 << 31
    highest = 0
    while accused < TOP:
        solo.hear(wire.suspect(b"self", accused, b"x"))
        assert solo.incarnation() >= highest
        highest = solo.incarnation()
        accused += 1 << 20
    for accused in (TOP - 1, TOP, TOP):
        solo.hear(wire.suspect(b"self", accused, b"x"))
        assert solo.incarnation() >= highest
        highest = solo.incarnation()


# Floods.


def test_a_flood_of_names_is_bounded_and_counted() -> None:
    solo = Solo.start(max_members=200, new_names_per_packet=10)
    for packet in range(50):
        names = [b"bogus-%d-%d" % (packet, number) for number in range(60)]
        solo.hear(*[stranger(name).alive() for name in names])
    assert solo.swim.member_count == 200
    assert solo.dropped("new_names") == 50 * 50
    assert solo.dropped("members_full") == 50 * 10 - 199


def test_a_flood_of_conflicts_is_one_event() -> None:
    solo = Solo.start()
    solo.member("peer")
    for incarnation in range(1000):
        solo.hear(stranger(b"peer").alive(incarnation))
    assert len(solo.events_of("conflict")) == 1
    assert solo.swim.stats()["conflicts"] == 1000


def test_a_flood_of_user_messages_is_bounded_in_memory() -> None:
    """Nobody takes the events: the oldest stay, the rest is counted as lost."""
    solo = Solo.start()
    packet = (wire.user(bytes(60_000)), bytes((192, 0, 2, 1)), 4242)
    solo.swim.receive([packet] * 3000, solo.now)
    events = solo.swim.events()
    held = sum(len(event[1]) for event in events if event[0] == "message")
    (lost,) = [event for event in events if event[0] == "lost"]
    assert held <= 1 << 26
    assert held + lost[1] * 60_000 == 3000 * 60_000


def test_membership_events_survive_a_flood_of_messages() -> None:
    """The last of the room for messages is filled to the byte, and events carry bytes too."""
    solo = Solo.start()
    source = (bytes((192, 0, 2, 1)), 4242)
    flood = [(wire.user(bytes(60_000)), *source)] * 2000 + [(wire.user(b"x"), *source)] * 60_000
    solo.swim.receive(flood, solo.now)
    peer = Puppet(b"peer", bytes((10, 9, 9, 9)), meta=b"of the peer")
    solo.swim.receive([(peer.alive(), *source)], solo.now)
    solo.swim.receive([(wire.suspect(b"peer", peer.incarnation, b"accuser"), *source)], solo.now)
    told = [event for event in solo.swim.events() if event[0] in ("joined", "suspected")]
    assert [(event[0], event[1][0]) for event in told] == [
        ("joined", b"peer"),
        ("suspected", b"peer"),
    ]
    assert told[-1][2] == b"accuser"


def test_a_batch_of_pings_larger_than_the_out_batch_is_counted_not_overrun() -> None:
    solo = Solo.start()
    source = (bytes((192, 0, 2, 1)), 4242)
    solo.swim.receive([(wire.ping(number, b"self"), *source) for number in range(5000)], solo.now)
    answered = len(solo.swim.transmits())
    assert 0 < answered <= 512
    assert solo.dropped("out_full") == 5000 - answered
    solo.hear(wire.ping(1, b"self"))
    assert len(solo.sent) == 1, "the next batch has room again"


def test_streams_that_never_speak_are_bounded() -> None:
    solo = Solo.start()
    streams = [solo.dial(b"") for _ in range(112)]
    for number in range(488):
        assert solo.swim.accept_stream(bytes((192, 0, 2, 1)), number + 1, solo.now) == -1
    assert solo.swim.stats()["streams_refused"] == 488
    solo.run_for(10 * SECOND)
    assert all(stream.closed_at is not None for stream in streams)
    assert solo.swim.accept_stream(bytes((192, 0, 2, 1)), 50_000, solo.now) >= 0


@pytest.mark.parametrize(("nodes", "state"), [
    (-1, 0), (1_048_577, 0), (1 << 40, 0), (0, -1), (0, 20_971_521), (0, 1 << 40),
])  # fmt: skip
def test_a_push_pull_that_announces_too_much_is_closed_at_once(nodes: int, state: int) -> None:
    solo = Solo.start()
    stream = solo.dial(wire.push_pull([], node_count=nodes, user_state_len=state))
    assert stream.closed_at == solo.now
    assert stream.written == b""
    assert members(solo) == [b"self"]


def test_a_stream_inside_a_stream_is_refused() -> None:
    solo = Solo.start()
    inner = wire.message(wire.COMPRESS, {"Algo": 0, "Buf": lzw_compress(wire.push_pull([]))})
    stream = solo.dial(wire.message(wire.COMPRESS, {"Algo": 0, "Buf": lzw_compress(inner)}))
    assert stream.closed_at is not None
    assert stream.written == b""


def test_the_answer_to_a_request_survives_a_flood_of_events() -> None:
    """Nobody takes the events; whoever waits for an answer must get it all the same."""
    solo = Solo.start(ask_accept_member=1)
    flood = wire.compound([wire.user(b"x")] * 255)
    source = (bytes((192, 0, 2, 1)), 4242)
    solo.swim.receive([(flood, *source)] * 1100, solo.now)
    solo.swim.receive([(stranger(b"peer").alive(), *source)], solo.now)
    request = solo.swim.leave(solo.now)
    events = solo.swim.events()
    assert events[-1][0] == "lost"
    assert ("done", request, None, 0) in events
    assert [event[1][0] for event in events if event[0] == "asked"] == [b"peer"]


@pytest.mark.parametrize("kind", [wire.suspect, wire.dead])
def test_an_accuser_cannot_write_lines_into_a_log(kind: Callable[..., bytes]) -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.hear(kind(b"peer", 1, b"x\nERROR: all is lost"))
    assert solo.state(b"peer") == "alive"
    assert solo.dropped("name") == 1
