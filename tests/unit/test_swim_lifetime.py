"""How long a core lives, and what of it outlives what."""

from __future__ import annotations

import gc
import weakref

import pytest

from gossip._core import Identities, Swim
from tests.sim.settings import EPOCH, lan
from tests.sim.solo import Solo


class Holder:
    """Something that a core can be part of a reference cycle with."""

    core: Swim
    itself: Holder


def test_a_core_in_a_reference_cycle_is_collected_without_harm() -> None:
    for _ in range(20):
        solo = Solo.start()
        solo.members(5)
        holder = Holder()
        holder.core, holder.itself = solo.swim, holder
        gone = weakref.ref(holder)
        del solo, holder
        gc.collect()
        assert gone() is None


def test_cores_that_share_identities_survive_each_other() -> None:
    shared = Identities(7)
    cores = [
        Swim(lan(), name=b"same", address=bytes(4), port=1, seed=seed, identities=shared)
        for seed in range(3)
    ]
    for core in cores:
        core.start(EPOCH)
    assert len(shared) == 1, "the same name at the same address is stored once"
    del shared, cores[0]
    assert [core.member_count for core in cores] == [1, 1]


def test_a_node_starts_once() -> None:
    solo = Solo.start()
    with pytest.raises(RuntimeError):
        solo.swim.start(solo.now)


def test_a_node_that_was_not_started_does_nothing() -> None:
    swim = Swim(lan(), name=b"idle", address=bytes(4), port=1, seed=1)
    swim.receive([(b"\0\x80", bytes(4), 1)], EPOCH)
    swim.tick(EPOCH)
    assert swim.next_deadline() is None
    assert swim.transmits() == []
    with pytest.raises(RuntimeError):
        swim.leave(EPOCH)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": b""}, "name"),
        ({"name": b"x" * 256}, "name"),
        ({"name": b"tab\t"}, "name"),
        ({"address": b"123"}, "address"),
        ({"meta": bytes(513)}, "meta"),
        ({"label": bytes(256)}, "label"),
        ({"settings": {"gossip_nodes": 3}}, "settings"),
        ({"settings": lan() | {"gossip_nodse": 3}}, "gossip_nodse"),
    ],
)
def test_a_wrong_argument_is_named(wrong: dict[str, object], says: str) -> None:
    right = {"settings": lan(), "name": b"me", "address": bytes(4), "port": 1, "seed": 1}
    arguments = right | wrong
    with pytest.raises(ValueError, match=says):
        Swim(arguments.pop("settings"), **arguments)  # type: ignore[arg-type]
