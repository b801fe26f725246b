"""What AES-GCM adds to a ping and its ack, both directions together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from bench import lab, packets
from bench.figures import Figures

COUNT = 20_000
# More packets than the replay window holds: a nonce that comes again has been forgotten.
DISTINCT = 40_000


def test_a_sealed_ping(
    compare: Any, reference: Callable[[], float], figures: Figures, extra: dict[str, Any]
) -> None:
    """Through the OpenSSL of the interpreter, and through `cryptography`."""
    pings = packets.pings(DISTINCT)
    plain = lab.load_of(pings)
    sealed = packets.enveloped(pings, key=packets.KEY)
    halves = [lab.load_of(half) for half in (sealed[:COUNT], sealed[COUNT:])]
    key = packets.KEY.hex()
    nodes = open_, evp, python = (
        lab.ours(),
        lab.ours(key=key, aead="evp"),
        lab.ours(key=key, aead="cryptography"),
    )

    def sealing(node: lab.Node) -> Callable[[], float]:
        turns = cycle(halves)
        return lambda: lab.cost_per_packet(node, next(turns), COUNT)

    with lab.running(*nodes):
        native, called, base, unit = compare(
            sealing(evp),
            sealing(python),
            lambda: lab.cost_per_packet(open_, plain, COUNT),
            reference,
        )
    figures.put("sealed_extra", native - base, unit)
    figures.put("sealed_extra_cryptography", called - base, unit)
    extra["sealed"] = {"plain": base, "AES-128-GCM, EVP": native, "AES-128-GCM, Python": called}
