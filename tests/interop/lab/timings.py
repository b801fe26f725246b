"""The timers a pool runs with, and how soon the protocol promises what (protocol §14-§20).

Every deadline of these tests is one of these bounds. They are worst cases: a test that passes takes
a fraction of them. No clock is read here.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

# What a busy machine may add to any of the protocol's own bounds, in seconds.
SCHEDULING = 5.0


@dataclass(frozen=True)
class Timings:
    """Memberlist's settings of the same names; durations in seconds."""

    probe_interval: float
    probe_timeout: float
    suspicion_mult: int
    gossip_interval: float
    push_pull_interval: float
    gossip_to_the_dead_time: float = 30.0
    tcp_timeout: float = 10.0
    suspicion_max_timeout_mult: int = 6
    awareness_max_multiplier: int = 8
    indirect_checks: int = 3
    retransmit_mult: int = 4
    gossip_nodes: int = 3

    def settings(self) -> dict[str, float | int]:
        """As fields of a node's configuration."""
        return asdict(self)

    def suspicion_min(self, nodes: int) -> float:
        """The least time from suspicion to failure (§18)."""
        scale = max(1.0, math.log10(max(1, nodes)))
        return self.suspicion_mult * math.trunc(1000 * scale) * self.probe_interval / 1000

    def suspicion_max(self, nodes: int) -> float:
        """The time from suspicion to failure that no other node confirms (§18)."""
        return self.suspicion_max_timeout_mult * self.suspicion_min(nodes)

    def suspected_within(self, nodes: int) -> float:
        """A node that stopped answering is suspected by someone.

        A prober passes every member once between two shuffles, so at most 2n - 1 of its ticks lie
        between two probes of one member (§15); the failing probe takes one interval, or several
        where failures just before have lowered the prober's own health (§16, §17).
        """
        return (2 * nodes + self.awareness_max_multiplier) * self.probe_interval + SCHEDULING

    def spread_within(self, nodes: int) -> float:
        """A claim is known everywhere: by gossip, or by the push/pulls that mend what it missed."""
        sends = self.retransmit_mult * math.ceil(math.log10(nodes + 1))
        rounds = sends * math.ceil(math.log2(nodes))
        return rounds * self.gossip_interval + 2 * self.push_pull_interval + SCHEDULING

    def failed_within(self, nodes: int) -> float:
        """A node that stopped answering has failed for everyone."""
        return self.suspected_within(nodes) + self.suspicion_max(nodes) + self.spread_within(nodes)


# Short enough for a matrix of pools, long enough that a busy machine still answers in time.
FAST = Timings(
    probe_interval=0.4,
    probe_timeout=0.2,
    suspicion_mult=4,
    gossip_interval=0.05,
    push_pull_interval=2.0,
)

# What memberlist runs with in a local network.
LAN = Timings(
    probe_interval=1.0,
    probe_timeout=0.5,
    suspicion_mult=4,
    gossip_interval=0.2,
    push_pull_interval=30.0,
)
