"""Whole nodes on UDP: what one packet costs, in processor time of the node's process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import lab, packets
from bench.figures import Figures

PINGS = packets.pings(512)
LOAD = lab.load_of(PINGS)
FULL = lab.load_of(
    packets.enveloped([packets.compound([ping]) for ping in PINGS], label=packets.LABEL, crc=True)
)
COUNT = 40_000  # packets of one measurement; Go gets fewer, it is slower
COUNT_GO = 10_000
COUNT_CLAIMS = 4000
MEMBERS = 10
SIZES = [10, 1000, 10_000]


def cost(node: lab.Node, load: bytes = LOAD, count: int = COUNT) -> Callable[[], float]:
    return lambda: lab.cost_per_packet(node, load, count)


def populated(node: lab.Node, members: int = MEMBERS) -> lab.Node:
    """Tells a node about members, and lets it tell the blaster, until it has nothing to say."""
    node.exchange(packets.push_pull(members))
    lab.drained(node, LOAD)
    assert node.counters()["members"] == members + 1
    return node


def test_a_ping_beside_c(compare: Any, figures: Figures, extra: dict[str, Any]) -> None:
    label = packets.LABEL.decode()
    nodes = c, echo, asyncio, uvloop, thread = (
        lab.c_server(),
        lab.c_server("echo"),
        lab.ours("asyncio", label=label),
        lab.ours("uvloop", label=label),
        lab.ours("asyncio", label=label, driver="thread"),
    )
    with lab.running(*nodes):
        taken = compare(
            cost(uvloop, FULL), cost(asyncio, FULL), cost(c), cost(echo), cost(thread, FULL)
        )
    figures.put("ping_uvloop_c", taken[0] / taken[2])
    figures.put("ping_asyncio_c", taken[1] / taken[2])
    figures.put("c_server", taken[2] / taken[3])
    figures.put("ping_thread_c", taken[4] / taken[2])
    names = (
        "uvloop, all envelopes",
        "asyncio, all envelopes",
        "C",
        "C, bare echo",
        "thread, all envelopes",
    )
    extra["ping"] = extra.get("ping", {}) | dict(zip(names, taken, strict=True))


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "uncompressed"])
def test_a_ping_beside_go(
    compress: bool, compare: Any, figures: Figures, extra: dict[str, Any]
) -> None:
    nodes = ours, theirs = lab.ours(compress=compress), lab.go(compress=compress)
    with lab.running(*nodes):
        for node in nodes:
            populated(node)
        taken = compare(cost(ours), cost(theirs, count=COUNT_GO))
    suffix = "" if compress else "_uncompressed"
    figures.put(f"ping_go{suffix}", taken[1] / taken[0])
    kind = "" if compress else ", no compression"
    extra.setdefault("ping", {})[f"asyncio{kind}"] = taken[0]
    extra["ping"][f"Go{kind}"] = taken[1]


def test_the_round_trip(compare: Any, figures: Figures, extra: dict[str, Any]) -> None:
    def trip(node: lab.Node) -> Callable[[], float]:
        return lambda: float(node.blast(LOAD, 2000, 1, "rtt")["p50_ns"])

    nodes = lab.ours(), lab.ours("uvloop"), lab.c_server()
    with lab.running(*nodes):
        taken = compare(*map(trip, nodes))
    figures.put("rtt_asyncio_c", taken[0] / taken[2])
    figures.put("rtt_uvloop_c", taken[1] / taken[2])
    extra["rtt"] = dict(zip(("asyncio", "uvloop", "C"), taken, strict=True))


class Claims:
    """A load of claims, measured until the node is idle, with a count of what it took in."""

    def __init__(self, node: lab.Node, members: int, new: bool) -> None:
        self.node, self.members, self.new = node, members, new
        self._packets = 0

    def _load(self) -> bytes:
        first = self._packets
        self._packets += COUNT_CLAIMS
        return lab.load_of(
            packets.pings_with_alives(COUNT_CLAIMS, self.members, new=self.new, first=first)
        )

    def __call__(self) -> float:
        return lab.cost_until_idle(self.node, self._load(), COUNT_CLAIMS)

    def claims(self) -> int:
        return self._packets * packets.CLAIMS


@pytest.mark.parametrize("new", [False, True], ids=["known", "new"])
@pytest.mark.parametrize("members", SIZES)
def test_a_ping_with_claims_beside_go(
    members: int, new: bool, compare: Any, figures: Figures, extra: dict[str, Any]
) -> None:
    """Go gets a queue deep enough to take all in, and both are measured until they are done."""
    ours, theirs = lab.ours(), lab.go(queue_depth=1 << 20)
    with lab.running(ours, theirs):
        for node in (ours, theirs):
            populated(node, members)
        mine, go = Claims(ours, members, new), Claims(theirs, members, new)
        alives = theirs.counters()["alives"]
        taken = compare(mine, go)
        assert theirs.counters()["alives"] - alives == go.claims()
        if new:
            assert ours.counters()["incarnations"] == members + mine.claims()
    kind = "new" if new else "known"
    figures.put(f"{kind}_{members}_go", taken[1] / taken[0])
    extra.setdefault(f"claims_{kind}", {})[str(members)] = {"ours": taken[0], "Go": taken[1]}
