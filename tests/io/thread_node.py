"""A node with the thread driver in a process of its own, for the tests that end or stall one.

`python thread_node.py HOW [DRIVER]` prints the node's address, does HOW, and ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import threading
from typing import Any

import gossip


async def started(driver: Any) -> gossip.Memberlist:
    node = gossip.Memberlist("stalled", bind="127.0.0.1:0", driver=driver)
    await node.start()
    print(f"{node.address.host} {node.address.port}", flush=True)
    return node


def hold_the_gil() -> None:
    """Reads a byte from standard input without letting any other Python run meanwhile."""
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)


async def stall(driver: Any) -> None:
    node = await started(driver)
    hold_the_gil()
    print(node.stats().packets_received, flush=True)
    await node.close()


def main(how: str, driver: str = "thread") -> None:
    if how == "stall":
        asyncio.run(stall(driver))
        return
    loop = asyncio.new_event_loop()
    node = loop.run_until_complete(started(driver))
    if how == "forget":
        del node, loop
        gc.collect()
        print([each.name for each in threading.enumerate() if "gossip" in each.name], flush=True)
    elif how == "raise":
        raise SystemExit(3)
    elif how == "exit":
        print(node.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
