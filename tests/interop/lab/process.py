"""A child process, its log, and waiting for what it says. What it says is a subclass's matter."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_LINE_MAX = 64 << 20
_LOG_LINES_KEPT = 2000
_LOG_LINES_SHOWN = 150


class Process:
    """One process. Whoever waits for it looks again after every line it writes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._news: asyncio.Future[None] | None = None
        self._silent = False

    async def spawn(self, command: Sequence[str]) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LINE_MAX
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read_output(self._process.stdout)),
            asyncio.create_task(self._read_log(self._process.stderr)),
        ]

    def write(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")

    async def until(self, what: str, within: float, check: Callable[[], T | None]) -> T:
        """Wait until `check` gives something."""
        try:
            async with asyncio.timeout(within):
                while (found := check()) is None:
                    if self._silent:
                        raise AssertionError(f"{self.name} ended while it was expected: {what}")
                    await self._wait_for_news()
                return found
        except TimeoutError:
            raise AssertionError(f"{self.name}: not within {within:.1f} s: {what}") from None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: the process ends without a word to anyone."""
        self.signal(signal.SIGKILL)

    async def ended(self, within: float) -> int:
        """Wait until the process is gone; its exit code."""
        assert self._process is not None
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def close(self) -> None:
        """Kill the process if it lives, and read what it still had to say. May be called twice."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._readers)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def report(self) -> str:
        """The end of the log, for a failed test."""
        return "\n".join([f"--- log of {self.name}", *list(self.log)[-_LOG_LINES_SHOWN:]])

    def heard(self, line: bytes) -> None:
        """A line of standard output."""
        self.log.append(line.decode(errors="replace").rstrip())

    def fell_silent(self) -> None:
        """Standard output has ended."""

    async def _wait_for_news(self) -> None:
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _tell_news(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _read_output(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.heard(line)
            self._tell_news()
        self._silent = True
        self.fell_silent()
        self._tell_news()

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.log.append(line.decode(errors="replace").rstrip())
            self._tell_news()
