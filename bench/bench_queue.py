"""The transmit-limited queue: what it costs to fill a packet of 1,400 bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench import lab, packets
from bench.figures import Figures
from gossip._core import BroadcastQueue, retransmit_limit

PACKETS = 100
BODY = bytes(135)  # as long as an alive with 64 bytes of metadata


def filling(depth: int) -> Callable[[], float]:
    """ns a packet, from a queue that holds so many items now and is never sent empty."""
    queue = BroadcastQueue()
    limit = retransmit_limit(4, depth)
    for number in range(depth):
        queue.add(BODY, packets.member(number).encode())

    def run() -> float:
        start = time.thread_time_ns()
        count = queue.fill(2, 1400, limit, PACKETS)
        taken = time.thread_time_ns() - start
        assert count == PACKETS * (1400 // (len(BODY) + 2))
        return taken / PACKETS

    return run


def test_a_packet_from_ten_and_a_hundred_thousand(
    compare: Any, reference: Callable[[], float], figures: Figures, extra: dict[str, Any]
) -> None:
    small, large, unit = compare(filling(10_000), filling(100_000), reference)
    theirs = lab.go_times("queue")
    figures.put("fill_10000", small, unit)
    figures.put("fill_100000", large / small)
    figures.put("fill_go", theirs["10000"] / small)
    extra["fill"] = {"10000": small, "100000": large}
    extra["fill_go"] = theirs
