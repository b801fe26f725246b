"""Our node, to be loaded: the public object with every check on. Takes the settings of the Go node.

`python -m bench.peers.gossip_node SETTINGS` takes a JSON object and prints {"port": N}. After that
every line on standard input is answered with the node's counters; it ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gossip

HOUR = 3600.0


def configured(settings: dict[str, Any]) -> gossip.Memberlist:
    quiet = {"probe_interval": HOUR, "gossip_interval": HOUR, "push_pull_interval": HOUR}
    return gossip.Memberlist(
        settings["name"],
        bind="127.0.0.1:0",
        key=bytes.fromhex(settings["key"]) if settings["key"] else None,
        label=settings["label"],
        enable_compression=settings["compress"],
        aead=settings.get("aead", "auto"),
        driver=settings.get("driver", "asyncio"),
        max_members=settings.get("max_members", 200_000),
        **(quiet if settings["quiet"] else {}),
    )


def counters(node: gossip.Memberlist) -> dict[str, Any]:
    stats = node.stats()
    members = node.members()
    return {
        "members": len(members),
        "incarnations": sum(each.incarnation for each in members if each.name != node.name),
        "dropped": {reason: count for reason, count in stats.dropped.items() if count},
        "core": dict(stats.core),
        "friends": {
            each.name: str(each.status) for each in members if not each.name.startswith("member-")
        },
        "rss_max_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


class Callbacks:
    """The processor time of every callback of the loop but one, in bins of 10 us."""

    def __init__(self, but: Callable[[], None]) -> None:
        self.bins: Counter[int] = Counter()
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            start = time.thread_time_ns()
            run(handle)
            if handle._callback is not but:
                self.bins[(time.thread_time_ns() - start) // 10_000] += 1

        asyncio.Handle._run = timed

    def percentile(self, share: float) -> int:
        """ns: the upper end of the bin in which it lies."""
        left, number = share * self.bins.total(), 0
        for number in sorted(self.bins):
            left -= self.bins[number]
            if left <= 0:
                break
        return (number + 1) * 10_000


def burn() -> None:
    """A thread of the application that always wants the interpreter, and a core of its own."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    while True:
        sum(range(1000))


async def serve(settings: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    node = configured(settings)
    if settings.get("burns"):
        threading.Thread(target=burn, daemon=True).start()
    await node.start()
    if "join" in settings:
        await node.join(f"127.0.0.1:{settings['join']}")

    def on_line() -> None:
        if not os.read(0, 4096):
            ended.set()
            return
        answer = counters(node)
        if callbacks is not None:
            answer["callback_p999_ns"] = callbacks.percentile(0.999)
            answer["callback_max_ns"] = callbacks.percentile(1.0)
            callbacks.bins.clear()
        print(json.dumps(answer), flush=True)

    callbacks = Callbacks(but=on_line) if settings.get("times_callbacks") else None
    loop.add_reader(0, on_line)
    print(json.dumps({"port": node.address.port}), flush=True)
    await ended.wait()
    await node.close()


def main() -> None:
    settings = json.loads(sys.argv[1])
    if settings["loop"] == "uvloop":
        import uvloop

        uvloop.run(serve(settings))
    else:
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
