"""Lifeguard's two experiments (arXiv 1707.00788): slow members, and what the others make of them.

An anomaly blocks a member before it sends and after it has received; timers run. Here are single
runs; the grids and tables stand in `lifeguard_tables`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from gossip.sim.pool import AS_MEMBERLIST, MICROSECOND, MILLISECOND, SECOND, Pool, lan

SCENARIO: dict[str, Any] = tomllib.loads(
    files("gossip.sim.papers").joinpath("lifeguard.toml").read_text()
)
NODES: int = SCENARIO["nodes"]
QUIET_NS = SCENARIO["quiet_s"] * SECOND
LENGTH_NS = SCENARIO["length_s"] * SECOND

# What each configuration turns off, from Lifeguard with alpha 5, beta 6 and K 3.
LIFEGUARD = {
    "suspicion_mult": 5,
    "suspicion_max_timeout_mult": 6,
    "suspicion_k": 3,
    "awareness_max_multiplier": 9,
    "scale_probe_timeout": 1,
    "nack_percent": 80,
    "buddy_system": 1,
    # Two thirds of a run's time, and nothing but bytes depends on it.
    "enable_compression": 0,
}
NO_PROBE = {"awareness_max_multiplier": 1}
NO_SUSPICION = {"suspicion_max_timeout_mult": 1, "suspicion_k": 0}
NO_BUDDY = {"buddy_system": 0}

CONFIGURATIONS: dict[str, dict[str, int]] = {
    "SWIM": {**LIFEGUARD, **NO_PROBE, **NO_SUSPICION, **NO_BUDDY},
    "LHA-Probe": {**LIFEGUARD, **NO_SUSPICION, **NO_BUDDY},
    "LHA-Suspicion": {**LIFEGUARD, **NO_PROBE, **NO_BUDDY},
    "Buddy System": {**LIFEGUARD, **NO_PROBE, **NO_SUSPICION},
    "Lifeguard": LIFEGUARD,
}


def tuned(alpha: int, beta: int) -> dict[str, int]:
    """Lifeguard of the sweep: K stays 3 whatever alpha is."""
    return {**LIFEGUARD, "suspicion_mult": alpha, "suspicion_max_timeout_mult": beta}


@dataclass(frozen=True)
class Outcome:
    """What one run gave. Latencies are ns from the start of the anomaly, one for each member that
    was detected: by the first healthy member, and by the last one."""

    false_positives: int = 0
    at_healthy: int = 0
    messages: int = 0
    sent_bytes: int = 0
    first_ns: tuple[int, ...] = ()
    full_ns: tuple[int, ...] = ()
    delivered: int = 0


def quiet_pool(changes: dict[str, int], seed: int) -> Pool:
    """All members know each other, and nothing has happened yet."""
    pool = Pool(NODES, lan(**{**AS_MEMBERLIST, **changes}), seed)
    low, high = SCENARIO["delay_us"]
    pool.engine.delay("uniform", low * MICROSECOND, high * MICROSECOND)
    pool.boot_at_once()
    pool.run(QUIET_NS)
    pool.engine.network(socket_bytes=SCENARIO["socket_bytes"])
    for number in range(NODES):
        pool.engine.slow(number, SCENARIO["packet_us"] * MICROSECOND)
    pool.engine.log("failed")
    return pool


def interval(
    changes: dict[str, int], slow: int, duration_ms: int, gap_ms: int, seed: int
) -> Outcome:
    """Anomalies again and again: who is failed that was healthy, and what all of it costs."""
    pool = quiet_pool(changes, seed)
    engine = pool.engine
    blocked = pool.choose(slow)
    before = engine.counts()
    end = engine.now + LENGTH_NS
    while engine.now < end:
        for number in blocked:
            engine.pause(number, duration_ms * MILLISECOND, "blocked")
        pool.run((duration_ms + gap_ms) * MILLISECOND)
    after = engine.counts()
    guilty = set(blocked)
    wrong = [node for _, node, _, about, _ in engine.take_log() if about not in guilty]
    return Outcome(
        false_positives=len(wrong),
        at_healthy=sum(node not in guilty for node in wrong),
        messages=after["sent"] - before["sent"] + after["streams"] - before["streams"],
        sent_bytes=after["sent_bytes"]
        + after["stream_bytes"]
        - before["sent_bytes"]
        - before["stream_bytes"],
        delivered=after["delivered"],
    )


def threshold(changes: dict[str, int], slow: int, duration_ms: int, seed: int) -> Outcome:
    """One anomaly: how long until a healthy member notices, and until all of them know."""
    pool = quiet_pool(changes, seed)
    engine = pool.engine
    blocked = set(pool.choose(slow))
    began = engine.now
    for number in blocked:
        engine.pause(number, duration_ms * MILLISECOND, "blocked")
    times: dict[int, dict[int, int]] = {number: {} for number in blocked}
    healthy = NODES - slow
    while engine.now - began < LENGTH_NS:
        pool.run(SECOND)
        for at, node, _, about, _ in engine.take_log():
            if about in blocked and node not in blocked:
                times[about].setdefault(node, at - began)
        if all(len(known) == healthy for known in times.values()):
            break
    return Outcome(
        first_ns=tuple(min(known.values()) for known in times.values() if known),
        full_ns=tuple(max(known.values()) for known in times.values() if len(known) == healthy),
        delivered=engine.counts()["delivered"],
    )
