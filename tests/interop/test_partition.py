"""A pool of Go and Python nodes that was cut in two finds itself again, on real networks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.interop.lab.cable import Cable
from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import SCHEDULING

HEAL_INTERVAL = 2.0
KEY = bytes(range(32))
FORGETS = {"gossip_to_the_dead_time": 0.5}
ROUNDS_MAX = 200  # of probes, until a table has forgotten the dead


def healed_within(pool: Pool) -> float:
    """The bound of docs/guide.md, and one call that was under way when the network came back."""
    timings, size = pool.timings, pool.shape.size
    calls = 1.5 * HEAL_INTERVAL + 8 * timings.probe_interval + timings.tcp_timeout
    return timings.suspicion_max(size) + calls + pool.spread_within + SCHEDULING


async def lost(pool: Pool, one: Sequence[Node], other: Sequence[Node]) -> None:
    """Each side holds all of the other for failed."""
    await asyncio.gather(
        *(
            pool.all_saw(near, far, "failed", "gone", within=pool.failed_within)
            for near, apart in ((one, other), (other, one))
            for far in apart
        )
    )


async def forgotten(node: Node, others: Sequence[Node], beacon: Node) -> None:
    """A node's table knows nobody of the others any more; probes of one it knows pass the time."""
    names = {other.name for other in others}
    for _ in range(ROUNDS_MAX):
        if not names & (await node.statuses()).keys():
            return
        await node.saw_often("pinged", node.count("pinged", name=beacon.name) + 1, 60.0,
                             name=beacon.name)  # fmt: skip
    raise AssertionError(f"{node.name} still knows some of {sorted(names)}")


async def told_of(node: Node, apart: Sequence[Node], within: float) -> None:
    """Its events say that all of the other side were lost and are back: in one event or in some,
    and others may have failed for a moment too."""

    def check() -> bool | None:
        events = [event for event in node.events if event.kind == "healed"]
        assert all(set(event["regained"]) <= set(event["lost"]) for event in events)
        back = {name for event in events for name in event["regained"]}
        return back >= {other.name for other in apart} or None

    await node.until("told that the partition healed", within, check)


async def cut_and_mend(pool: Pool, cable: Cable, forget: bool) -> None:
    here = [node for node in pool.nodes if node.name not in pool.there]
    there = [node for node in pool.nodes if node.name in pool.there]
    await pool.join_all()
    cable.cut()
    await lost(pool, here, there)
    if forget:
        await asyncio.gather(
            *(
                forgotten(node, apart, next(each for each in near if each is not node))
                for near, apart in ((here, there), (there, here))
                for node in near
                if node.flavour == "python"
            )
        )
    cable.mend()
    await pool.all_see(pool.nodes, healed_within(pool))
    await asyncio.gather(
        *(
            told_of(node, there if node in here else here, SCHEDULING + pool.failed_within)
            for node in pool.python
        )
    )
    await asyncio.gather(here[0].ping(there[0]), there[0].ping(here[0]))


@pytest.mark.cell(6, seconds=40)
@pytest.mark.parametrize("forget", [False, True], ids=["dead", "forgotten"])
async def test_two_mixed_halves_find_each_other_again(forget: bool) -> None:
    more = FORGETS if forget else {}
    shape = Shape(go=3, python=3, keys=(KEY,), label="lab", heal_interval=HEAL_INTERVAL, more=more)
    with Cable() as cable:
        async with Pool(shape, cable, there={"go-2", "go-3", "python-2"}) as pool:
            await cut_and_mend(pool, cable, forget)


@pytest.mark.cell(5, seconds=40)
async def test_a_half_of_go_nodes_alone_is_found_by_the_python_nodes_of_the_other() -> None:
    shape = Shape(go=3, python=2, heal_interval=HEAL_INTERVAL, more=FORGETS)
    with Cable() as cable:
        async with Pool(shape, cable, there={"go-2", "go-3"}) as pool:
            await cut_and_mend(pool, cable, True)


@pytest.mark.cell(4, seconds=40)
async def test_with_the_thread_driver_too() -> None:
    shape = Shape(go=2, python=2, driver="thread", heal_interval=HEAL_INTERVAL, more=FORGETS)
    with Cable() as cable:
        async with Pool(shape, cable, there={"go-2", "python-2"}) as pool:
            await cut_and_mend(pool, cable, True)
