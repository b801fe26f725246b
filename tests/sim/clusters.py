"""Simulations as the tests here need them: booted without waiting, cut by numbers, and what their
nodes were told about each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gossip import Config, MemberFailed, MemberSuspected, Status
from gossip.sim import SimulatedNode, Simulation


def boot(cluster: Simulation, *, clock: int | None = None) -> None:
    """Starts all within a second, each but the first joins the first; waits for nothing."""
    for node in cluster.nodes:
        node.start(clock=clock)
        if node.number:
            node.join(0)
        cluster.advance(1 / len(cluster))


def started(
    size: int, seed: int, config: Config | None = None, *, clock: int | None = None
) -> Simulation:
    """A cluster whose nodes hold each other.

    Gossip alone may miss a node (each claim is sent so often and no more); push/pull then tells it.
    """
    cluster = Simulation(size, seed=seed, config=config)
    boot(cluster, clock=clock)
    cluster.wait_until(cluster.agreed, within=300)
    return cluster


def about(node: SimulatedNode, kind: type[Any], name: str | int | None = None) -> list[Any]:
    """What a node was told of one kind, about one member or about all."""
    wanted = f"node-{name}" if isinstance(name, int) else name
    return [
        event
        for event in node.events
        if isinstance(event, kind) and (wanted is None or event.member.name == wanted)
    ]


def false_alarms(cluster: Simulation) -> list[Any]:
    """Every suspicion or failure any node told of."""
    suspected = [each for node in cluster.nodes for each in about(node, MemberSuspected)]
    return suspected + failures(cluster)


def failures(cluster: Simulation) -> list[Any]:
    return [each for node in cluster.nodes for each in about(node, MemberFailed)]


def block(
    cluster: Simulation, sources: Iterable[int], targets: Iterable[int], only: str = ""
) -> None:
    """Nothing passes from the sources to the targets any more; `only` is `udp` or `tcp`."""
    ends = list(targets)
    for source in sources:
        for target in ends:
            if source != target:
                cluster.pool.engine.link(
                    source, target, datagrams=only == "tcp", streams=only == "udp"
                )


def all_hold(nodes: Iterable[SimulatedNode], number: int, status: Status | None) -> bool:
    """Whether each holds the node of that number to be so; None: holds nothing of it."""
    return all(node.status(number) is status for node in nodes)
