"""Many of our nodes in one process, with LAN timing: the counterpart of the Go program's `swarm`.

`python -m bench.peers.gossip_swarm NODES` lets them join the first, kills one, and prints one JSON
object: when all saw all, when the first and all others saw the death (seconds), and the processor
time (seconds) of the joining, of one second at rest, and until all saw the death.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence

import gossip

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 30.0
REST_SECONDS = 5.0


async def until(done: Callable[[], bool], start: float) -> float:
    """Polls until it is done, or patience ends: seconds since the start."""
    while not done() and time.monotonic() - start < PATIENCE_SECONDS:
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - start


def knowing(nodes: Sequence[gossip.Memberlist]) -> Callable[[], bool]:
    """Whether all see all. Who did once is not asked again."""
    left = list(nodes)

    def done() -> bool:
        while left and len(left[-1].members()) == len(nodes):
            left.pop()
        return not left

    return done


def missing(nodes: Sequence[gossip.Memberlist], dead: str) -> list[bool]:
    """Of each node, whether it holds that one to be dead."""
    found = []
    for node in nodes:
        member = node.member(dead)
        found.append(member is None or member.status is gossip.Status.FAILED)
    return found


async def swarm(count: int) -> dict[str, float]:
    nodes = [
        gossip.Memberlist(f"node-{number:03d}", bind="127.0.0.1:0", plaintext=True)
        for number in range(count)
    ]
    for node in nodes:
        await node.start()
    start, cpu = time.monotonic(), time.process_time()
    for node in nodes[1:]:
        await node.join(str(nodes[0].address))
    result = {"joined": await until(knowing(nodes), start)}
    result["joined_cpu"] = time.process_time() - cpu
    cpu = time.process_time()
    await asyncio.sleep(REST_SECONDS)
    result["rest_cpu"] = (time.process_time() - cpu) / REST_SECONDS
    dead = nodes.pop(count // 2)
    start, cpu = time.monotonic(), time.process_time()
    await dead.close()
    result["first"] = await until(lambda: any(missing(nodes, dead.name)), start)
    result["all"] = await until(lambda: all(missing(nodes, dead.name)), start)
    result["death_cpu"] = time.process_time() - cpu
    for node in nodes:
        await node.close()
    return result


if __name__ == "__main__":
    print(json.dumps(asyncio.run(swarm(int(sys.argv[1])))))
