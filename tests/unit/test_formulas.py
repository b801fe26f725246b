"""The formulas of time against the numbers the library computes (vectors: formulas)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gossip._core import (
    Awareness,
    push_pull_scale_ns,
    retransmit_limit,
    suspicion_k,
    suspicion_min_ns,
    suspicion_remaining_ns,
)

from .vectors import load

SECOND = 1_000_000_000
FORMULAS: dict[str, Any] = load("formulas")[0]


def rows(name: str) -> Iterator[dict[str, int]]:
    assert FORMULAS[name]
    yield from FORMULAS[name]


def test_the_retransmit_limit_is_the_library_s() -> None:
    for row in rows("retransmit_limit"):
        assert retransmit_limit(row["retransmit_mult"], row["n"]) == row["limit"], row


def test_the_push_pull_interval_scales_as_the_library_s() -> None:
    for row in rows("push_pull_scale"):
        assert push_pull_scale_ns(row["interval_ns"], row["n"]) == row["scaled_ns"], row


def test_the_wanted_confirmations_are_the_library_s() -> None:
    for row in rows("suspicion_k"):
        assert suspicion_k(row["suspicion_mult"], row["n"]) == row["k"], row


def test_the_shortest_suspicion_is_the_library_s_to_the_nanosecond() -> None:
    for row in rows("suspicion_timeout"):
        shortest = suspicion_min_ns(row["suspicion_mult"], row["n"], row["probe_interval_ns"])
        assert shortest == row["timeout_ns"], row


def test_what_is_left_of_a_suspicion_is_the_library_s_to_the_nanosecond() -> None:
    for row in rows("remaining_suspicion_time"):
        remaining = suspicion_remaining_ns(
            row["k"], row["confirmations"], row["elapsed_ns"], row["min_ns"], row["max_ns"]
        )
        assert remaining == row["remaining_ns"], row


@pytest.mark.parametrize(("confirmations", "seconds"), [(0, 24.0), (1, 11.381), (2, 4.0)])
def test_five_nodes_with_lan_timers_need_so_long(confirmations: int, seconds: float) -> None:
    k = suspicion_k(4, 5)
    shortest = suspicion_min_ns(4, 5, SECOND)
    remaining = suspicion_remaining_ns(k, confirmations, 0, shortest, 6 * shortest)
    assert remaining == round(seconds * 1000) * SECOND // 1000


def test_awareness_stays_between_zero_and_its_limit() -> None:
    awareness = Awareness(8)
    assert [awareness.apply(delta) for delta in (-1, 3, 3, 3, -1, -20, 1)] == [0, 3, 6, 7, 6, 0, 1]


def test_awareness_scales_a_duration_by_score_plus_one() -> None:
    awareness = Awareness(8)
    assert awareness.scale(SECOND) == SECOND
    awareness.apply(3)
    assert awareness.scale(SECOND) == 4 * SECOND


def test_a_limit_of_one_leaves_no_room_for_a_score() -> None:
    assert Awareness(1).apply(5) == 0
