"""The thread driver on a private loop (`portal.py`), called from other threads.

What only looks at the core, or puts something into it, is done right there: the core has a lock.
All else is done on the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gossip._io.admission import AdmissionAside
from gossip._io.portal import Portal
from gossip._io.thread import ThreadDriver
from gossip.errors import ClosedError
from gossip.keyring import Keyring

T = TypeVar("T")


class ApartDriver(ThreadDriver):
    """Runs one node on the loop of a portal, and lets other threads look in."""

    admission_class = AdmissionAside

    def __init__(self, portal: Portal, *settled: Any) -> None:
        super().__init__(*settled)
        self._portal = portal

    def check(self) -> None:
        self.check_process()
        if self._closed:
            raise ClosedError(f"node {self.name} is closed")

    def check_loop(self) -> None:
        super().check()

    def tell(self, call: Callable[[], T]) -> T:
        return self._portal.here(super().tell, call)

    def put(self, call: Callable[[], T]) -> T:
        result = call()
        self._portal.soon(self.pump)
        return result

    def _open_packets(self) -> None:
        super()._open_packets()
        if self._stop is not None:
            self._stop.atexit = False  # the portal ends its node, after the program's own handlers

    def forked(self) -> None:
        """In a child nothing runs on the private loop: the sockets are given up, so that the port
        is free when the parent is done with it."""
        super().forked()
        self.sockets.close()


class ApartKeyring(Keyring):
    """The ring of such a node: once that runs, the loop makes the changes, one after the other."""

    __slots__ = ("_portal",)

    def __init__(self, portal: Portal, keys: Iterable[bytes]) -> None:
        self._portal = portal
        super().__init__(keys)

    def add(self, key: bytes) -> None:
        self._portal.here(super().add, key)

    def use(self, key: bytes) -> None:
        self._portal.here(super().use, key)

    def remove(self, key: bytes) -> None:
        self._portal.here(super().remove, key)
