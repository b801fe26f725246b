"""Network coordinates: Vivaldi as Serf computes it (Serf §14). Units are seconds.

A node's coordinate moves with each round trip it measures, so that the distance between two
coordinates foretells the round trip between nodes that never met.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite, sqrt

from gossip._core import pack
from gossip._serf import bounds, wire

DIMENSIONS = 8
ERROR_MAX = 1.5
CE = 0.25
CC = 0.25
ADJUSTMENT_WINDOW = 20
HEIGHT_MIN = 1e-5
LATENCY_SAMPLES = 3
GRAVITY_RHO = 150.0
ZERO_THRESHOLD = 1e-6
RTT_MAX = 10.0

_PING_VERSION = 1

Draw = Callable[[], int]
"""A source of 64-bit random numbers, such as `Rng(seed).u64`."""


class CoordinateError(ValueError):
    """A coordinate or a round trip cannot be used; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A place in the network: `vec` and a `height` above it, in seconds.

    error: how little the place is trusted, 0 to 1.5. adjustment: a correction of distances.
    """

    vec: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = ERROR_MAX
    adjustment: float = 0.0
    height: float = HEIGHT_MIN

    def distance(self, other: Coordinate) -> float:
        """The round trip that is to be expected, in whole nanoseconds, as seconds."""
        raw = self.raw_distance(other)
        adjusted = raw + self.adjustment + other.adjustment
        seconds = adjusted if adjusted > 0 else raw
        return int(seconds * 1e9) / 1e9 if isfinite(seconds * 1e9) else seconds

    def raw_distance(self, other: Coordinate) -> float:
        return _length(_difference(self.vec, other.vec)) + self.height + other.height

    @property
    def valid(self) -> bool:
        return all(map(isfinite, (*self.vec, self.error, self.adjustment, self.height)))


class Vivaldi:
    """A node's own coordinate, and what it remembers of its peers.

    resets: how often the coordinate had become invalid and was begun anew.
    """

    def __init__(self, draw: Draw, start: Coordinate | None = None) -> None:
        self.coordinate = start or Coordinate()
        self.resets = 0
        self._draw = draw
        self._samples: OrderedDict[str, deque[float]] = OrderedDict()
        self._adjustments = [0.0] * ADJUSTMENT_WINDOW
        self._adjustment_at = 0

    def update(self, node: str, other: Coordinate, rtt: float) -> Coordinate:
        """Moves by one round trip to `node`, which is at `other`. Raises CoordinateError."""
        if len(other.vec) != len(self.coordinate.vec):
            raise CoordinateError("coordinates of different dimensions")
        if not other.valid:
            raise CoordinateError("a coordinate with a value that is no number")
        if not 0 <= rtt <= RTT_MAX:
            raise CoordinateError(f"a round trip of {rtt!r} s; it must be 0 to {RTT_MAX:g} s")
        filtered = self._filtered(node, rtt)
        self._vivaldi(other, filtered)
        self._adjust(other, filtered)
        self._fall()
        if not self.coordinate.valid:
            self.coordinate = self._fresh()
            self.resets += 1
        return self.coordinate

    def forget(self, node: str) -> None:
        """A member was erased: its samples with it."""
        self._samples.pop(node, None)

    def _filtered(self, node: str, rtt: float) -> float:
        samples = self._samples.setdefault(node, deque(maxlen=LATENCY_SAMPLES))
        self._samples.move_to_end(node)
        if len(self._samples) > bounds.PLACES_MAX:
            self._samples.popitem(last=False)
        samples.append(rtt)
        return sorted(samples)[len(samples) // 2]

    def _vivaldi(self, other: Coordinate, rtt: float) -> None:
        here = self.coordinate
        distance = here.distance(other)
        rtt = max(rtt, ZERO_THRESHOLD)
        wrong = abs(distance - rtt) / rtt
        weight = here.error / max(here.error + other.error, ZERO_THRESHOLD)
        error = min(CE * weight * wrong + here.error * (1.0 - CE * weight), ERROR_MAX)
        self._push(replace(here, error=error), CC * weight * (rtt - distance), other)

    def _adjust(self, other: Coordinate, rtt: float) -> None:
        self._adjustments[self._adjustment_at] = rtt - self.coordinate.raw_distance(other)
        self._adjustment_at = (self._adjustment_at + 1) % ADJUSTMENT_WINDOW
        adjustment = sum(self._adjustments) / (2.0 * ADJUSTMENT_WINDOW)
        self.coordinate = replace(self.coordinate, adjustment=adjustment)

    def _fall(self) -> None:
        """Gravity: a light pull to the origin keeps all coordinates of a pool around it."""
        origin = self._fresh()
        distance = origin.distance(self.coordinate)
        self._push(self.coordinate, -((distance / GRAVITY_RHO) ** 2), origin)

    def _fresh(self) -> Coordinate:
        return Coordinate((0.0,) * len(self.coordinate.vec))

    def _push(self, here: Coordinate, force: float, other: Coordinate) -> None:
        unit, length = self._unit(here.vec, other.vec)
        vec = tuple(a + b * force for a, b in zip(here.vec, unit, strict=True))
        height = here.height
        if length > ZERO_THRESHOLD:
            height = max((height + other.height) * force / length + height, HEIGHT_MIN)
        self.coordinate = replace(here, vec=vec, height=height)

    def _unit(self, to: tuple[float, ...], origin: tuple[float, ...]) -> tuple[list[float], float]:
        """The direction from `origin`, and how far it is; any direction where they coincide."""
        vec = _difference(to, origin)
        length = _length(vec)
        if length > ZERO_THRESHOLD:
            return [each / length for each in vec], length
        vec = [(self._draw() >> 11) / (1 << 53) - 0.5 for _ in to]
        length = _length(vec)
        if length > ZERO_THRESHOLD:
            return [each / length for each in vec], 0.0
        return [1.0] + [0.0] * (len(to) - 1), 0.0


def _difference(a: tuple[float, ...], b: tuple[float, ...]) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


def _length(vec: list[float]) -> float:
    return sqrt(sum(each * each for each in vec))


_FIELDS: Mapping[str, wire.Read] = {
    "Vec": wire.sequence(wire.real),
    "Error": wire.real,
    "Adjustment": wire.real,
    "Height": wire.real,
}


def encode_ping_payload(coordinate: Coordinate) -> bytes:
    """What rides on the acks of this node."""
    body = {
        "Adjustment": float(coordinate.adjustment),
        "Error": float(coordinate.error),
        "Height": float(coordinate.height),
        "Vec": [float(each) for each in coordinate.vec],
    }
    return bytes([_PING_VERSION]) + pack(body)


def decode_ping_payload(payload: bytes) -> Coordinate | None:
    """The coordinate on an ack; None where there is none for us: nothing, or another version.

    Raises WireError when it cannot be read.
    """
    if payload[:1] != bytes([_PING_VERSION]):
        return None
    found = wire.read_struct(payload[1:], _FIELDS)
    return Coordinate(tuple(found["Vec"]), found["Error"], found["Adjustment"], found["Height"])


class Places:
    """Where this node is, and where the peers are that it probed."""

    def __init__(self, draw: Draw) -> None:
        self.own = Vivaldi(draw)
        self.rejected = 0
        self._peers: OrderedDict[str, Coordinate] = OrderedDict()

    def heard(self, node: str, payload: bytes, rtt: float) -> bool:
        """The payload of an ack of a peer, after `rtt` seconds; whether this node moved by it."""
        try:
            other = decode_ping_payload(payload)
            if other is None:
                return False
            self.own.update(node, other, rtt)
        except (wire.WireError, CoordinateError):
            self.rejected += 1
            return False
        self._peers[node] = other
        self._peers.move_to_end(node)
        if len(self._peers) > bounds.PLACES_MAX:
            self._peers.popitem(last=False)
        return True

    def of(self, node: str) -> Coordinate | None:
        """Where a peer said it is, the last time; None if it never did."""
        return self._peers.get(node)

    def forget(self, node: str) -> None:
        """A member was erased."""
        self._peers.pop(node, None)
        self.own.forget(node)
