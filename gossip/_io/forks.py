"""What a fork does to running nodes: in the child they must stay silent.

The child shares the parent's sockets, its epoll set and its nonces. If it went on, it would steal
the parent's packets and could seal two messages with one nonce.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What wants to know that it finds itself in a child process."""

    def forked(self) -> None: ...


_watched: WeakSet[Forkable] = WeakSet()


def watch(forkable: Forkable) -> None:
    """Has `forked()` called in every child that this process forks."""
    _watched.add(forkable)


def _in_child() -> None:
    for forkable in list(_watched):
        forkable.forked()
    _watched.clear()


os.register_at_fork(after_in_child=_in_child)
