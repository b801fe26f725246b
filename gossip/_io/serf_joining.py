"""Joining as a Serf node does: the join is announced, and old events are passed over (Serf §5)."""

from __future__ import annotations

from collections.abc import Sequence

from gossip._io.joining import Joiner, JoinerParts
from gossip._io.serf import SerfLayer
from gossip.reports import JoinReport


class SerfJoiner(Joiner):
    """A `Joiner` of a `Node`. replay: take in user events that are older than the join."""

    def __init__(self, *parts: *JoinerParts, serf: SerfLayer, replay: bool) -> None:
        super().__init__(*parts)
        self._serf = serf
        self._replay = replay

    async def attempt(self, seeds: Sequence[str], timeout: float | None) -> JoinReport:
        self._serf.joining(ignore_old=not self._replay)
        contacted = 0
        try:
            report = await super().attempt(seeds, timeout)
            contacted = report.reached
            return report
        finally:
            self._serf.joined(ignore_old=not self._replay, contacted=contacted)
