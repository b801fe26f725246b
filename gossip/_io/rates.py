"""Bounds on how often something may happen. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Bucket:
    """A token bucket: `burst` at once, then `per_second`; counts what it refuses."""

    __slots__ = ("_burst", "_per_second", "_refilled", "_refused", "_tokens")

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._tokens = float(burst)
        self._refilled: float | None = None
        self._refused = 0

    def take(self, now: float) -> bool:
        """Whether one more may happen at this moment."""
        if self._refilled is not None:
            gained = (now - self._refilled) * self._per_second
            self._tokens = min(self._burst, self._tokens + gained)
        self._refilled = now
        if self._tokens < 1.0:
            self._refused += 1
            return False
        self._tokens -= 1.0
        return True

    def take_refused(self) -> int:
        """How many were refused since this was last asked."""
        refused, self._refused = self._refused, 0
        return refused


class Recent:
    """Remembers what happened within an interval, the latest `size` things at most."""

    __slots__ = ("_interval", "_last", "_size")

    def __init__(self, interval: float, size: int) -> None:
        self._interval = interval
        self._size = size
        self._last: OrderedDict[Hashable, float] = OrderedDict()

    def first(self, what: Hashable, now: float) -> bool:
        """Whether this is the first time within the interval; remembers it if so."""
        last = self._last.get(what)
        if last is not None and now - last < self._interval:
            return False
        self._last[what] = now
        self._last.move_to_end(what)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
        return True
