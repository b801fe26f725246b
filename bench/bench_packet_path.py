"""The core's path of a packet, without sockets: opened, dispatched, the answer written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import _loop, cores, packets
from bench.figures import Figures
from gossip._core import Swim

PINGS = packets.pings(256)
ROUNDS = 400


def cost(node: Swim, load: list[bytes], rounds: int = ROUNDS) -> Callable[[], float]:
    feed = _loop.Feed(load)

    def run() -> float:
        taken, replies, _ = feed.through(node, cores.START_NS, rounds)
        assert replies == rounds * len(load)
        return float(taken)

    return run


def test_a_ping(compare: Any, reference: Callable[[], float], figures: Figures) -> None:
    taken, unit = compare(cost(cores.core(10), PINGS), reference)
    figures.put("core_ping", taken, unit)


def test_what_each_envelope_adds(compare: Any, extra: dict[str, Any]) -> None:
    labelled = packets.enveloped(PINGS, label=packets.LABEL)
    summed = packets.enveloped(PINGS, crc=True)
    parts = [packets.compound([ping]) for ping in PINGS]
    full = packets.enveloped(parts, label=packets.LABEL, crc=True)
    plain, plain_compressing, label, crc, compound, everything = compare(
        cost(cores.core(10, enable_compression=False), PINGS),
        cost(cores.core(10), PINGS),
        cost(cores.core(10, label=packets.LABEL), labelled),
        cost(cores.core(10), summed),
        cost(cores.core(10), parts),
        cost(cores.core(10, label=packets.LABEL), full),
    )
    extra["envelopes"] = {
        "no compression": plain,
        "default": plain_compressing,
        "label": label,
        "CRC": crc,
        "compound": compound,
        "label, CRC, compound": everything,
    }


def test_claims_that_everybody_knows(compare: Any, extra: dict[str, Any]) -> None:
    sizes = (10, 100, 1000, 10_000, 100_000)
    costs = []
    for members in sizes:
        load = packets.pings_with_alives(max(64, members // packets.CLAIMS), members, new=False)
        costs.append(cost(cores.core(members), load, max(1, 20_000 // len(load))))
    extra["core_known_by_members"] = dict(zip(map(str, sizes), compare(*costs), strict=True))
