"""Published experiments, repeated on the production core: `python -m gossip.sim paper NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossip.sim.papers import lifeguard_tables, rapid, serf_convergence, swim, vivaldi
from gossip.sim.papers.result import Result

# Each takes whether the short form is wanted, and how many processes there are.
PAPERS: Mapping[str, Callable[[bool, int], Result]] = {
    "lifeguard-fp": lifeguard_tables.false_positives,
    "lifeguard-latency": lifeguard_tables.latency,
    "lifeguard-load": lifeguard_tables.load,
    "lifeguard-sweep": lifeguard_tables.sweep,
    "swim": swim.run,
    "serf-convergence": serf_convergence.run,
    "rapid": rapid.run,
    "vivaldi": vivaldi.run,
}
