"""Files that must never be found half written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from gossip._serf.snapshot import Write


def replace_file(path: Path, data: bytes, mode: int, suffix: str) -> None:
    """Puts `data` in the place of a file, so that at any time there is the old or the new one.

    The new one is written beside it first, as `<path><suffix>`. Raises OSError; then the old file
    is as it was. An existing file keeps its permissions, a new one gets `mode`.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    beside = path.with_name(path.name + suffix)
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode & 0o777
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, mode)
        write_all(descriptor, data)
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        beside.unlink(missing_ok=True)
        raise
    os.close(descriptor)
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes everything, or raises OSError when some of it may have been written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class SnapshotFile:
    """The file of a `Snapshot`. Blocks; one call at a time, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def read(self, limit: int) -> bytes:
        """All of it; nothing if there is none yet. Raises OSError, ValueError beyond `limit`."""
        try:
            with self.path.open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return b""
        if len(data) > limit:
            raise ValueError(f"is longer than {limit} bytes")
        return data

    def write(self, write: Write) -> None:
        """Raises OSError; then the file may end within a line."""
        if write.replace:
            self.close()
            replace_file(self.path, write.data, 0o644, ".compact")
            return
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
        write_all(self._descriptor, write.data)
        if write.sync:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
