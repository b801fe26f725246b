"""Lifeguard's interval experiment with real memberlist nodes and simulated ones, side by side.

By hand, in `ci/run full`: `python tests/interop/false_positives.py`. Each cell is a pool of 128
whose slow members are blocked for so long, again and again, and run for a gap in between;
memberlist has its own transport, blocked in the same places. K, nacks and the buddy system are
memberlist's in both. Prints a table; exits 1 where the sums are more than three times apart, or
where Lifeguard does not save most of what the plain protocol fails wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from gossip.sim.papers.lifeguard import interval

BINARY = Path(__file__).with_name("peers") / "bin" / "lifeguard-pool"
SEEDS = (1, 2, 3)
# Slow members, blocked ms, gap ms.
CELLS = ((8, 2048, 1), (8, 8192, 1), (8, 8192, 4), (8, 16384, 4), (8, 16384, 16), (8, 16384, 256),
         (8, 32768, 64), (24, 16384, 256))  # fmt: skip
# SuspicionMaxTimeoutMult and AwarenessMaxMultiplier of both.
PLAIN, LIFEGUARD = (1, 1), (6, 8)


@dataclass(frozen=True)
class Count:
    everywhere: float
    at_healthy: float

    def __str__(self) -> str:
        return f"{self.everywhere:.0f} ({self.at_healthy:.0f})"


async def real(cell: tuple[int, int, int], protocol: tuple[int, int]) -> Count:
    """One run of two minutes in real time."""
    slow, block_ms, gap_ms = cell
    process = await asyncio.create_subprocess_exec(
        str(BINARY), "-slow", str(slow), "-block", f"{block_ms}ms", "-gap", f"{gap_ms}ms",
        "-beta", str(protocol[0]), "-health", str(protocol[1]), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(600):
        told, _ = await process.communicate()
    line = json.loads(told)
    return Count(line["false_positives"], line["at_healthy"])


def simulated(cell: tuple[int, int, int], protocol: tuple[int, int]) -> Count:
    """The mean of a few runs."""
    settings = {
        "suspicion_mult": 5,
        "suspicion_max_timeout_mult": protocol[0],
        "awareness_max_multiplier": protocol[1],
        "enable_compression": 0,
    }
    runs = [interval(settings, *cell, seed) for seed in SEEDS]
    return Count(
        sum(run.false_positives for run in runs) / len(runs),
        sum(run.at_healthy for run in runs) / len(runs),
    )


async def all_real(pools: int) -> dict[tuple[int, int], list[Count]]:
    """So many pools at a time."""
    free = asyncio.Semaphore(pools)

    async def one(cell: tuple[int, int, int], protocol: tuple[int, int]) -> Count:
        async with free:
            return await real(cell, protocol)

    each = [one(cell, protocol) for protocol in (PLAIN, LIFEGUARD) for cell in CELLS]
    counts = await asyncio.gather(*each)
    return {PLAIN: counts[: len(CELLS)], LIFEGUARD: counts[len(CELLS) :]}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pools", type=int, default=2, help="of real nodes at one time")
    theirs = asyncio.run(all_real(parser.parse_args().pools))
    ours = {each: [simulated(cell, each) for cell in CELLS] for each in (PLAIN, LIFEGUARD)}
    print("False positives of a run; at healthy members in brackets.\n")
    print("| slow | blocked ms | gap ms | plain, memberlist | simulated | Lifeguard, memberlist "
          "| simulated |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for at, cell in enumerate(CELLS):
        cells = [*cell, theirs[PLAIN][at], ours[PLAIN][at], theirs[LIFEGUARD][at],
                 ours[LIFEGUARD][at]]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")
    sums = [sum(count.everywhere for count in each[protocol])
            for protocol in (PLAIN, LIFEGUARD) for each in (theirs, ours)]  # fmt: skip
    print(f"| sum | | | {sums[0]:.0f} | {sums[1]:.0f} | {sums[2]:.0f} | {sums[3]:.0f} |")
    near = all(a < 3 * b and b < 3 * a for a, b in (sums[:2], sums[2:]))
    return 0 if near and sums[2] < sums[0] / 3 and sums[3] < sums[1] / 3 else 1


if __name__ == "__main__":
    sys.exit(main())
