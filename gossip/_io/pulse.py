"""How late the application's event loop is: one slow timer that looks at the clock.

Knows no node. What happens while the loop does not turn at all, only a thread can see
(`_worker.pyx`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gossip._io import bounds


class Pulse:
    """Beats every `interval` seconds from `start` to `stop`; tells `on_beat` how late each was."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, interval: float, on_beat: Callable[[float], None]
    ) -> None:
        self._loop = loop
        self._interval = interval
        self._on_beat = on_beat
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        # The most of the present half of the window, and of the one before.
        self._latest = self._before = 0.0
        self._half_ends = 0.0

    def start(self) -> None:
        self._half_ends = time.monotonic() + bounds.LAG_WINDOW_SECONDS / 2
        self._wait()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def lag(self) -> float:
        """The most, in seconds, that the loop was late within the last LAG_WINDOW_SECONDS, and at
        least half of them. A beat that is overdue at this moment counts."""
        return max(self._latest, self._before, time.monotonic() - self._due)

    def _wait(self) -> None:
        self._due = time.monotonic() + self._interval
        self._timer = self._loop.call_later(self._interval, self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        late = max(0.0, now - self._due)
        if now >= self._half_ends:
            self._half_ends = now + bounds.LAG_WINDOW_SECONDS / 2
            self._before, self._latest = self._latest, 0.0
        self._latest = max(self._latest, late)
        self._wait()
        self._on_beat(late)
