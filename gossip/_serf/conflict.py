"""The vote about a name that two nodes use (Serf §13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gossip._serf.messages import decode_conflict_response
from gossip._serf.wire import WireError
from gossip.members import Address

QUERY = "_serf_conflict"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many nodes answered, and how many of them know the name at our own address."""

    answers: int
    matching: int

    @property
    def stay(self) -> bool:
        """Whether we keep the name. Without one answer we do not, as in Serf."""
        return self.matching >= self.answers // 2 + 1


def count_votes(payloads: Iterable[bytes], own: Address) -> Verdict:
    """Judges the answers; one that cannot be read does not count, a nil one does not match."""
    answers = matching = 0
    for payload in payloads:
        try:
            found = decode_conflict_response(payload)
        except WireError:
            continue
        answers += 1
        matching += Address.from_bytes(found.addr, found.port) == own
    return Verdict(answers, matching)
