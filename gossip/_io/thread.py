"""The thread driver: packets and timers on a thread that needs no GIL; the rest as with asyncio.

The thread (`_worker.pyx`) receives, lets the core answer and sends. The event loop still carries
streams, events and calls: it is woken once for whatever waits in the core, and wakes the thread if
a call of the user made the core's deadline come nearer.
"""

from __future__ import annotations

import logging
import math
import threading
import weakref
from typing import TYPE_CHECKING

from gossip._aead import Backend
from gossip._io import bounds
from gossip._io.driver import Driver
from gossip._io.subscriptions import Hub
from gossip._udp import WAITING, Endpoint
from gossip._worker import Worker
from gossip.config import Config
from gossip.keyring import Keyring

if TYPE_CHECKING:
    from gossip._io.serf import SerfLayer
    from gossip._udp import EndpointStats

_NEVER = (1 << 63) - 1
_log = logging.getLogger("gossip")


class ThreadDriver(Driver):
    """Runs one node on the event loop it is started on, and its packets on a thread.

    The thread is a daemon: an exit that nobody prepared does not wait for it, but stops it.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        keyring: Keyring,
        aead: Backend,
        hub: Hub,
        serf: SerfLayer | None = None,
    ) -> None:
        super().__init__(name, config, keyring, aead, hub, serf)
        self.core.share()
        udp = self.sockets.udp.fileno()
        self._apart = Endpoint(udp, self.sockets.ipv6, self.core, apart=True)
        patience_ns = round(config.app_stall_timeout * 1e9)
        self._worker = Worker(self._apart, patience_ns=patience_ns or _NEVER)
        self._stop: weakref.finalize[[Worker, threading.Thread], ThreadDriver] | None = None
        if aead.needs_gil and keyring.keys:
            text = "%s: packets are sealed by %s, which needs the GIL: the node is only as quick as"
            _log.warning(text + " the interpreter lets it be", name, aead.name)

    def _open_packets(self) -> None:
        self.loop.add_reader(self._worker.fileno(), self._on_news)
        thread = threading.Thread(
            target=_serve,
            args=(self._worker, self.name, self._config.app_stall_timeout),
            name=f"gossip packets of {self.name}",
            daemon=True,
        )
        self._worker.beat()
        thread.start()
        # Also when the driver is forgotten, and at the interpreter's exit.
        self._stop = weakref.finalize(self, _stop, self._worker, thread)

    def _close_packets(self) -> None:
        self.loop.remove_reader(self._worker.fileno())
        if self._stop is not None:
            self._stop()

    def forked(self) -> None:
        # The thread stayed behind in the parent, to whom the descriptors belong.
        if self._stop is not None:
            self._stop.detach()
        super().forked()
        self._apart.detach()

    def packet_stats(self) -> EndpointStats:
        ours, theirs = self.endpoint.stats(), self._apart.stats()
        errors = {
            code: ours["send_errors"].get(code, 0) + theirs["send_errors"].get(code, 0)
            for code in ours["send_errors"].keys() | theirs["send_errors"].keys()
        }
        return {
            "packets_received": theirs["packets_received"],
            "packets_sent": ours["packets_sent"] + theirs["packets_sent"],
            "bytes_received": theirs["bytes_received"],
            "bytes_sent": ours["bytes_sent"] + theirs["bytes_sent"],
            "receive_errors": theirs["receive_errors"],
            "send_errors": errors,
        }

    @property
    def app_stalls(self) -> int:
        return self._worker.stalls

    def _pulse_seconds(self) -> float:
        return min(bounds.PULSE_SECONDS, (self._config.app_stall_timeout or math.inf) / 4)

    def _on_beat(self, late: float) -> None:
        self._worker.beat()
        super()._on_beat(late)

    def _on_news(self) -> None:
        if self.closed:  # in a forked child that turns its loop, the news are the parent's
            return
        self._worker.heard()
        self._finish(WAITING)

    def _wake_in_time(self) -> None:
        self._worker.hurry()


def _serve(worker: Worker, name: str, patience: float) -> None:
    """The thread. It needs no GIL while it serves; when it has fallen silent it can wait for it."""
    while worker.run():
        text = "%s: its event loop has not turned for %g s (app_stall_timeout): it stops answering"
        _log.error(text, name, patience)
        if worker.await_beat():
            _log.warning("%s: its event loop turns again: it answers again", name)


def _stop(worker: Worker, thread: threading.Thread) -> None:
    """Ends the thread; it needs a moment and the GIL to end."""
    worker.stop()
    if thread is not threading.current_thread():
        thread.join(bounds.THREAD_STOP_SECONDS)
        if thread.is_alive():
            _log.error("%s did not end within %g s", thread.name, bounds.THREAD_STOP_SECONDS)
