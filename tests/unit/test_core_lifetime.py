"""A core gives back what it holds, in whatever order its Python shell is taken apart."""

from __future__ import annotations

import gc

from gossip._core import Identities, Swim
from gossip.config import Config


def core(identities: Identities | None = None) -> Swim:
    settings = Config.lan(plaintext=True).settings()
    name, address = b"node-1", bytes([127, 0, 0, 1])
    swim = Swim(settings, name=name, address=address, port=7946, seed=1, identities=identities)
    swim.start(0)
    return swim


def test_a_core_that_ends_leaves_nothing_in_shared_identities() -> None:
    identities = Identities()
    swim = core(identities)
    assert len(identities) == 1
    del swim
    assert len(identities) == 0


def test_a_core_may_outlive_its_identities_when_the_collector_takes_it_apart() -> None:
    class Holder:
        def __init__(self) -> None:
            self.swim = core()
            self.cycle = self

    holders = [Holder() for _ in range(50)]
    del holders
    gc.collect()
    assert core().member_count == 1
