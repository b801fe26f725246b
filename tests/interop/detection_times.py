"""How soon a killed node is first suspected: pools of 30 real memberlist nodes, and simulated ones.

By hand, in `ci/run full`: `python tests/interop/detection_times.py --kills 60`. Both get the same
treatment: a few kills a pool, one after the other, each a random moment after the suspicion of the
one before. Prints the quantiles and the Kolmogorov-Smirnov test; exits 1 below p = 0.01.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from math import exp, sqrt
from pathlib import Path
from typing import Any

from gossip.sim.pool import AS_MEMBERLIST, MILLISECOND, SECOND, Pool, lan

NODES = 30
KILLS_OF_A_POOL = 6
PATIENCE = 30.0
BINARY = Path(__file__).with_name("peers") / "bin" / "memberlist-peer"


class GoNode:
    """A process with one memberlist node; what it tells goes into the pool's queue."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def start(self, told: asyncio.Queue[dict[str, Any]]) -> None:
        self.process = await asyncio.create_subprocess_exec(
            str(BINARY),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.say({"name": self.name, "bind": "127.0.0.1", "port": 0, "profile": "lan"})
        assert self.process.stdout is not None
        while True:
            line = json.loads(await self.process.stdout.readline())
            if line.get("event") == "started":
                self.address = f"{line['address']}:{line['port']}"
                break
        self.reader = asyncio.ensure_future(self.read(told))

    def say(self, line: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")

    async def read(self, told: asyncio.Queue[dict[str, Any]]) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            told.put_nowait({**json.loads(line), "at": time.monotonic()})

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        self.reader.cancel()


async def told_of(
    told: asyncio.Queue[dict[str, Any]], event: str, names: Iterable[str], count: int
) -> float:
    """When so many lines of that event, about those names, have come."""
    wanted = set(names)
    async with asyncio.timeout(PATIENCE * 4):
        while True:
            line = await told.get()
            count -= line.get("event") == event and line.get("name") in wanted
            if count == 0:
                return float(line["at"])


async def pass_time(seconds: float) -> None:
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)


async def real_pool(kills: int, chance: random.Random) -> list[float]:
    """The seconds from each kill to its first suspicion."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    nodes = [GoNode(f"go-{number}") for number in range(NODES)]
    times = []
    try:
        for node in nodes:
            await node.start(told)
            await pass_time(1 / NODES)
        for node in nodes[1:]:
            node.say({"id": 1, "do": "join", "seeds": [nodes[0].address]})
        await told_of(told, "joined", [node.name for node in nodes], NODES * (NODES - 1))
        await pass_time(3 + chance.random())
        for victim in chance.sample(nodes, kills):
            while not told.empty():
                told.get_nowait()
            began = time.monotonic()
            await victim.kill()
            times.append(await told_of(told, "suspected", [victim.name], 1) - began)
            await pass_time(chance.random())
    finally:
        for node in nodes:
            if hasattr(node, "process") and node.process.returncode is None:
                await node.kill()
    return times


def simulated_pool(kills: int, seed: int) -> list[float]:
    pool = Pool(NODES, lan(**AS_MEMBERLIST), seed)
    engine = pool.engine
    engine.delay("uniform", 50_000, 500_000)
    pool.boot()
    assert pool.run_until(engine.agreed, 300 * SECOND, SECOND)
    pool.run(3 * SECOND + pool.random.below(SECOND))
    engine.log("suspected")
    times = []
    for victim in pool.choose(kills):
        engine.take_log()
        engine.crash(victim)
        began = engine.now
        found: list[int] = []
        while not found:
            pool.run(10 * MILLISECOND)
            found = [at for at, _, _, about, _ in engine.take_log() if about == victim]
        times.append((found[0] - began) / SECOND)
        pool.run(pool.random.below(SECOND))
    return times


def kolmogorov_smirnov(one: list[float], other: list[float]) -> tuple[float, float]:
    """The distance of two samples, and the probability of one at least as large by chance."""
    moments = sorted([*one, *other])
    distance = max(
        abs(sum(x <= at for x in one) / len(one) - sum(x <= at for x in other) / len(other))
        for at in moments
    )
    size = len(one) * len(other) / (len(one) + len(other))
    scaled = (sqrt(size) + 0.12 + 0.11 / sqrt(size)) * distance
    p = 2 * sum((-1) ** (k - 1) * exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return distance, min(1.0, max(0.0, p))


def quantiles(times: list[float]) -> str:
    ordered = sorted(times)
    picked = (ordered[int(len(ordered) * part)] for part in (0.1, 0.5, 0.9))
    return ", ".join(f"{value:.2f} s" for value in picked)


def batches(kills: int) -> Iterator[int]:
    while kills > 0:
        yield min(kills, KILLS_OF_A_POOL)
        kills -= KILLS_OF_A_POOL


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60)
    kills = parser.parse_args().kills
    chance = random.Random(1)
    real = [time for n in batches(kills) for time in asyncio.run(real_pool(n, chance))]
    simulated = [
        time for seed, n in enumerate(batches(10 * kills), 1) for time in simulated_pool(n, seed)
    ]
    distance, p = kolmogorov_smirnov(real, simulated)
    print(f"memberlist: {len(real)} kills, 10 %, median, 90 %: {quantiles(real)}")
    print(f"simulated: {len(simulated)} kills: {quantiles(simulated)}")
    print(f"Kolmogorov-Smirnov: D = {distance:.3f}, p = {p:.3f}")
    return 0 if p > 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
