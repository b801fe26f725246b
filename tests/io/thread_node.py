"""A node in a process of its own, for the tests that end, stall or stop one.

`python thread_node.py HOW [FIELDS]` starts a node with the thread driver, or as the JSON object of
configuration fields says, prints its address, does HOW, and ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import sys
import threading
import warnings
from typing import Any

import gossip


async def started(fields: dict[str, Any]) -> gossip.Memberlist:
    node = gossip.Memberlist("stalled", **{"bind": "127.0.0.1:0", "driver": "thread"} | fields)
    await node.start()
    say(f"{node.address.host} {node.address.port}")
    return node


def say(line: object) -> None:
    print(line, flush=True)


def hold_the_gil() -> None:
    """Reads a byte from standard input without letting any other Python run meanwhile."""
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)


def hold_the_loop() -> None:
    """Reads a byte from standard input; other threads may run, the loop may not."""
    os.read(0, 1)


async def stall(fields: dict[str, Any], hold: Any) -> None:
    """Holds something up to the first byte of standard input, and ends with the second."""
    node = await started(fields)
    hold()
    say(node.stats().packets_received)
    await asyncio.to_thread(os.read, 0, 1)
    stats = node.stats()
    seen = {"stalls": stats.core["stalls"], "app_stalls": stats.app_stalls}
    say(json.dumps(seen | {"loop_lag_seconds": stats.loop_lag_seconds}))
    await node.close()


def fork() -> None:
    """Prints how a child ends that was forked beside the thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        raise SystemExit(4)  # with all that an interpreter does at its end
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


HOLDS = {"stall": hold_the_gil, "hang": hold_the_loop, "serve": lambda: None}


def main(how: str, fields: str = "{}") -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(message)s")
    if how in HOLDS:
        asyncio.run(stall(json.loads(fields), HOLDS[how]))
        return
    loop = asyncio.new_event_loop()
    node = loop.run_until_complete(started(json.loads(fields)))
    if how == "forget":
        del node, loop
        gc.collect()
        say([each.name for each in threading.enumerate() if "gossip" in each.name])
    elif how == "raise":
        raise SystemExit(3)
    elif how == "fork":
        fork()
    elif how == "exit":
        say(node.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
