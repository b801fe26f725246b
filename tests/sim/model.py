"""The membership rules as plainly as they can be said: the other opinion for the stateful test.

Written from the protocol text (§18, §19), not from the core; slow, small, and without packets. It
knows nothing of probing: in the test every member answers, so nobody is suspected by this node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .settings import SECOND

Address = tuple[bytes, int]
Fact = tuple[str, bytes]

SUSPICION_MULT = 4
MAX_MULT = 6
PROBE_INTERVAL = SECOND
GONE = ("dead", "left")


@dataclass
class Suspicion:
    started: int
    k: int
    low: int
    high: int
    accusers: set[bytes] = field(default_factory=set)

    @property
    def deadline(self) -> int:
        confirmations = len(self.accusers) - 1
        if self.k < 1:
            return self.started + self.low
        share = math.log(confirmations + 1) / math.log(self.k + 1)
        seconds = self.high / SECOND - share * (self.high - self.low) / SECOND
        wait = math.floor(seconds * 1000) * (SECOND // 1000)
        return self.started + max(self.low, wait)


@dataclass
class Row:
    address: Address
    incarnation: int
    meta: bytes
    state: str
    since: int
    suspicion: Suspicion | None = None


@dataclass
class Model:
    """What one node believes. Every rule returns the facts it would tell its user."""

    name: bytes
    address: Address
    now: int
    reclaim_ns: int = 0
    meta: bytes = b""
    incarnation: int = 1
    left: bool = False
    rows: dict[bytes, Row] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Rows of the table, this node included."""
        return len(self.rows) + 1

    def alive(self, name: bytes, address: Address, incarnation: int, meta: bytes) -> list[Fact]:
        if name == self.name:
            return self._alive_self(address, incarnation, meta)
        row = self.rows.get(name)
        if row is None:
            if incarnation == 0:
                return []
            self.rows[name] = Row(address, incarnation, meta, "alive", self.now)
            return [("joined", name)]
        moved = row.address != address
        if moved and not self._reclaimable(row):
            return [("conflict", name)]
        if incarnation <= row.incarnation and not moved:
            return []
        before, changed = row.state, row.meta != meta or moved
        row.suspicion = None
        row.address, row.incarnation, row.meta = address, incarnation, meta
        if before != "alive":
            row.state, row.since = "alive", self.now
        if before in GONE:
            return [("joined", name)]
        facts = [("refuted", name)] if before == "suspect" else []
        return [*facts, ("updated", name)] if changed else facts

    def _reclaimable(self, row: Row) -> bool:
        waited = self.now - row.since
        late = row.state == "dead" and 0 < self.reclaim_ns < waited
        return row.state == "left" or late

    def _alive_self(self, address: Address, incarnation: int, meta: bytes) -> list[Fact]:
        if self.left:
            return []
        if address != self.address:
            return [("conflict", self.name)]
        if incarnation > self.incarnation or (
            incarnation == self.incarnation and meta != self.meta
        ):
            self._refute(incarnation)
        return []

    def _refute(self, accused: int) -> None:
        self.incarnation = max(self.incarnation, accused) + 1

    def suspect(self, name: bytes, incarnation: int, accuser: bytes) -> list[Fact]:
        if name == self.name:
            if not self.left and incarnation >= self.incarnation:
                self._refute(incarnation)
            return []
        row = self.rows.get(name)
        if row is None or incarnation < row.incarnation or row.state in GONE:
            return []
        if row.suspicion is not None:
            return self._confirm(name, row.suspicion, accuser)
        row.state, row.incarnation, row.since = "suspect", incarnation, self.now
        k = SUSPICION_MULT - 2
        scale = max(1.0, math.log10(max(1, self.size)))
        low = SUSPICION_MULT * int(1000 * scale) * PROBE_INTERVAL // 1000
        k = k if self.size - 2 >= k else 0
        row.suspicion = Suspicion(self.now, k, low, MAX_MULT * low, {accuser})
        return [("suspected", name)]

    def _confirm(self, name: bytes, suspicion: Suspicion, accuser: bytes) -> list[Fact]:
        if len(suspicion.accusers) - 1 < suspicion.k:
            suspicion.accusers.add(accuser)
        return self._expire(name) if suspicion.deadline <= self.now else []

    def dead(self, name: bytes, incarnation: int, accuser: bytes) -> list[Fact]:
        if name == self.name:
            if not self.left and incarnation >= self.incarnation:
                self._refute(incarnation)
            return []
        row = self.rows.get(name)
        if row is None or incarnation < row.incarnation or row.state in GONE:
            return []
        graceful = accuser == name
        row.state = "left" if graceful else "dead"
        row.incarnation, row.since, row.suspicion = incarnation, self.now, None
        return [("left" if graceful else "failed", name)]

    def entry(
        self, state: int, name: bytes, address: Address, incarnation: int, meta: bytes
    ) -> list[Fact]:
        """One entry of a push/pull (protocol §10.3)."""
        if state == 0:
            return self.alive(name, address, incarnation, meta)
        if state == 3:
            return self.dead(name, incarnation, name)
        return self.suspect(name, incarnation, self.name) if state in (1, 2) else []

    def leave(self) -> list[Fact]:
        self.left = True
        return [("left", self.name)]

    def update(self, meta: bytes) -> list[Fact]:
        changed = meta != self.meta
        self.incarnation, self.meta = self.incarnation + 1, meta
        return [("updated", self.name)] if changed else []

    def pass_time(self, duration: int) -> list[Fact]:
        """Suspicions that run out, in the order they do."""
        end = self.now + duration
        facts: list[Fact] = []
        while True:
            due = [
                (row.suspicion.deadline, name)
                for name, row in self.rows.items()
                if row.suspicion is not None and row.suspicion.deadline <= end
            ]
            if not due:
                break
            self.now, name = min(due)
            facts += self._expire(name)
        self.now = end
        return facts

    def _expire(self, name: bytes) -> list[Fact]:
        return self.dead(name, self.rows[name].incarnation, self.name)
