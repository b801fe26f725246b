"""A short run of the fuzz driver on every test run; the long ones are ci/run's."""

from __future__ import annotations

import pytest

from . import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_vectors_break_no_promise(seed: int) -> None:
    fuzz.run(count=4000, seed=seed)
