"""What must hold of every node at every step of every run, whatever the network does.

Checked from outside: the member table, the events and the packets, never the inside of the core.
What is *not* promised: that two nodes agree at any one moment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from . import wire

# A Go node's packets may exceed the buffer size by the CRC, which no budget counts (protocol §13).
CRC_BYTES = 5

Row = tuple[Any, ...]
NAME, IP, PORT, META, VSN, STATE, INCARNATION, SINCE = range(8)

# Refutations that one step may hold; their packets may show each of their incarnations.
REFUTED_AT_ONCE = 100

GONE = (wire.STATE_DEAD, wire.STATE_LEFT)
HERE = (wire.STATE_ALIVE, wire.STATE_SUSPECT)


@dataclass
class Published:
    """What each node really said of itself, so that nobody can know more than that."""

    incarnations: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    metas: dict[tuple[bytes, int], set[bytes]] = field(default_factory=lambda: defaultdict(set))

    def note(self, row: Row, before: int) -> None:
        """`before` is the incarnation a step earlier: one step may hold several refutations, and
        packets of each."""
        name, incarnation = row[NAME], row[INCARNATION]
        self.incarnations[name] = max(self.incarnations[name], incarnation)
        lowest = max(before + 1, incarnation - REFUTED_AT_ONCE)
        for said in range(min(lowest, incarnation), incarnation + 1):
            self.metas[name, said].add(row[META])


@dataclass
class Watch:
    """One life of one node: its table at the last step, and the table its events tell of."""

    name: bytes
    settings: dict[str, int]
    published: Published
    rows: dict[bytes, Row] = field(default_factory=dict)
    told: dict[bytes, int] = field(default_factory=dict)
    leaving: bool = False

    def step(self, swim: Any, events: list[Row], now: int) -> None:
        """Check one step of the node; raises AssertionError that names the rule broken."""
        rows = {row[NAME]: row for row in swim.members()}
        own = self.rows.get(self.name)
        before = (own or rows[self.name])[INCARNATION]
        self.published.note(rows[self.name], before)
        assert len(rows) == swim.member_count, "the count is the number of rows"
        limit = self.settings["awareness_max_multiplier"]
        assert 0 <= swim.health_score < limit, "the health score stays within its bounds"
        deadline = swim.next_deadline()
        assert deadline is None or deadline[0] > 0, "a deadline is a time"
        self._own_row(rows[self.name])
        told = {event[1][NAME] for event in events if event[0] in TOLD}
        for name, row in rows.items():
            self._row(row, now)
            if name in self.rows:
                self._change(self.rows[name], row, name in told)
        for name in self.rows.keys() - rows.keys():
            self._removed(self.rows[name], now)
        for event in events:
            self._event(event)
        for name, row in rows.items():
            if name != self.name:
                assert self.told.get(name) == row[STATE], f"events and table differ on {name!r}"
        self.rows = rows

    def packet(self, data: bytes) -> None:
        size = self.settings["udp_buffer_size"] + CRC_BYTES
        assert 0 < len(data) <= size, f"a packet of {len(data)} bytes"

    def _own_row(self, row: Row) -> None:
        allowed = (wire.STATE_ALIVE, wire.STATE_LEFT) if self.leaving else (wire.STATE_ALIVE,)
        assert row[STATE] in allowed, f"{self.name!r} holds itself {wire.STATE_NAMES[row[STATE]]}"

    def _row(self, row: Row, now: int) -> None:
        name, incarnation = row[NAME], row[INCARNATION]
        known = self.published.incarnations[name]
        assert incarnation <= known, f"{name!r} at {incarnation}, it never said more than {known}"
        if row[STATE] == wire.STATE_ALIVE:
            said = self.published.metas[name, incarnation]
            assert row[META] in said, f"{name!r} never said that metadata at {incarnation}"
        assert row[SINCE] <= now, "a state began in the future"

    def _change(self, before: Row, row: Row, told: bool) -> None:
        """One step may hold several claims about a member; what is between them the events tell."""
        moved = before[IP : PORT + 1] != row[IP : PORT + 1]
        newer = row[INCARNATION] > before[INCARNATION]
        change = f"{wire.STATE_NAMES[before[STATE]]} -> {wire.STATE_NAMES[row[STATE]]}"
        what = f"{row[NAME]!r}: {change}"
        assert moved or row[INCARNATION] >= before[INCARNATION], f"{what}: incarnation went back"
        if not told:
            assert before[STATE] == row[STATE], f"{what}: nobody was told"
            assert before[SINCE] == row[SINCE], f"{what}: the time of the state moved"
            assert not moved, f"{what}: nobody was told of the new address"
        if before[STATE] in GONE and row[STATE] != before[STATE]:
            assert moved or newer, f"{what}: resurrected by an old claim"
        if before[STATE] == wire.STATE_SUSPECT and row[STATE] == wire.STATE_ALIVE:
            assert moved or newer, f"{what}: a suspicion ended without a refutation"
        if before[META] != row[META]:
            assert moved or newer, f"{what}: metadata changed without a new incarnation"

    def _removed(self, row: Row, now: int) -> None:
        assert row[STATE] in GONE, f"{row[NAME]!r} was removed while {wire.STATE_NAMES[row[STATE]]}"
        kept = now - row[SINCE]
        assert kept > self.settings["gossip_to_the_dead_time_ns"], "a gone member went too early"
        self.told.pop(row[NAME], None)

    def _event(self, event: Row) -> None:
        kind = event[0]
        assert kind != "lost", "events were lost"
        if kind not in TOLD or event[1][NAME] == self.name:
            return
        name = event[1][NAME]
        before, after = TOLD[kind]
        assert self.told.get(name) in before, f"{kind} of {name!r} after {self.told.get(name)}"
        if after is not None:
            self.told[name] = after


# Which states an event may follow (None: never heard of), and which state it tells.
TOLD: dict[str, tuple[tuple[int | None, ...], int | None]] = {
    "joined": ((None, *GONE), wire.STATE_ALIVE),
    "updated": ((wire.STATE_ALIVE,), None),
    "suspected": ((wire.STATE_ALIVE,), wire.STATE_SUSPECT),
    "confirmed": ((wire.STATE_SUSPECT,), None),
    "refuted": ((wire.STATE_SUSPECT,), wire.STATE_ALIVE),
    "failed": (HERE, wire.STATE_DEAD),
    "left": (HERE, wire.STATE_LEFT),
}
