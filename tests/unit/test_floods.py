"""Floods of datagrams that no peer would send: memory stays bounded, and the node still answers.

`GOSSIP_FLOOD=1000000` makes them longer.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND
from tests.sim.solo import Solo

FLOOD = int(os.environ.get("GOSSIP_FLOOD", "50000"))
MEMBERS = 1000
BATCH = 500
GROWTH_BYTES = 24 << 20
STRANGER = bytes((192, 0, 2, 7))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def garbage(number: int, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(1, 200))


def strange_ping(number: int, chance: random.Random) -> bytes:
    source = {"SourceAddr": STRANGER, "SourcePort": 1 + number % 60_000, "SourceNode": b"nobody"}
    return wire.ping(number, b"self", **source)


def strange_name(number: int, chance: random.Random) -> bytes:
    return wire.alive(b"name-%d" % number, bytes((10, *number.to_bytes(3, "big"))), 7946, 1)


@pytest.mark.parametrize("flood", [garbage, strange_ping, strange_name])
def test_a_flood_leaves_memory_bounded_and_the_node_answering(
    flood: Callable[[int, random.Random], bytes],
) -> None:
    solo = Solo.start(max_members=MEMBERS, probe_interval_ns=1 << 50)
    peer = solo.member("peer")
    chance = random.Random(1)
    before = 0
    for first in range(0, FLOOD, BATCH):
        packets = [flood(number, chance) for number in range(first, first + BATCH)]
        solo.swim.receive([(packet, STRANGER, 4000) for packet in packets], solo.now)
        solo.now += MILLISECOND
        solo.swim.tick(solo.now)
        solo.swim.transmits()
        solo.swim.events()
        if first == FLOOD // 5 // BATCH * BATCH:
            before = resident_bytes()  # tables and buffers have their size by now
    assert resident_bytes() - before < GROWTH_BYTES
    assert solo.swim.member_count <= MEMBERS
    solo.forget()
    solo.hear(peer.ping(7, b"self"), source=peer)
    assert [ack["SeqNo"] for ack in solo.messages("ackResp", to=peer)] == [7]
    assert solo.state(b"self") == "alive"
