"""The merge of a whole table, as the node that asked for it does it: nothing in it is new."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from bench import cores, packets
from bench.figures import Figures
from gossip._core import Swim

MEMBERS = 10_000


def merging(node: Swim, reply: bytes, members: int) -> Callable[[], float]:
    """ns a state, for a reply to a push/pull of ours that comes in one piece."""

    def run() -> float:
        node.join(cores.IP, packets.PORT, b"", cores.START_NS)
        (stream,) = [command[1] for command in node.commands() if command[0] == "open"]
        node.stream_opened(stream, cores.START_NS)
        cores.work(node)
        node.commands()
        start = time.thread_time_ns()
        node.stream_received(stream, reply, cores.START_NS)
        cores.work(node)
        taken = time.thread_time_ns() - start
        (done,) = [event for event in node.events() if event[0] == "done"]
        assert done[2] is None
        node.commands()
        return taken / members

    return run


def test_ten_thousand_known_members(
    compare: Any, reference: Callable[[], float], figures: Figures
) -> None:
    node = cores.core(MEMBERS)
    taken, unit = compare(merging(node, packets.push_pull(MEMBERS), MEMBERS), reference)
    figures.put("merge_state", taken, unit)


@pytest.mark.parametrize("members", [100, 1000, 100_000])
def test_other_sizes(members: int, compare: Any, extra: dict[str, Any]) -> None:
    node = cores.core(members, drain=False)
    (taken,) = compare(merging(node, packets.push_pull(members), members))
    extra.setdefault("merge_by_members", {})[str(members)] = taken
