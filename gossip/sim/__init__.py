"""Simulated clusters: pools of the production core, in one process and in virtual time.

    from gossip.sim import Simulation

    cluster = Simulation(5, seed=7)
    cluster.start()
    cluster.partition({0, 1}, {2, 3, 4})
    cluster.wait_until(lambda: cluster[0].status(4) == "failed")

The same seed and the same calls give the same run. The command is `python -m gossip.sim`.
"""

from gossip.sim.node import Call, SimulatedNode
from gossip.sim.serf import Query
from gossip.sim.simulation import NotSo, Simulation
from gossip.sim.swarm import Violation

__all__ = ["Call", "NotSo", "Query", "SimulatedNode", "Simulation", "Violation"]
