"""Lamport clocks, and what is accepted at which time, as recorded from real Serf."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossip._core import LamportClock
from tests.sim import serf as wire_serf
from tests.sim.settings import serf
from tests.sim.solo import Solo

VECTORS = Path(__file__).parents[1] / "vectors"
CLOCKS = json.loads((VECTORS / "lamport_traces.json").read_text())
TRACES = json.loads((VECTORS / "event_dedup_traces.json").read_text())
CEILING = 1 << 62


@pytest.mark.parametrize("number", range(len(CLOCKS)))
def test_a_lamport_clock_follows_the_recorded_one(number: int) -> None:
    clock = LamportClock()
    for step in CLOCKS[number]:
        if step["op"] == "witness":
            assert clock.witness(step["value"])
            assert clock.time() == step["time"]
        elif step["op"] == "increment":
            assert clock.increment() == step["returns"]
        else:
            assert clock.time() == step["returns"]


@pytest.mark.parametrize(
    ("clock", "seen", "believed"),
    [
        (5, CEILING - 1, True),
        (5, CEILING, False),
        (CEILING, CEILING + (1 << 20), True),
        (CEILING, CEILING + (1 << 20) + 1, False),
        (5, 2**64 - 1, False),
        (2**64 - 3, 2**64 - 2, True),
        (2**64 - 3, 2**64 - 1, False),
        (2**63, 7, True),
    ],
)
def test_a_time_near_the_end_is_refused_and_the_clock_stays(
    clock: int, seen: int, believed: bool
) -> None:
    lamport = LamportClock(clock)
    assert lamport.witness(seen) == believed
    assert lamport.time() == (max(clock, seen + 1) if believed else clock)


@pytest.mark.parametrize("number", range(len(TRACES)))
def test_events_and_queries_are_accepted_as_in_the_recorded_trace(number: int) -> None:
    trace = TRACES[number]
    assert (trace["initial_clocks"], trace["event_min_time"], trace["query_min_time"]) == (1, 0, 0)
    settings = serf(event_buffer=trace["event_buffer"], query_buffer=trace["query_buffer"])
    solo = Solo.start(serf=settings)
    for step in trace["steps"]:
        name = step["name"].encode()
        if step["kind"] == "query":
            message = wire_serf.query(name, step["ltime"], step["id"])
            kind, clock, stat = "query", 2, "queries_queued"
        else:
            payload = bytes.fromhex(step["payload"]) if step["payload"] is not None else None
            message = wire_serf.user_event(name, step["ltime"], payload)
            kind, clock, stat = "user_event", 1, "events_queued"
        before = solo.serf.stats()[stat]
        solo.forget()
        wire_serf.hear(solo, message)
        accepted = step["accepted_and_rebroadcast"]
        assert solo.kinds() == ([kind] if accepted else [])
        assert solo.serf.stats()[stat] - before == int(accepted)
        assert solo.serf.clocks()[clock] == step["clock_after"]
