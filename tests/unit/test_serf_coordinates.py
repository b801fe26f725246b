"""Network coordinates (Serf §14, vectors: vivaldi_traces, serf_ping_payload)."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from gossip._core import Rng
from gossip._serf.coordinates import (
    Coordinate,
    CoordinateError,
    Vivaldi,
    decode_ping_payload,
    encode_ping_payload,
)
from gossip._serf.wire import WireError

from .vectors import Vector, ids, load

PAYLOADS = load("serf_ping_payload")


def coordinate(fields: dict[str, Any]) -> Coordinate:
    vec = tuple(float(each) for each in fields["Vec"])
    return Coordinate(vec, fields["Error"], fields["Adjustment"], fields["Height"])


def assert_near(found: Coordinate, expected: Coordinate) -> None:
    assert found.vec == pytest.approx(expected.vec, abs=1e-9)
    assert found.error == pytest.approx(expected.error, abs=1e-9)
    assert found.adjustment == pytest.approx(expected.adjustment, abs=1e-9)
    assert found.height == pytest.approx(expected.height, abs=1e-9)


@pytest.mark.parametrize("trace", load("vivaldi_traces"), ids=lambda _: "trace")
def test_a_coordinate_moves_as_the_real_one(trace: Vector) -> None:
    vivaldi = Vivaldi(Rng(1).u64, coordinate(trace["start"]))
    for step in trace["steps"]:
        other, before = coordinate(step["other"]), vivaldi.coordinate
        if step["distance_before_ns"] is not None:
            distance = round(before.distance(other) * 1e9)
            assert distance == pytest.approx(step["distance_before_ns"], abs=2)
        if step.get("rejected"):
            with pytest.raises(CoordinateError):
                vivaldi.update(step["node"], other, step["rtt_ns"] / 1e9)
            assert vivaldi.coordinate == before
        else:
            after = vivaldi.update(step["node"], other, step["rtt_ns"] / 1e9)
            assert_near(after, coordinate(step["after"]))
    assert vivaldi.resets == 0


@pytest.mark.parametrize("entry", PAYLOADS, ids=ids)
def test_ping_payloads_are_read_and_written_byte_for_byte(entry: Vector) -> None:
    payload = bytes.fromhex(entry["hex"])
    expected = coordinate(entry["decoded"]["coordinate"])
    assert decode_ping_payload(payload) == expected
    assert encode_ping_payload(expected) == payload


def test_other_payloads_say_nothing_about_coordinates() -> None:
    assert decode_ping_payload(b"") is None
    assert decode_ping_payload(b"\x02\xc0") is None
    with pytest.raises(WireError):
        decode_ping_payload(b"\x01\x81\xa3Vec\x05")


def test_what_cannot_be_believed_changes_nothing() -> None:
    vivaldi = Vivaldi(Rng(1).u64)
    vivaldi.update("a", Coordinate(), 0.01)
    before = vivaldi.coordinate
    near = Coordinate()
    for other, rtt in (
        (Coordinate((0.0,) * 3), 0.01),
        (Coordinate(()), 0.01),
        (Coordinate(error=nan), 0.01),
        (Coordinate(height=inf), 0.01),
        (Coordinate((nan,) * 8), 0.01),
        (near, -0.001),
        (near, 10.001),
        (near, nan),
    ):
        with pytest.raises(CoordinateError):
            vivaldi.update("a", other, rtt)
    assert vivaldi.coordinate == before
    vivaldi.update("a", near, 0.0)
    vivaldi.update("a", near, 10.0)


def test_a_coordinate_that_became_invalid_begins_anew_and_is_counted() -> None:
    vivaldi = Vivaldi(Rng(1).u64)
    huge = Coordinate((1e200,) * 8, error=1e-300, height=1e300)
    for _ in range(50):
        vivaldi.update("a", huge, 10.0)
    assert vivaldi.resets > 0
    assert vivaldi.coordinate.valid


def test_the_same_seed_gives_the_same_way() -> None:
    def way(seed: int) -> Coordinate:
        vivaldi = Vivaldi(Rng(seed).u64)
        return vivaldi.update("a", Coordinate(), 0.05)

    assert way(1) == way(1) != way(2)


def test_a_forgotten_member_has_no_samples() -> None:
    vivaldi = Vivaldi(Rng(1).u64)
    vivaldi.update("a", Coordinate(), 0.01)
    vivaldi.forget("a")
    vivaldi.forget("never heard of")
    assert not vivaldi._samples
