"""How long a core lives, and what of it outlives what."""

from __future__ import annotations

import ctypes
import gc
import weakref

import pytest

from gossip._core import Identities, Swim
from tests.sim import wire
from tests.sim.settings import EPOCH, SECOND, lan
from tests.sim.solo import Puppet, Solo


class Holder:
    """Something that a core can be part of a reference cycle with."""

    core: Swim
    itself: Holder


def test_a_core_in_a_reference_cycle_is_collected_without_harm() -> None:
    for _ in range(5):
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


def a_busy_life(identities: Identities) -> None:
    """Everything a core allocates, in one life that ends in the middle of it all."""
    solo = Solo.start(identities=identities, keys=[bytes(16)], ask_accept_member=1)
    solo.install([])
    solo.swim.set_local_state(bytes(5_000))
    for number in range(40):
        peer = solo.puppet(f"peer-{number}", answers=number % 3 > 0, dialled="hang")
        solo.hear(peer.alive(meta=bytes(number)), source=peer)
        solo.swim.admit(peer.name, number % 5 > 0, solo.now)
        solo.hear(peer.alive(2, meta=b"new"), wire.suspect(peer.name, 2, b"x"))
        solo.swim.join(peer.ip, peer.port, b"", solo.now)
        solo.swim.send(peer.name, bytes(3_000), True, solo.now)
        solo.swim.broadcast(b"to all %d" % number)
    solo.dial(wire.push_pull([Puppet(b"far", bytes(4)).entry()], user_state=bytes(9_000)))
    solo.dial(wire.push_pull([], node_count=100)[:-1])
    solo.run_for(4 * SECOND)
    solo.swim.update_meta(b"changed", solo.now)
    solo.swim.receive([(wire.user(b"unread"), bytes(4), 1)], solo.now)


class Heap(ctypes.Structure):
    """glibc's mallinfo2; the one field looked at is the eighth."""

    _fields_ = (("before", ctypes.c_size_t * 7), ("used", ctypes.c_size_t * 3))


def heap_used() -> int:
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Heap
    return int(mallinfo2().used[0])


def test_a_core_takes_all_it_allocated_with_it() -> None:
    identities = Identities(1)
    for _ in range(15):
        a_busy_life(identities)
    gc.collect()
    before = heap_used()
    for _ in range(40):
        a_busy_life(identities)
    gc.collect()
    assert len(identities) == 0
    # One pointer kept for each of the 40 members of a life would already be more.
    assert heap_used() - before < 40 * 320, "320 bytes a life stay behind"


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
