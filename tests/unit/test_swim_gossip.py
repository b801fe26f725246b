"""Spreading: who is gossiped to, how often, in how large a packet. Protocol §13, §14, §20."""

from __future__ import annotations

import pytest

from tests.sim import wire
from tests.sim.settings import EPOCH, MILLISECOND, SECOND
from tests.sim.solo import Solo

GOSSIP_INTERVAL = 200 * MILLISECOND


def drain(solo: Solo) -> None:
    """Let all that is queued be told often enough; no probe fails meanwhile."""
    solo.run_for(20 * SECOND)
    solo.forget()
    solo.run_for(5 * GOSSIP_INTERVAL)
    assert not gossip(solo), "something is still being told"
    solo.forget()


def gossip(solo: Solo) -> list[tuple[int, tuple[bytes, int]]]:
    """When and to whom packets went that are neither probes nor answers."""
    directed = {"ping", "indirectPing", "ackResp", "nackResp"}
    return [
        (packet.at, (packet.ip, packet.port))
        for packet in solo.sent
        if not directed & {message.kind for message in packet.messages}
    ]


def test_the_first_round_comes_one_interval_after_the_start() -> None:
    solo = Solo.start()
    solo.members(5)
    solo.run_for(GOSSIP_INTERVAL - 1)
    assert not gossip(solo)
    solo.run_for(1)
    assert {at for at, _ in gossip(solo)} == {EPOCH + GOSSIP_INTERVAL}


def test_a_round_reaches_gossip_nodes_different_members() -> None:
    solo = Solo.start()
    solo.members(9)
    solo.run_for(GOSSIP_INTERVAL)
    reached = [address for _, address in gossip(solo)]
    assert len(reached) == len(set(reached)) == 3


def test_no_gossip_at_all_without_gossip_nodes() -> None:
    solo = Solo.start(gossip_nodes=0)
    solo.members(3)
    solo.run_for(900 * MILLISECOND)
    assert not gossip(solo)


@pytest.mark.parametrize(("members", "limit"), [(1, 4), (7, 4), (9, 8), (30, 8)])
def test_a_claim_is_sent_as_often_as_the_size_of_the_pool_asks(members: int, limit: int) -> None:
    solo = Solo.start()
    peers = solo.members(members)
    drain(solo)
    solo.hear(peers[0].alive(2, meta=b"new"), source=peers[0])
    solo.run_for(10 * SECOND)
    told = [message for message in solo.messages("alive") if message["Node"] == "peer-0"]
    assert len(told) == limit


def test_the_left_are_never_gossiped_to() -> None:
    solo = Solo.start()
    peers = solo.members(2)
    gone = solo.member("gone")
    drain(solo)
    solo.hear(wire.dead(b"gone", 1, b"gone"))
    solo.run_for(5 * SECOND)
    addresses = {address for _, address in gossip(solo)}
    assert addresses == {(peer.ip, peer.port) for peer in peers}
    assert (gone.ip, gone.port) not in addresses


def test_the_dead_are_gossiped_to_until_their_time_is_over() -> None:
    solo = Solo.start(gossip_to_the_dead_time_ns=5 * SECOND)
    peers = solo.members(2)
    dead = solo.member("dead", answers=False)
    drain(solo)
    died = solo.now
    solo.hear(wire.dead(b"dead", 1, b"x"))
    for number in range(100):
        peer = peers[number % 2]
        solo.hear(peer.alive(2 + number, meta=b"%d" % number), source=peer)
        solo.run_for(GOSSIP_INTERVAL)
    times = [at for at, address in gossip(solo) if address == (dead.ip, dead.port)]
    assert times
    assert max(times) <= died + 5 * SECOND
    assert max(times) > died + 3 * SECOND


def test_suspects_are_gossiped_to() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    drain(solo)
    solo.hear(wire.suspect(b"peer", 1, b"x"))
    solo.run_for(GOSSIP_INTERVAL)
    assert gossip(solo)
    assert solo.messages("suspect", to=peer)


def test_several_claims_share_a_compound() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    drain(solo)
    solo.hear(peer.alive(2, meta=b"new"), source=peer)
    solo.hear(wire.suspect(b"self", 1, b"x"))
    solo.run_for(GOSSIP_INTERVAL)
    assert any(len(packet.messages) == 2 for packet in solo.packets("alive", to=peer))


def test_no_packet_is_larger_than_the_buffer_and_its_crc() -> None:
    solo = Solo.start(enable_compression=0)
    peers = solo.members(60)
    for number, peer in enumerate(peers):
        meta = bytes((number,)) * (number * 9 % 512)
        solo.hear(peer.alive(2, meta=meta), source=peer)
    solo.run_for(900 * MILLISECOND)
    sizes = [len(packet.data) for packet in solo.sent]
    assert 1300 < max(sizes) <= 1405


def test_gossip_has_a_crc_for_members_that_know_it_and_none_for_others() -> None:
    solo = Solo.start(enable_compression=0)
    new = solo.member("new")
    old = solo.member("old", vsn=bytes((1, 4, 2, 0, 0, 0)))
    solo.run_for(GOSSIP_INTERVAL)
    first = {(packet.ip, packet.port): packet.data[0] for packet in solo.sent if packet.at > EPOCH}
    assert first[new.ip, new.port] == wire.CRC
    assert first[old.ip, old.port] != wire.CRC


def test_a_plain_probe_has_no_crc() -> None:
    solo = Solo.start(enable_compression=0)
    peer = solo.member("peer")
    drain(solo)
    solo.run_for(2 * SECOND)
    assert {packet.data[0] for packet in solo.packets("ping", to=peer)} == {wire.PING}


def test_a_packet_is_compressed_only_when_that_makes_it_smaller() -> None:
    shrinks, grows = b"a" * 400, bytes(range(40))
    solo = Solo.start()
    peer = solo.member("peer", vsn=bytes((1, 4, 2, 0, 0, 0)))
    drain(solo)
    for payload, first in ((shrinks, wire.COMPRESS), (grows, wire.USER)):
        drain(solo)
        solo.swim.broadcast(payload)
        solo.run_for(GOSSIP_INTERVAL)
        assert [packet.data[0] for packet in solo.packets("user", to=peer)][:1] == [first]


def test_a_ping_carries_news_along() -> None:
    solo = Solo.start(gossip_nodes=0)
    peer = solo.member("peer")
    solo.run_for(SECOND)
    (packet,) = solo.packets("ping", to=peer)
    assert [message.kind for message in packet.messages][:2] == ["ping", "alive"]


def test_a_user_broadcast_comes_behind_the_claims() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.swim.broadcast(b"hello")
    solo.run_for(GOSSIP_INTERVAL)
    packet = solo.packets("user", to=peer)[0]
    assert packet.messages[-1].kind == "user"
    assert packet.messages[-1].payload == b"hello"
    assert "alive" in [message.kind for message in packet.messages]


def test_a_named_user_broadcast_takes_the_place_of_the_last_of_its_name() -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.swim.broadcast(b"old", name=b"topic")
    solo.swim.broadcast(b"new", name=b"topic")
    solo.swim.broadcast(b"plain")
    solo.run_for(900 * MILLISECOND)
    assert {message.payload for message in solo.messages("user")} == {b"new", b"plain"}


def test_tiny_broadcasts_beyond_what_is_packed_at_once_wait_and_are_all_sent() -> None:
    solo = Solo.start(udp_buffer_size=65_507, probe_interval_ns=3600 * SECOND)
    solo.member("peer")
    drain(solo)
    payloads = {number.to_bytes(2, "big") for number in range(5000)}
    for payload in payloads:
        solo.swim.broadcast(payload)
    solo.run_for(2 * GOSSIP_INTERVAL)
    sent = [message.payload for message in solo.messages("user") if message.payload in payloads]
    assert set(sent) == payloads
    assert len(sent) > len(payloads), "and sent again"


def test_a_rebroadcast_is_encoded_anew_and_keeps_what_was_said() -> None:
    """Protocol §19.1: sorted keys, unknown ones dropped, values kept."""
    solo = Solo.start(enable_compression=0)
    peer = solo.member("peer")
    addr = bytes(10) + b"\xff\xff" + bytes((10, 3, 3, 3))
    body = {
        "Zebra": [1, {"x": 2}], "Vsn": wire.VSN, "Port": 7000, "Node": b"mapped",
        "Meta": b"m", "Incarnation": 3, "Addr": addr,
    }  # fmt: skip
    solo.hear(bytes((wire.ALIVE,)) + wire.pack(body), source=peer)
    solo.run_for(900 * MILLISECOND)
    expected = wire.alive(b"mapped", addr, 7000, 3, b"m")
    assert any(expected in packet.data for packet in solo.packets("alive", to=peer))


def test_port_nought_of_a_claim_becomes_the_own_port() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(wire.alive(b"portless", bytes((10, 3, 3, 3)), 0, 1), source=peer)
    assert solo.row(b"portless")[2] == 7946
    solo.run_for(900 * MILLISECOND)
    claims = [claim for claim in solo.messages("alive") if claim["Node"] == "portless"]
    assert {claim["Port"] for claim in claims} == {7946}


def test_a_mapped_address_is_kept_as_received_and_reached_as_ipv4() -> None:
    solo = Solo.start()
    mapped = bytes(10) + b"\xff\xff" + bytes((10, 3, 3, 3))
    solo.hear(wire.alive(b"mapped", mapped, 7946, 1))
    assert solo.row(b"mapped")[1] == mapped
    solo.run_for(SECOND)
    assert {packet.ip for packet in solo.sent} == {bytes((10, 3, 3, 3))}
