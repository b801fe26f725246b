"""The transmit-limited queue against traces of the library's own (vectors: queue_traces)."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import BroadcastQueue, retransmit_limit

from .vectors import load

TRACES: list[dict[str, Any]] = load("queue_traces")


def payload_of(number: int, length: int) -> bytes:
    """Some bytes of that length; short ones cannot say their number."""
    return (b"%d." % number).ljust(length, b"x")[:length]


class Replay:
    """A queue in which every item is told apart by its `notify`, and by its payload if it can."""

    def __init__(self, limit: int) -> None:
        self.queue = BroadcastQueue(max_length=200)
        self.limit = limit
        self.payloads: dict[str, bytes] = {}

    def step(self, step: dict[str, Any]) -> None:
        if step["op"] == "queue":
            number = int(step["id"][1:])
            payload = payload_of(number, step["length"])
            self.payloads[step["id"]] = payload
            assert self.queue.add(payload, (step["name"] or "").encode(), notify=number)
        elif step["op"] == "prune":
            self.queue.prune(step["retain"])
        else:
            taken = self.queue.take(step["overhead"], step["limit"], self.limit)
            assert taken == [self.payloads[item] for item in step["returned"]]
        assert [f"b{number}" for number in self.queue.finished()] == step["finished"]
        assert len(self.queue) == step["queued"]


@pytest.mark.parametrize("trace", TRACES, ids=range(len(TRACES)))
def test_the_queue_does_step_by_step_what_the_library_did(trace: dict[str, Any]) -> None:
    limit = retransmit_limit(trace["retransmit_mult"], trace["num_nodes"])
    assert limit == trace["transmit_limit"]
    replay = Replay(limit)
    assert trace["steps"]
    for step in trace["steps"]:
        replay.step(step)
