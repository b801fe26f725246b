"""A day of a simulated cluster with Serf's layer, which others repeat: a program that prints the
trace of a seed, `python -m tests.sim.serf_run SEED`.
"""

from __future__ import annotations

import sys

from gossip import Event, NodeConfig, QueryReceived
from gossip.sim import Simulation


def a_serf_day(seed: int) -> str:
    """Events, a query with filters, tags, a leave, a crash, a restart, in a lossy network."""
    config = NodeConfig.lan(
        tags={"role": "web", "zone": "a"}, user_coalesce_period=0.5, user_quiescent_period=0.2
    )
    cluster = Simulation(6, seed=seed, config=config)
    cluster.start()
    cluster.network(loss=0.1, duplicates=0.1)
    for node in cluster.nodes:

        @node.on_event
        def answer(event: Event) -> None:
            if isinstance(event, QueryReceived):
                event.respond(event.payload + b"!")

        node.send_event("hello", node.name.encode(), coalesce=node.number % 2 == 0)
    cluster[1].set_tags({"role": "db", "rack": "7"})
    query = cluster[0].query("who", b"you", tags={"role": "^web$"}, ack=True, relay_factor=2)
    cluster.wait_until(lambda: query.over)
    leaving = cluster[2].leave()
    cluster.wait_until(lambda: leaving.over)
    cluster.crash(2)
    cluster.crash(3)
    cluster.advance(30)
    cluster.restart(3)
    cluster.advance(30)
    return cluster.trace


if __name__ == "__main__":
    print(a_serf_day(int(sys.argv[1])))
