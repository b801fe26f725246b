"""The codec's leaf functions in a loop in C, without Python objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import _codec, lab, packets
from bench.figures import Figures

CALLS = 200_000
MESSAGES = {"ping": packets.ping(100_001), "alive": packets.alive(1, 7)}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_decoded_message(
    name: str, compare: Any, reference: Callable[[], float], figures: Figures, extra: dict[str, Any]
) -> None:
    taken, unit = compare(lambda: _codec.decode(MESSAGES[name], CALLS), reference)
    figures.put(f"decode_{name}", taken, unit)
    extra.setdefault("codec", {})[f"decode_{name}"] = taken


@pytest.mark.parametrize("name", MESSAGES)
def test_an_encoded_message(name: str, compare: Any, extra: dict[str, Any]) -> None:
    (taken,) = compare(lambda: _codec.encode(MESSAGES[name], CALLS))
    extra.setdefault("codec", {})[f"encode_{name}"] = taken


def test_the_codec_of_the_library(benchmark: Any, extra: dict[str, Any]) -> None:
    extra["codec_go"] = benchmark.pedantic(lambda: lab.go_times("codec"), rounds=1)
