"""Keeps the snapshot file of a running node, on another thread than the event loop's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from gossip._io.files import SnapshotFile
from gossip._io.reporter import Reporter
from gossip._serf import bounds
from gossip._serf.snapshot import FLUSH_SECONDS, Replayed, Snapshot, Write, replay
from gossip.errors import ConfigError

_log = logging.getLogger("gossip")


class Recorder:
    """Reads the file when it is made, and writes what `snapshot` is told until it is closed.

    A write that fails is logged and tried again later; the node goes on. `clocks` is asked every
    half second, as a clock may move without an event.
    """

    def __init__(
        self, path: Path, *, rejoin_after_leave: bool, clocks: Callable[[], None], node: str
    ) -> None:
        self._file = SnapshotFile(path)
        self.before = self._read(rejoin_after_leave, node)
        self.snapshot = Snapshot(self.before, self._size, rejoin_after_leave=rejoin_after_leave)
        self.failures = 0
        self._clocks = clocks
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._reporter: Reporter | None = None

    def _read(self, rejoin_after_leave: bool, node: str) -> Replayed:
        path = self._file.path
        try:
            data = self._file.read(bounds.SNAPSHOT_BYTES)
        except OSError as error:
            raise ConfigError({"snapshot_path": f"{path}: {error.strerror}"}) from error
        except ValueError as error:
            raise ConfigError({"snapshot_path": f"{path}: {error}"}) from None
        self._size = len(data)
        before = replay(data, rejoin_after_leave=rejoin_after_leave)
        if before.foreign:
            text = f"{path} is no snapshot; it was left as it is"
            raise ConfigError({"snapshot_path": text})
        if before.skipped:
            text = "%s: %d lines of the snapshot %s cannot be read; they are skipped"
            _log.warning(text, node, before.skipped, path)
        return before

    def start(self, reporter: Reporter) -> None:
        """From now on it writes."""
        self._reporter = reporter
        self._on_timer()

    def flush(self) -> None:
        """Something was told: written now, if it is time."""
        if self._timer is not None and self._writing is None:
            self._begin(self.snapshot.take(time.monotonic()))

    def _on_timer(self) -> None:
        self._clocks()
        self._timer = self._loop.call_later(FLUSH_SECONDS, self._on_timer)
        self.flush()

    def _begin(self, write: Write | None) -> None:
        if write is None:
            return
        self._writing = self._loop.run_in_executor(None, self._file.write, write)
        self._writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        error = None if writing.cancelled() else writing.exception()
        now = time.monotonic()
        self.snapshot.done(now, failed=error is not None or writing.cancelled())
        if error is not None:
            self.failures += 1
            if self._reporter is not None:
                text, path = "the snapshot %s cannot be written: %s", str(self._file.path)
                why = getattr(error, "strerror", None) or str(error)
                self._reporter.write(logging.ERROR, "snapshot", now, text, path, why)
        self.flush()

    def silence(self) -> None:
        """In a forked child: the file is the parent's."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Writes what waits, and closes the file; as soon as it may, when that is cancelled."""
        self.silence()
        try:
            await self._written_all()
            self._begin(self.snapshot.take(time.monotonic(), at_once=True))
            await self._written_all()
        finally:
            if self._writing is None:
                self._file.close()
            else:
                self._writing.add_done_callback(lambda _: self._file.close())

    async def _written_all(self) -> None:
        writing = self._writing
        if writing is not None:
            await asyncio.wait([writing])
