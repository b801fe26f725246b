"""Suspicion timers (protocol §18): who counts as an accuser, and when a suspicion ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossip._core import Suspicions, suspicion_remaining_ns

SECOND = 1_000_000_000


def test_a_suspicion_nobody_can_confirm_lasts_the_minimum() -> None:
    pool = Suspicions()
    index = pool.start(7, 0, 4 * SECOND, 24 * SECOND, b"a", 100)
    assert pool.deadline(index) == 100 + 4 * SECOND
    assert pool.row(index) == 7


def test_a_suspicion_starts_at_the_maximum_and_each_new_accuser_shortens_it() -> None:
    pool = Suspicions()
    index = pool.start(0, 2, 4 * SECOND, 24 * SECOND, b"a", 0)
    assert pool.deadline(index) == 24 * SECOND
    assert pool.confirm(index, b"b", SECOND) == (True, 11_381_000_000)
    assert pool.confirm(index, b"c", SECOND) == (True, 4 * SECOND)


def test_the_accuser_cannot_confirm_nor_anyone_twice() -> None:
    pool = Suspicions()
    index = pool.start(0, 2, 4 * SECOND, 24 * SECOND, b"a", 0)
    assert pool.confirm(index, b"a", 0) == (False, 24 * SECOND)
    assert pool.confirm(index, b"b", 0)[0]
    assert pool.confirm(index, b"b", 0) == (False, 11_381_000_000)


def test_confirmations_beyond_the_wanted_ones_do_not_count() -> None:
    pool = Suspicions()
    index = pool.start(0, 1, SECOND, 6 * SECOND, b"a", 0)
    assert pool.confirm(index, b"b", 0) == (True, SECOND)
    assert pool.confirm(index, b"c", 0) == (False, SECOND)


def test_a_confirmation_that_comes_late_ends_the_suspicion_at_once() -> None:
    pool = Suspicions()
    index = pool.start(0, 1, SECOND, 6 * SECOND, b"a", 0)
    assert pool.confirm(index, b"b", 5 * SECOND) == (True, 5 * SECOND)


def test_more_confirmations_than_there_is_room_for_are_not_wanted() -> None:
    pool = Suspicions()
    index = pool.start(0, 1000, SECOND, 6 * SECOND, b"a", 0)
    counted = [pool.confirm(index, b"n%d" % number, 0)[0] for number in range(100)]
    assert counted == [True] * 32 + [False] * 68
    assert pool.deadline(index) == SECOND


def test_the_first_accuser_is_remembered_up_to_the_longest_name() -> None:
    pool = Suspicions()
    assert pool.accuser(pool.start(0, 1, 1, 2, b"first", 0)) == b"first"
    assert pool.accuser(pool.start(0, 1, 1, 2, b"", 0)) == b""
    assert pool.accuser(pool.start(0, 1, 1, 2, b"x" * 4000, 0)) == b"x" * 255


def test_indices_stay_good_while_others_come_and_go() -> None:
    pool = Suspicions()
    held = {pool.start(row, 1, 1, 2, b"%d" % row, 0): row for row in range(100)}
    for index in list(held)[::2]:
        pool.end(index)
        del held[index]
    for row in range(100, 180):
        held[pool.start(row, 1, 1, 2, b"%d" % row, 0)] = row
    assert len(pool) == len(held) == 130
    assert {index: pool.row(index) for index in held} == held
    assert all(pool.accuser(index) == b"%d" % row for index, row in held.items())


@given(
    k=st.integers(1, 32),
    min_ns=st.integers(1, 100 * SECOND),
    times=st.integers(1, 10),
    confirmations=st.integers(0, 31),
)
def test_a_confirmation_never_lengthens_a_suspicion_nor_cuts_it_below_the_minimum(
    k: int, min_ns: int, times: int, confirmations: int
) -> None:
    max_ns = times * min_ns
    before = suspicion_remaining_ns(k, min(confirmations, k - 1), 0, min_ns, max_ns)
    after = suspicion_remaining_ns(k, min(confirmations, k - 1) + 1, 0, min_ns, max_ns)
    assert min_ns <= after <= before <= max_ns
