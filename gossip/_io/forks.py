"""What a fork does to running nodes: in the child they must stay silent.

The child shares the parent's sockets, its epoll set and its nonces. If it went on, it would steal
the parent's packets and could seal two messages with one nonce. A child that goes on to run its
loop has the parent's sockets in it still: they are replaced under their numbers by dead ones, since
to take them out of the shared epoll set would take them from the parent too.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What wants to know that it finds itself in a child process."""

    def forked(self) -> None: ...


_log = logging.getLogger("gossip")
_watched: WeakSet[Forkable] = WeakSet()


def watch(forkable: Forkable) -> None:
    """Has `forked()` called in every child that this process forks."""
    _watched.add(forkable)


def deaden(listeners: Iterable[int], streams: Iterable[int]) -> None:
    """In a child: who uses these descriptors accepts, reads and ends nothing of the parent's."""
    with socket.socket(socket.AF_UNIX) as nobody_calls:
        nobody_calls.bind("")
        nobody_calls.listen()
        nobody_calls.setblocking(False)
        for descriptor in listeners:
            os.dup2(nobody_calls.fileno(), descriptor, inheritable=False)
    near, far = socket.socketpair()
    near.setblocking(False)
    far.detach()  # stays open: closed, it would be an end of the streams
    with near:
        for descriptor in streams:
            os.dup2(near.fileno(), descriptor, inheritable=False)


def _in_child() -> None:
    for forkable in list(_watched):
        try:
            forkable.forked()
        except Exception:  # the others must still be silenced
            _log.exception("a node could not be silenced in a forked child")
    _watched.clear()


os.register_at_fork(after_in_child=_in_child)
