"""Published experiments, repeated on the production core: `python -m gossip.sim paper NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossip.sim.papers import lifeguard_tables, rapid, serf_convergence, swim, vivaldi
from gossip.sim.papers.lifeguard_tables import prepare
from gossip.sim.papers.result import Result
from gossip.sim.work import Effort

__all__ = ["PAPERS", "prepare"]


def plain(run: Callable[[bool, int], Result]) -> Callable[[Effort], Result]:
    """A paper that takes whether the short form is wanted, and how many processes there are."""
    return lambda effort: run(effort.quick, effort.jobs)


PAPERS: Mapping[str, Callable[[Effort], Result]] = {
    "lifeguard-fp": lifeguard_tables.false_positives,
    "lifeguard-latency": lifeguard_tables.latency,
    "lifeguard-load": lifeguard_tables.load,
    "lifeguard-sweep": lifeguard_tables.sweep,
    "swim": plain(swim.run),
    "serf-convergence": plain(serf_convergence.run),
    "rapid": plain(rapid.run),
    "vivaldi": plain(vivaldi.run),
}
