"""The keyed hash and the seeded random numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip._core import Rng, hash_name


@pytest.mark.skipif(
    sys.hash_info.algorithm != "siphash13", reason="this interpreter hashes bytes otherwise"
)
def test_the_hash_is_siphash_1_3_as_python_has_it_under_the_key_zero() -> None:
    lengths = range(1, 70)
    code = f"print([hash(bytes(range(n))) % 2**64 for n in {lengths}])"
    known = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert str([hash_name(0, bytes(range(n))) for n in lengths]) == known.stdout.strip()


@given(st.binary(max_size=40), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_another_key_gives_another_hash(name: bytes, one: int, other: int) -> None:
    assert (hash_name(one, name) == hash_name(other, name)) == (one == other)


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1))
def test_a_draw_lies_below_its_bound_and_the_seed_decides_it(seed: int, bound: int) -> None:
    drawn = [Rng(seed).below(bound) for _ in range(3)]
    assert drawn[0] < bound
    assert drawn == [drawn[0]] * 3


def test_below_zero_there_is_only_zero() -> None:
    assert Rng(1).below(0) == 0


def test_draws_are_spread_evenly() -> None:
    rng = Rng(1)
    counts = [0] * 7
    for _ in range(70_000):
        counts[rng.below(7)] += 1
    assert all(9_600 < count < 10_400 for count in counts)


def test_neighbouring_seeds_share_no_numbers() -> None:
    generators = [Rng(seed) for seed in range(100)]
    assert len({rng.u64() for rng in generators for _ in range(100)}) == 100 * 100
