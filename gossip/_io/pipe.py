"""The way of events from a subscription on a loop to threads that wait for them without one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Generator
from typing import Any, Generic, TypeVar, cast

from gossip._io import bounds
from gossip._io.portal import Portal
from gossip.errors import ClosedError

T = TypeVar("T")


class Pipe(Generic[T]):
    """Takes items over from an async iterator, a few at once; each goes to one thread.

    An item that a thread has not come to take - its time was up, or Ctrl-C ended it - is the next
    one's.
    """

    def __init__(self, portal: Portal, source: AsyncIterator[T], what: str) -> None:
        self.portal = portal
        self._source = source
        self._what = what
        self._ready: deque[T] = deque()
        self._over = False
        self._turn = asyncio.Lock()

    @property
    def over(self) -> bool:
        """Whether nothing is left, and nothing will come."""
        return self._over and not self._ready

    def take(self, timeout: float | None) -> T | None:
        """The next item, or None when there is none in time, or none any more: see `over`."""
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            self.portal.check_process()
            try:
                return self._ready.popleft()
            except IndexError:
                if self._over:
                    return None
            left = None if ends is None else ends - time.monotonic()
            if not self._fetch(left):
                return None

    def _fetch(self, seconds: float | None) -> bool:
        """Waits until something is ready or all is over; False when neither came in time."""
        try:
            return self.portal.wait(seconds, lambda: self._fill(seconds), self._what)
        except ClosedError:
            self._over = True
            return True

    # On the loop.

    async def _fill(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds), self._turn:
                if not self._ready and not self._over:
                    self._ready.append(await anext(self._source))
                    self._take_over(bounds.EVENTS_AHEAD - 1)
        except TimeoutError:
            return False
        except StopAsyncIteration:
            self._over = True
        return True

    def drain(self) -> None:
        """The source has ended: what waits there can be taken when the loop has ended, too."""
        self._take_over(sys.maxsize)

    def _take_over(self, at_most: int) -> None:
        """What is there already. An iterator that would wait is not begun."""
        for _ in range(at_most):
            step = cast(Generator[Any, None, T], self._source.__anext__().__await__())
            try:
                next(step)
            except StopIteration as done:
                self._ready.append(done.value)
            except StopAsyncIteration:
                self._over = True
                return
            else:
                step.close()
                return
