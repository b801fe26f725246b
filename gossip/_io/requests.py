"""What a user waits for: requests to the core and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gossip._io.reporter import printable
from gossip.errors import (
    ArgumentError,
    GossipError,
    RequestError,
    TimeoutExpired,
    UnknownMemberError,
)

T = TypeVar("T")


class Requests:
    """The requests under way, by the number the core gave them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def begin(self, request: int) -> asyncio.Future[int]:
        """To be called before the answer can come: that is, before the core's events are read."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._waiting[request] = future
        future.add_done_callback(lambda _: self._waiting.pop(request, None))
        return future

    def settle(self, request: int, error: str | None, value: int) -> None:
        """The core's answer; nobody may be waiting any more."""
        future = self._waiting.pop(request, None)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(_error_of(printable(error)))
            future.exception()  # a caller that has gone away is no news for the loop's log

    def fail_all(self, error: GossipError) -> None:
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(error)
                future.exception()
        self._waiting.clear()


def _error_of(text: str) -> GossipError:
    if text == "no such member":
        return UnknownMemberError("no member of that name is known")
    if text.startswith(("timed out", "no ack within")):
        return TimeoutExpired(text)
    if "does not fit" in text:
        return ArgumentError(text)
    return RequestError(text)


async def within(timeout: float | None, future: Awaitable[T], what: str) -> T:
    """The answer, or TimeoutExpired after `timeout` seconds; None waits for the protocol's end."""
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError as error:
        if isinstance(error, GossipError):
            raise
        raise TimeoutExpired(f"{what} was not done within {timeout} s") from None
