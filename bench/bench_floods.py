"""A million datagrams that no peer would send, at full speed, beside a peer that wants to be heard.

The kernel drops what the node does not get to, pings of its peer among them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from bench import lab, packets
from bench.figures import Figures
from gossip._core import encode_message

FLOOD = 1_000_000
PIECES = 10
DISTINCT = 20_000
MEMBERS = 10_000  # the limit of the node; the flood of names has twice as many


def garbage() -> list[bytes]:
    chance = random.Random(1)
    return [chance.randbytes(chance.randint(1, 200)) for _ in range(DISTINCT)]


def strangers() -> list[bytes]:
    """Pings from nobody that we know, at addresses where nobody is."""
    body = {"Node": packets.NODE, "SourceAddr": packets.ADDRESS, "SourcePort": 9}
    return [
        encode_message("ping", body | {"SeqNo": n, "SourceNode": f"nobody-{n}"})
        for n in range(DISTINCT)
    ]


def names() -> list[bytes]:
    return [packets.alive(n, 1) for n in range(1, DISTINCT + 1)]


def peers_see_one_another(node: lab.Node, peer: lab.Node) -> bool:
    friends = {packets.NODE: "alive", "peer": "alive"}
    return node.counters()["friends"] == peer.counters()["friends"] == friends


@pytest.mark.parametrize("flood", [garbage, strangers, names])
def test_a_flood(
    flood: Callable[[], list[bytes]],
    benchmark: Any,
    reference: Callable[[], float],
    figures: Figures,
    extra: dict[str, Any],
) -> None:
    load = lab.load_of(flood())
    node = lab.ours(quiet=False, max_members=MEMBERS, times_callbacks=True)
    peer = lab.ours(name="peer", quiet=False, join=node.port)
    with lab.running(node, peer):
        node.blast(load, DISTINCT, 0)  # tables and buffers have their size then
        assert peers_see_one_another(node, peer)
        before = node.rss()

        def run() -> None:
            for _ in range(PIECES):
                node.blast(load, FLOOD // PIECES, 0)
                assert peer.counters()["friends"][packets.NODE] == "alive"

        benchmark.pedantic(run, rounds=1)
        counters = node.counters()
        grown = node.rss() - before
        assert peers_see_one_another(node, peer)
    kind = flood.__name__
    figures.put(f"flood_{kind}_memory", grown / (1 << 20))
    figures.put(f"flood_{kind}_callback", counters["callback_p999_ns"], reference())
    extra.setdefault("floods", {})[kind] = {
        "received": counters["core"]["packets_received"],
        "longest callback, us": counters["callback_max_ns"] / 1000,
    }
