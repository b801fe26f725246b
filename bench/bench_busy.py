"""A node beside a Python thread that burns CPU: one ping every 10 ms, and when it is answered."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench import lab, packets
from bench.figures import Figures
from gossip._core import decode_packet, encode_message

PINGS = 100
PERIOD_SECONDS = 0.01
PATIENCE_SECONDS = 2.0


def round_trips(node: lab.Node) -> list[int]:
    """ns from each ping to its ack; raises TimeoutError for one that is not answered."""
    taken = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.settimeout(PATIENCE_SECONDS)
        due = time.monotonic()
        for seq in range(PINGS):
            time.sleep(max(0.0, due - time.monotonic()))
            due += PERIOD_SECONDS
            ping = encode_message("ping", {"SeqNo": seq, "Node": packets.NODE})
            sent = time.perf_counter_ns()
            own.sendto(ping, ("127.0.0.1", node.port))
            answer = own.recv(2000)
            taken.append(time.perf_counter_ns() - sent)
            assert decode_packet(answer)["message"]["body"]["SeqNo"] == seq
    return taken


def median(node: lab.Node) -> Callable[[], float]:
    return lambda: float(statistics.median(round_trips(node)))


def test_a_ping_beside_a_thread_that_burns_cpu(
    compare: Any, figures: Figures, extra: dict[str, Any]
) -> None:
    nodes = thread, asyncio = lab.ours(driver="thread", burns=True), lab.ours(burns=True)
    with lab.running(*nodes):
        taken = compare(median(thread), median(asyncio))
    figures.put("busy_latency", taken[0] / taken[1])
    extra["busy"] = dict(zip(("thread", "asyncio"), taken, strict=True))
