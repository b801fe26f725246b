"""Our node under uvloop beside kinship 0.4.0, a Rust core with a thread of its own."""

from __future__ import annotations

from typing import Any

from bench import lab, packets
from bench.bench_udp import COUNT, Claims, cost, populated
from bench.figures import Figures

MEMBERS = 10
MANY = 10_000
COUNT_CLAIMS = 2000
DISTINCT = 40_000  # more than our replay window holds
KEY = bytes(range(32)).hex()


def known_to(node: lab.Node, members: int, key: str = "") -> lab.Node:
    """Tells kinship about members; the blaster is one of them, and is answered from then on."""
    count = -(-members // packets.CLAIMS)
    node.blast(lab.kinship_load(count, members=members, incarnation=1, key=key), count)
    node.settle()
    for _ in range(100):
        result = node.blast(lab.kinship_load(2000, key=key), 2000)
        if result["bytes_back"] < 100 * result["answers"]:
            assert node.counters()["members"] == members + 1
            return node
    raise TimeoutError("the node's broadcasts do not end")


def test_a_ping(compare: Any, figures: Figures, extra: dict[str, Any]) -> None:
    nodes = ours, theirs = lab.ours("uvloop"), lab.kinship()
    with lab.running(*nodes):
        populated(ours)
        known_to(theirs, MEMBERS)
        load = lab.kinship_load(512)
        taken = compare(cost(ours), cost(theirs, load))
    figures.put("ping_kinship", taken[1] / taken[0])
    extra.setdefault("kinship", {})["ping"] = {"ours": taken[0], "kinship": taken[1]}


def test_a_sealed_ping(compare: Any, figures: Figures, extra: dict[str, Any]) -> None:
    sealed = packets.enveloped(packets.pings(DISTINCT), key=packets.KEY)
    halves = [lab.load_of(sealed[: DISTINCT // 2]), lab.load_of(sealed[DISTINCT // 2 :])]
    nodes = ours, theirs = lab.ours("uvloop", key=packets.KEY.hex()), lab.kinship(KEY)

    def mine() -> float:
        halves.reverse()
        return lab.cost_per_packet(ours, halves[0], DISTINCT // 2)

    def kinship() -> float:
        return lab.cost_per_packet(theirs, lab.kinship_load(COUNT // 2, key=KEY), COUNT // 2)

    with lab.running(*nodes):
        known_to(theirs, MEMBERS, KEY)
        taken = compare(mine, kinship)
    figures.put("ping_kinship_sealed", taken[1] / taken[0])
    extra.setdefault("kinship", {})["sealed ping"] = {"ours": taken[0], "kinship": taken[1]}


def test_new_claims_in_a_large_pool(compare: Any, figures: Figures, extra: dict[str, Any]) -> None:
    nodes = ours, theirs = lab.ours("uvloop"), lab.kinship()
    sent = 0

    def kinship() -> float:
        nonlocal sent
        load = lab.kinship_load(COUNT_CLAIMS, members=MANY, first=sent)
        sent += COUNT_CLAIMS
        return lab.cost_until_idle(theirs, load, COUNT_CLAIMS)

    with lab.running(*nodes):
        populated(ours, MANY)
        known_to(theirs, MANY)
        taken = compare(Claims(ours, MANY, new=True), kinship)
    figures.put("new_10000_kinship", taken[1] / taken[0])
    extra.setdefault("kinship", {})["five new alives, 10,000 members"] = {
        "ours": taken[0],
        "kinship": taken[1],
    }
