"""A probe tick and a gossip tick of a node with 10,000 members, with news to spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import _loop, cores, packets
from bench.figures import Figures
from gossip._core import Swim, decode_packet, encode_message

MEMBERS = 10_000
PROBES = 600
NEWS = 20  # claims that come in before each tick


def answer(node: Swim, sent: list[tuple[bytes, bytes, int]], now: int) -> None:
    """Acks what was probed, from where it was sent to."""
    for data, ip, port in sent:
        found = decode_packet(data)
        for part in found.get("parts", [found]):
            if part.get("type") == "ping":
                ack = encode_message("ackResp", {"Payload": None, "SeqNo": part["body"]["SeqNo"]})
                node.receive([(ack, ip, port)], now)


def ticks(node: Swim, first: int) -> list[int]:
    """ns of each probe tick together with the gossip tick before it."""
    taken, gossip = [], 0
    number = first
    while len(taken) < PROBES:
        now, kind = node.next_deadline() or (0, "")
        claims = [
            packets.alive(n % MEMBERS + 1, 2 + n // MEMBERS) for n in range(number, number + NEWS)
        ]
        number += NEWS
        node.receive([(packets.compound(claims), cores.IP, packets.PORT)], now)
        node.transmits()
        spent = _loop.timed_tick(node, now)
        if kind == "gossip":
            gossip = spent
        elif kind == "probe_interval":
            taken.append(spent + gossip)
        answer(node, node.transmits(), now)
        node.commands()
        node.events()
    return taken


def test_the_slowest_of_a_hundred(
    compare: Any, reference: Callable[[], float], figures: Figures, extra: dict[str, Any]
) -> None:
    node = cores.core(MEMBERS)
    runs: list[list[int]] = []

    def run() -> float:
        taken = sorted(ticks(node, len(runs) * 20 * PROBES * NEWS))
        runs.append(taken)
        return float(taken[len(taken) * 99 // 100])

    p99, unit = compare(run, reference)
    figures.put("tick_p99", p99, unit)
    extra["tick"] = {"p50": min(run[len(run) // 2] for run in runs), "p99": p99}
