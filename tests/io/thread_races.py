"""The thread driver at work, for the thread sanitizer to watch: `ci/run races` runs it.

`python thread_races.py` has nodes talk while their users call, close and forget them.
`python thread_races.py planted` lets a thread into a core without a lock: that must be reported, or
the sanitizer sees nothing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import Any

import gossip
from gossip import blocking
from gossip._core import Swim
from gossip._udp import Endpoint
from tests.io.nodes import alive, next_of, node, stranger

ROUNDS = 30
LIVES = 5
PLANTED_SECONDS = 30.0
BUSY: dict[str, Any] = {
    "driver": "thread",
    "gossip_interval": 0.01,
    "probe_interval": 0.05,
    "probe_timeout": 0.05,
    "push_pull_interval": 0.1,
    "report_pings": True,
    "app_stall_timeout": 0.1,
}


async def call_everything(a: gossip.Memberlist, b: gossip.Memberlist, number: int) -> None:
    await asyncio.gather(a.ping("b"), b.ping("a"), return_exceptions=True)
    assert a.members()
    assert b.stats().packets_received
    assert a.member("a") is not None
    assert a.health_score >= 0
    b.set_local_state(os.urandom(50))
    b.set_ack_payload(os.urandom(5))
    a.broadcast(os.urandom(20), name="x")
    await b.send("a", b"x" * 100)
    if number % 10 == 0:
        sent = a.send("b", bytes(5000), reliable=True)
        changed, joined = b.update_meta(b"%d" % number), a.join(str(b.address))
        await asyncio.gather(sent, changed, joined, return_exceptions=True)


async def talk(keys: list[bytes]) -> None:
    """Three nodes, a stranger that floods one of them, and every call there is."""
    fields = BUSY | {"key": keys[0] if keys else None}
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(node("a", **fields))
        b = await stack.enter_async_context(node("b", a, **fields))
        await stack.enter_async_context(node("c", a, b, **fields))
        events = a.events()
        with stranger() as bare:
            for number in range(ROUNDS):
                for name in range(20):
                    bare.sendto(alive(f"n{name}", "127.0.0.1", 9, number + 1), a.address)
                await call_everything(a, b, number)
                if keys:
                    a.keyring.add(keys[1])
                    a.keyring.remove(keys[1])
        await next_of(events, gossip.PingCompleted)


async def live_briefly(name: str, a: gossip.Memberlist) -> None:
    """Comes, talks, and is closed amid the traffic."""
    short = node(name, a, **BUSY)
    await short.start()
    await asyncio.gather(short.ping("a"), return_exceptions=True)
    await short.close()


async def live() -> None:
    async with node("a", **BUSY) as a:
        for number in range(LIVES):
            await live_briefly(f"short-{number}", a)
            gc.collect()


def call_from_a_thread(a: blocking.Node, b: blocking.Node, number: int) -> None:
    with suppress(gossip.TimeoutExpired):
        a.ping("b")
    assert a.members()
    assert b.stats().packets_received
    assert a.member("b") is not None
    a.send_event("deploy", os.urandom(20))
    b.query("load", os.urandom(20), timeout=0.1).close()
    if number % 10 == 0:
        with suppress(gossip.TimeoutExpired):
            b.set_tags({"number": str(number)})


def talk_from_threads() -> None:
    """Two nodes of a Serf pool without async: several threads call them, and the core, at once."""
    with (
        blocking.Node("a", bind="127.0.0.1:0", **BUSY) as a,
        blocking.Node("b", bind="127.0.0.1:0", seeds=[str(a.address)], **BUSY) as b,
        ThreadPoolExecutor(3) as threads,
    ):
        calls = [threads.submit(call_from_a_thread, a, b, number) for number in range(ROUNDS)]
        for call in calls:
            call.result()


def planted() -> None:
    """A race that does no harm: a number is read while a thread without a lock changes it."""
    with stranger() as mine, stranger() as bare:
        core = Swim(gossip.Config().settings(), name=b"x", address=bytes(4), port=1, seed=1)
        core.start(0)
        endpoint = Endpoint(mine.fileno(), False, core)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                endpoint.on_readable()

        thread = threading.Thread(target=serve)
        thread.start()
        end = time.monotonic() + PLANTED_SECONDS
        while time.monotonic() < end:
            for _ in range(200):
                bare.sendto(b"\x08message", mine.getsockname())
            for _ in range(20):
                assert core.waiting in (False, True)
        ended.set()
        thread.join()


def main() -> None:
    logging.getLogger("gossip").setLevel(logging.CRITICAL)
    if sys.argv[1:] == ["planted"]:
        planted()
        return
    for keys in ([], [bytes(16), bytes(range(16))]):
        asyncio.run(talk(keys))
    asyncio.run(live())
    talk_from_threads()
    print("the thread driver ran to its end")


if __name__ == "__main__":
    main()
