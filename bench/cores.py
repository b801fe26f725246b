"""Cores without sockets, for the benchmarks of the core alone."""

from __future__ import annotations

from typing import Any

from bench import _loop, packets
from gossip._core import Swim
from gossip.config import Config

IP = b"\x7f\0\0\1"
START_NS = 1_000_000_000


def core(members: int = 0, *, label: bytes = b"", drain: bool = True, **config: Any) -> Swim:
    """A started node that knows so many members, with nothing left to tell unless asked."""
    config = {"max_members": 200_000, "name": packets.NODE} | config
    settings = Config(plaintext=True, **config).settings()
    name = packets.NODE.encode()
    node = Swim(settings, name=name, address=IP, port=7946, label=label, seed=1)
    node.start(START_NS)
    if members:
        merge(node, packets.push_pull(members))
    if drain:
        empty(node, label)
    return node


def merge(node: Swim, state: bytes) -> None:
    """One push/pull that the node is sent, with all that comes of it thrown away."""
    stream = node.accept_stream(IP, packets.PORT, START_NS)
    node.stream_received(stream, state, START_NS)
    node.stream_ended(stream, START_NS)
    work(node)
    node.commands()
    node.events()


def work(node: Swim) -> None:
    """Ticks until the node has done what it put off."""
    while (deadline := node.next_deadline()) is not None and deadline[1] == "work":
        node.tick(START_NS)


def empty(node: Swim, label: bytes = b"") -> None:
    """Lets the node say all it has to say."""
    if node.member(packets.member(1).encode()) is None:
        return
    feed = _loop.Feed(packets.enveloped(packets.pings(256), label=label))
    while node.stats()["broadcasts_queued"]:
        feed.through(node, START_NS)
