"""What AES-GCM adds to a ping and its ack, both directions together, through `cryptography`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import lab, packets
from bench.figures import Figures

COUNT = 20_000
# More packets than the replay window holds: a nonce that comes again has been forgotten.
DISTINCT = 40_000


def test_a_sealed_ping(
    compare: Any, reference: Callable[[], float], figures: Figures, extra: dict[str, Any]
) -> None:
    pings = packets.pings(DISTINCT)
    plain, halves = lab.load_of(pings), []
    sealed = packets.enveloped(pings, key=packets.KEY)
    for half in (sealed[:COUNT], sealed[COUNT:]):
        halves.append(lab.load_of(half))
    nodes = open_, closed = lab.ours(), lab.ours(key=packets.KEY.hex())

    def run() -> float:
        halves.reverse()
        return lab.cost_per_packet(closed, halves[0], COUNT)

    with lab.running(*nodes):
        taken, base, unit = compare(
            run, lambda: lab.cost_per_packet(open_, plain, COUNT), reference
        )
    figures.put("sealed_extra", taken - base, unit)
    extra["sealed"] = {"plain": base, "AES-128-GCM": taken}
