"""A push/pull of a whole table with a node that knows it all: processor time of the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import lab, packets
from bench.figures import Figures
from gossip._core import Envelope, encode_stream

MEMBERS = 10_000
EXCHANGES = 3


def exchanging(node: lab.Node, state: bytes) -> Callable[[], float]:
    """ns of one exchange, from the first byte until the node is idle."""

    def run() -> float:
        before = node.settle()
        for _ in range(EXCHANGES):
            assert node.exchange(state)
        return (node.settle() - before) / EXCHANGES

    return run


@pytest.mark.parametrize("compress", [False, True], ids=["uncompressed", "compressed"])
def test_an_exchange_beside_go(
    compress: bool, compare: Any, figures: Figures, extra: dict[str, Any]
) -> None:
    state = encode_stream(Envelope(compression=compress), packets.push_pull(MEMBERS))
    nodes = ours, theirs = lab.ours(compress=compress), lab.go(compress=compress)
    with lab.running(*nodes):
        for node in nodes:
            node.exchange(state)
        taken = compare(exchanging(ours, state), exchanging(theirs, state))
    figures.put(f"exchange_go{'_compressed' if compress else ''}", taken[1] / taken[0])
    name = "compressed" if compress else "uncompressed"
    extra.setdefault("exchange", {})[name] = {"ours": taken[0], "Go": taken[1]}
