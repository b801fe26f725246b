"""The member table (protocol §15): names, rows, the order, random choice; a dict beside it."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gossip._core import MEMBER_ROW_BYTES, STATE_NAMES, Identities, MemberTable

ALIVE, SUSPECT, DEAD, LEFT = (STATE_NAMES[name] for name in ("alive", "suspect", "dead", "left"))
PENDING, REFUSED = STATE_NAMES["pending"], STATE_NAMES["refused"]
SELF = 1
ANY = 0b111111


def table_of(n: int, seed: int = 1) -> MemberTable:
    table = MemberTable(Identities(), seed)
    for number in range(n):
        table.add(b"node-%d" % number)
    return table


def walk(table: MemberTable, now: int = 0, age: int = 2**62) -> int:
    """One round of turns over all places; how many rows it removed."""
    before, at = len(table), 0
    while at < len(table):
        if table.turn(at, now, age) is not None:
            at += 1
    return before - len(table)


def test_a_member_row_fits_one_cache_line() -> None:
    assert MEMBER_ROW_BYTES <= 64


def test_an_empty_table_finds_nobody() -> None:
    table = table_of(0)
    assert table.find(b"") is None
    assert table.choose(3) == []
    assert table.order() == []


def test_a_row_keeps_its_number_while_others_come_and_go() -> None:
    table = table_of(100)
    rows = {number: table.find(b"node-%d" % number) for number in range(1, 100, 2)}
    for number in range(0, 100, 2):
        row = table.find(b"node-%d" % number)
        assert row is not None
        table.remove(row)
    for number in range(100, 1000):
        table.add(b"node-%d" % number)
    assert {number: table.find(b"node-%d" % number) for number in rows} == rows


def test_the_row_of_a_removed_name_is_used_again() -> None:
    table = table_of(10)
    row = table.find(b"node-3")
    assert row is not None
    table.remove(row)
    assert table.find(b"node-3") is None
    assert table.add(b"new") == row


def test_a_new_member_takes_a_random_place_among_those_before_it() -> None:
    places = [table_of(4, seed).order().index(3) for seed in range(400)]
    assert set(places) == {0, 1, 2}  # never the last: that one was swapped away
    assert all(100 < places.count(place) < 170 for place in (0, 1, 2))


def test_the_first_member_has_the_only_place() -> None:
    assert table_of(1).order() == [0]


@pytest.mark.parametrize("state", [PENDING, REFUSED])
def test_a_name_that_is_no_member_is_found_but_not_in_the_order(state: int) -> None:
    table = table_of(3)
    row = table.add(b"waits", state=state)
    assert table.find(b"waits") == row
    assert row not in table.order()
    assert len(table) == 3
    table.promote(row, ALIVE, 5)
    assert row in table.order()
    assert table.row(row)[5:] == (ALIVE, 5)
    assert table.counts() == [4, 0, 0, 0, 0, 0]


def test_a_round_removes_only_those_dead_or_left_for_longer_than_the_time() -> None:
    table = table_of(6)
    for row, state, since in [(0, DEAD, 0), (1, LEFT, 0), (2, DEAD, 1), (3, SUSPECT, 0)]:
        table.set_state(row, state, since)
    refused = table.add(b"refused", state=REFUSED)
    assert walk(table, 11, 10) == 2
    assert sorted(table.order()) == [2, 3, 4, 5]
    assert [table.find(b"node-%d" % number) for number in range(4)] == [None, None, 2, 3]
    assert table.find(b"refused") == refused


def test_a_round_never_removes_the_node_itself() -> None:
    table = table_of(2)
    me = table.add(b"me", flags=SELF)
    table.set_state(me, LEFT, 0)
    assert walk(table, 2**62, 1) == 0
    assert table.find(b"me") == me


def test_a_round_shuffles_without_a_preference() -> None:
    table = table_of(4)
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(2400):
        walk(table)
        order = tuple(table.order())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert all(60 < count < 150 for count in seen.values())


def test_a_round_visits_every_member_once() -> None:
    table = table_of(300)
    assert sorted(row for at in range(300) if (row := table.turn(at, 0, 0)) is not None) == list(
        range(300)
    )


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 10, 50])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_the_chosen_are_different_eligible_and_at_most_k(n: int, k: int) -> None:
    table = table_of(n)
    for row in range(0, n, 2):
        table.set_state(row, DEAD, 0)
    for _ in range(200):
        chosen = table.choose(k, 1 << ALIVE)
        assert len(set(chosen)) == len(chosen) <= k
        assert all(row % 2 for row in chosen)


def test_in_a_small_table_all_eligible_are_found() -> None:
    table = table_of(8)
    table.set_state(0, DEAD, 0)
    assert all(sorted(table.choose(7, 1 << ALIVE)) == [1, 2, 3, 4, 5, 6, 7] for _ in range(50))


@pytest.mark.parametrize("n", [6, 20])
def test_each_member_is_chosen_equally_often(n: int) -> None:
    table = table_of(n)
    counts = [0] * n
    for _ in range(1000 * n):
        for row in table.choose(3):
            counts[row] += 1
    assert all(2_700 < count < 3_300 for count in counts)


def test_choosing_gives_up_when_nobody_is_eligible() -> None:
    assert table_of(100).choose(3, 1 << DEAD) == []


def test_the_same_seed_makes_the_same_choices() -> None:
    assert [table_of(50, 3).choose(3) for _ in range(2)] == [table_of(50, 3).choose(3)] * 2
    assert table_of(50, 3).order() != table_of(50, 4).order()


class TableBesideADict(RuleBasedStateMachine):
    """The same calls on the table and on a dict of name -> (row, state, since)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = MemberTable(Identities(), 9)
        self.known: dict[bytes, tuple[int, int, int]] = {}
        self.now = 0

    @rule(number=st.integers(0, 40), state=st.integers(ALIVE, REFUSED))
    def add(self, number: int, state: int) -> None:
        name = b"n%d" % number
        self.now += 1
        if name not in self.known:
            row = self.table.add(name, meta=name * 2, state=state, now=self.now)
            assert row not in {taken for taken, _, _ in self.known.values()}
            self.known[name] = (row, state, self.now)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        self.table.remove(self.known.pop(name)[0])

    @precondition(lambda self: self.known)
    @rule(data=st.data(), state=st.integers(ALIVE, LEFT))
    def change(self, data: st.DataObject, state: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        row, old, _ = self.known[name]
        self.now += 1
        if old >= PENDING:
            self.table.promote(row, state, self.now)
        else:
            self.table.set_state(row, state, self.now)
        self.known[name] = (row, state, self.now)

    @rule(age=st.integers(0, 10))
    def walk(self, age: int) -> None:
        gone = {
            name
            for name, (_, state, since) in self.known.items()
            if state in (DEAD, LEFT) and self.now - since > age
        }
        assert walk(self.table, self.now, age) == len(gone)
        for name in gone:
            del self.known[name]

    @invariant()
    def agrees(self) -> None:
        for number in range(41):
            name = b"n%d" % number
            known = self.known.get(name)
            assert self.table.find(name) == (known and known[0])
            if known:
                shown = self.table.row(known[0])
                assert (shown[0], shown[3], shown[5:]) == (name, name * 2, known[1:])
        members = {row for row, state, _ in self.known.values() if state <= LEFT}
        assert sorted(self.table.order()) == sorted(members)
        states = [state for _, state, _ in self.known.values()]
        assert self.table.counts() == [states.count(state) for state in range(6)]


TestTableBesideADict = TableBesideADict.TestCase
