"""Loopback networks of their own for pools that run side by side, in this process or in another."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

# A UDP socket bound to the last address of a network holds its lease; it ends with the process.
_LEASE_PORT = 7945


class Network:
    """A leased 127.x.y.0/24: `host(1)` to `host(253)` are free for the holder."""

    def __init__(self) -> None:
        self._lease, self._prefix = _lease()

    def host(self, number: int) -> str:
        assert 1 <= number <= 253
        return f"{self._prefix}.{number}"

    def close(self) -> None:
        self._lease.close()


def _candidates() -> Iterator[str]:
    """All networks from 127.16.0 on, beginning where other processes are unlikely to begin."""
    count = 239 * 256
    start = os.getpid() * 97 % count
    for offset in range(count):
        x, y = divmod((start + offset) % count, 256)
        yield f"127.{16 + x}.{y}"


def _lease() -> tuple[socket.socket, str]:
    for prefix in _candidates():
        lease = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            lease.bind((f"{prefix}.254", _LEASE_PORT))
        except OSError:
            lease.close()
        else:
            return lease, prefix
    raise RuntimeError("every loopback network is leased")
