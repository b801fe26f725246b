"""What a member costs in memory, in a process of its own that knows 100,000."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.figures import Figures

MEMBERS = 100_000
SCRIPT = """
import ctypes, gc, json, sys
from bench import cores, packets

class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keep".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Counts

def in_use():
    gc.collect()
    counts = libc.mallinfo2()
    return counts.uordblks + counts.hblkhd

members = int(sys.argv[1])
cores.merge(cores.core(10), packets.push_pull(10))
objects, before = len(gc.get_objects()), in_use()
node = cores.core(members, drain=False)
told = in_use() - before
cores.empty(node)
print(json.dumps({"told": told, "idle": in_use() - before,
                  "objects": len(gc.get_objects()) - objects}))
"""


def test_a_hundred_thousand_members(
    benchmark: Any, figures: Figures, extra: dict[str, Any]
) -> None:
    def run() -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, str(MEMBERS)],
            stdout=subprocess.PIPE,
            check=True,
        )
        counts: dict[str, int] = json.loads(done.stdout)
        return counts

    counts = benchmark.pedantic(run, rounds=1)
    figures.put("memory_member", counts["idle"] / MEMBERS)
    figures.put("memory_objects", max(0, counts["objects"]) / MEMBERS)
    extra["memory"] = {
        "idle": counts["idle"] / MEMBERS,
        "with every claim still queued": counts["told"] / MEMBERS,
    }
