"""Nodes that come, talk, leave, fail and close, round after round: `python soak.py SECONDS`.

Prints a JSON line of what the process holds every few rounds, and one more when all nodes are
closed. Set MALLOC_ARENA_MAX=1: malloc's own account is of one arena only.
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
import time
from contextlib import AsyncExitStack
from typing import Any

import gossip
from tests.io.nodes import alive, node, stranger

QUICK: dict[str, Any] = {
    "driver": "thread",
    "probe_interval": 0.04,
    "probe_timeout": 0.02,
    "gossip_interval": 0.02,
    "push_pull_interval": 0.5,
    "suspicion_mult": 1,
    "suspicion_max_timeout_mult": 1,
    "gossip_to_the_dead_time": 0.5,
    "dead_node_reclaim_time": 0.1,
    "awareness_max_multiplier": 1,
    "event_buffer": 100,
    "report_pings": True,
}
GUESTS = 4
FLOOD = 200
NAMES = 10  # of each kind; they come again, since those that failed are remembered
ROUNDS_LEAST = 60  # also where the machine is slow
ROUNDS_A_LINE = 2


class Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def held() -> dict[str, int]:
    """What the process holds at this moment."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    info = mallinfo2()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "malloc_bytes": info.uordblks + info.hblkhd,
        "python_blocks": sys.getallocatedblocks(),
        "resident_bytes": resident,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


async def visit(name: str, *hosts: gossip.Memberlist, leaves: bool) -> None:
    """A guest: it joins, says all there is to say, and leaves, or closes without a word."""
    guest = await node(name, *hosts, **QUICK).start()
    read, never_read = guest.events(), guest.events(gossip.MemberJoined)
    await asyncio.gather(
        guest.ping(hosts[0].name),
        guest.send(hosts[0].name, bytes(100)),
        guest.send(hosts[-1].name, bytes(20_000), reliable=True),
        guest.update_meta(os.urandom(20)),
        hosts[0].send(name, bytes(3000), reliable=True),
        guest.join(str(hosts[-1].address)),
        return_exceptions=True,
    )
    guest.set_local_state(os.urandom(10_000))
    guest.broadcast(os.urandom(100))
    assert isinstance(await read.get(timeout=10), gossip.MembersSnapshot)
    if leaves:
        await asyncio.gather(guest.leave(timeout=5), return_exceptions=True)
    await guest.close()
    never_read.close()


async def flood(host: gossip.Memberlist, serial: int) -> None:
    """Strangers that are announced and never answer, messages, and rubbish."""
    with stranger() as bare:
        for number in range(FLOOD):
            name = f"ghost-{number % 3}-{serial % NAMES}"
            bare.sendto(alive(name, "127.0.0.1", 9, serial), host.address)
            bare.sendto(b"\x08" + bytes(500), host.address)
            bare.sendto(os.urandom(50), host.address)
        await asyncio.gather(host.ping(host.name), return_exceptions=True)


async def soak(seconds: float) -> None:
    end = time.monotonic() + seconds
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(node("first", **QUICK))
        second = await stack.enter_async_context(node("second", first, **QUICK))
        asyncio_too = QUICK | {"driver": "asyncio"}
        third = await stack.enter_async_context(node("third", second, **asyncio_too))
        serial = 0
        while time.monotonic() < end or serial < ROUNDS_LEAST:
            serial += 1
            if serial % 10 == 1:
                never_read = first.events()  # and the one before is forgotten
            visits = [
                visit(f"guest-{number}-{serial % NAMES}", first, second, third, leaves=number < 2)
                for number in range(GUESTS)
            ]
            await asyncio.gather(*visits, flood(first, serial))
            if serial % ROUNDS_A_LINE == 0:
                gc.collect()
                print(json.dumps(held()), flush=True)
        never_read.close()


def main() -> None:
    logging.getLogger("gossip").setLevel(logging.CRITICAL)
    before = held()["descriptors"]
    asyncio.run(soak(float(sys.argv[1])))
    gc.collect()
    print(json.dumps(held() | {"descriptors_before": before}), flush=True)


if __name__ == "__main__":
    main()
