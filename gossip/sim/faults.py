"""Faults as the random swarm draws them: each does something to a pool, and is named in the report.

A fault takes the pool's own random numbers and nothing else, so that a seed repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossip._serf.calls import QueryCall
from gossip.sim.pool import MILLISECOND, SECOND, Pool

Fault = Callable[[Pool], None]


def some(pool: Pool, at_most: int) -> list[int]:
    """One or more of the nodes that are up."""
    up = [number for number in range(len(pool)) if pool.engine.is_up(number)]
    count = 1 + pool.random.below(max(1, min(at_most, len(up))))
    return [up[at] for at in pool.choose(min(count, len(up)), len(up))]


def part(pool: Pool, most_percent: int) -> float:
    return pool.random.below(most_percent + 1) / 100


def between(pool: Pool, low_ms: int, high_ms: int) -> int:
    """A duration in ns."""
    return (low_ms + pool.random.below(high_ms - low_ms + 1)) * MILLISECOND


def lossy_network(pool: Pool) -> None:
    pool.engine.network(
        loss=part(pool, 30),
        duplicates=part(pool, 10),
        reordered=part(pool, 30),
        reorder_ns=between(pool, 1, 500),
    )


def rough_network(pool: Pool) -> None:
    """Old datagrams again, streams that break, writes in pieces."""
    pool.engine.network(
        loss=part(pool, 10), replays=part(pool, 10), resets=part(pool, 30), pieces=True
    )


def far_network(pool: Pool) -> None:
    kind = ("fixed", "uniform", "exponential")[pool.random.below(3)]
    low = between(pool, 0, 100)
    pool.engine.delay(kind, low, low + between(pool, 1, 200))


def zones(pool: Pool) -> None:
    for number in range(len(pool)):
        pool.engine.zone(number, pool.random.below(3))
    pool.engine.delay("uniform", 5 * MILLISECOND, 60 * MILLISECOND, 0, 1)
    pool.engine.delay("uniform", 50 * MILLISECOND, 300 * MILLISECOND, 1, 0)


def small_mtu(pool: Pool) -> None:
    pool.engine.network(mtu=500 + pool.random.below(1000))


def lossy_nodes(pool: Pool) -> None:
    for number in some(pool, 3):
        pool.engine.line(number, loss_in=part(pool, 100), loss_out=part(pool, 100))


def slow_lines(pool: Pool) -> None:
    for number in some(pool, 3):
        pool.engine.line(number, rate=200 + pool.random.below(5000))


def partition(pool: Pool) -> None:
    """Any split into two to four sides; sometimes of one direction, or of datagrams only."""
    sides = 2 + pool.random.below(3)
    for number in range(len(pool)):
        pool.engine.side(number, pool.random.below(sides))
    both = pool.random.below(4) > 0
    streams = pool.random.below(4) > 0
    for one in range(sides):
        for other in range(one):
            pool.engine.cut(one, other, True, streams)
            if both:
                pool.engine.cut(other, one, True, streams)


def clogs(pool: Pool) -> None:
    for source in some(pool, 4):
        for target in some(pool, 4):
            if source != target:
                pool.engine.link(source, target, clog_ns=between(pool, 100, 20_000))


def bad_links(pool: Pool) -> None:
    for source in some(pool, 4):
        for target in some(pool, 4):
            if source != target:
                pool.engine.link(
                    source, target, loss=part(pool, 100), delay_ns=between(pool, 0, 800)
                )


def heal(pool: Pool) -> None:
    pool.engine.heal()


def freeze(pool: Pool) -> None:
    for number in some(pool, 3):
        pool.engine.pause(number, between(pool, 50, 40_000), "frozen")


def block(pool: Pool) -> None:
    duration = between(pool, 50, 40_000)
    for number in some(pool, 8):
        pool.engine.pause(number, duration, "blocked")


def slow_processors(pool: Pool) -> None:
    for number in some(pool, 3):
        pool.engine.slow(number, between(pool, 1, 100))


def jump(pool: Pool) -> None:
    for number in some(pool, 2):
        pool.engine.jump(number, between(pool, 1, 100_000))


def crash(pool: Pool) -> None:
    for number in some(pool, 3):
        if sum(pool.engine.is_up(each) for each in range(len(pool))) > 2:
            pool.crash(number)


def restart(pool: Pool) -> None:
    """Of those that are down, at the same address."""
    for number in range(len(pool)):
        if not pool.engine.is_up(number) and pool.random.below(2):
            come_back(pool, number)


def come_back(pool: Pool, number: int) -> None:
    """A fresh process, whose metadata says so, with a coarse clock as a machine has one."""
    up = [each for each in range(len(pool)) if pool.engine.is_up(each)]
    clock = 1_900_000_000 + pool.engine.now // SECOND
    pool.start(number, b"life-%d" % pool.random.below(1 << 30), clock)
    if up:
        pool.join(number, up[pool.random.below(len(up))])


def leave(pool: Pool) -> None:
    """Says goodbye and stops a while later; it may be heard by some only."""
    (number,) = some(pool, 1)
    if sum(pool.engine.is_up(each) for each in range(len(pool))) > 2:
        pool.leave(number)
        pool.run(between(pool, 0, 3000))
        pool.crash(number)


def noise(pool: Pool) -> None:
    """The application says something."""
    for number in some(pool, 3):
        pool.swims[number].broadcast(b"\xf0noise")
        pool.engine.touch(number)


def change_metadata(pool: Pool) -> None:
    for number in some(pool, 3):
        pool.update_meta(number, b"meta-%d" % pool.random.below(1 << 30))


FAULTS: Mapping[str, Fault] = {
    "lossy network": lossy_network,
    "rough network": rough_network,
    "far network": far_network,
    "zones": zones,
    "small MTU": small_mtu,
    "lossy nodes": lossy_nodes,
    "slow lines": slow_lines,
    "partition": partition,
    "clogs": clogs,
    "bad links": bad_links,
    "heal": heal,
    "freeze": freeze,
    "block": block,
    "slow processors": slow_processors,
    "clock jump": jump,
    "crash": crash,
    "restart": restart,
    "leave": leave,
    "noise": noise,
    "metadata": change_metadata,
}


# Of pools with Serf's layer. Nobody is pruned: one that only seemed to have failed would be missing
# for good, in Serf's own pools as well.


def send_events(pool: Pool) -> None:
    """Some nodes say something at once, and the same Lamport time may be that of several."""
    for number in some(pool, 4):
        name = ("deploy", "refresh")[pool.random.below(2)]
        payload = b"%d" % pool.random.below(1 << 30)
        layer = pool.layers[number]
        layer.send_event(name, payload, bool(pool.random.below(2)))
        layer.entered()


def ask(pool: Pool) -> None:
    """A query, of all or of some, with or without acks and relays."""
    (number,) = some(pool, 1)
    nodes = [f"node-{each}" for each in some(pool, 4)] if pool.random.below(3) == 0 else []
    tags = {"life": "^[0-4]"} if pool.random.below(3) == 0 else {}
    call = QueryCall(
        "uptime",
        b"%d" % pool.random.below(1 << 30),
        tuple(nodes),
        tags,
        bool(pool.random.below(2)),
        pool.random.below(4),
    )
    pool.layers[number].ask(call)


def change_tags(pool: Pool) -> None:
    for number in some(pool, 3):
        tags = {"role": "web", "life": str(pool.random.below(1 << 30))}
        pool.update_meta(number, pool.layers[number].set_tags(tags))


def force_leave(pool: Pool) -> None:
    """Of a node that is down, or that is up and then refutes it."""
    (number,) = some(pool, 1)
    name = b"node-%d" % pool.random.below(len(pool))
    serf = pool.layers[number].serf
    pool.ask(number, lambda _, now: serf.force_leave(name, False, now))


SERF_FAULTS: Mapping[str, Fault] = {
    **{name: fault for name, fault in FAULTS.items() if fault is not change_metadata},
    "user events": send_events,
    "query": ask,
    "tags": change_tags,
    "forced leave": force_leave,
}


def end_all(pool: Pool) -> None:
    """Faults are over: a good network, and every process runs."""
    engine = pool.engine
    engine.heal()
    engine.network()
    engine.delay("uniform", 100_000, 2 * MILLISECOND)
    for number in range(len(pool)):
        engine.line(number)
        engine.slow(number, 0)
        if not engine.is_up(number):
            come_back(pool, number)


def join_the_lonely(pool: Pool) -> None:
    """What a driver does for a node whose join failed: it tries again (`retry_join`)."""
    for number in range(len(pool)):
        if pool.engine.is_up(number) and pool.engine.counts_of(number) == (1, 0, 0, 0):
            others = [other for other in range(len(pool)) if other != number]
            pool.join(number, others[pool.random.below(len(others))])


def call_the_seed(pool: Pool) -> None:
    """What a driver does beside that, slowly: it calls seeds that are no members. The seed of all
    is node 0, as at the start."""
    for number in range(1, len(pool)):
        held = pool.engine.rows(number).get(0)
        if pool.engine.is_up(number) and (held is None or held[0] in ("dead", "left")):
            pool.join(number, 0)
