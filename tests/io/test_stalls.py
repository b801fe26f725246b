"""A loop that comes late, an application that hangs, a process that stood still; on every driver.

Nothing here holds a machine to a speed: what must not happen is made impossible before it is
looked for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

import gossip
from gossip._core import Swim, decode_packet, encode_message
from gossip._io import bounds
from gossip._io.pulse import Pulse
from gossip._udp import Endpoint
from gossip._worker import Worker

from .nodes import DRIVER, SECONDS_MAX, SLOW_ENOUGH, alive, next_of, node, stranger
from .processes import Child, process


def hold_the_loop(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def test_a_late_loop_is_measured_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gossip")
    async with node("a", loop_lag_bound=0.25) as a:
        events = a.events(gossip.LoopLagged)
        hold_the_loop(0.25 + bounds.PULSE_SECONDS + 0.1)
        assert a.stats().loop_lag_seconds > 0.25, "the beat that is overdue counts"
        lagged = await next_of(events, gossip.LoopLagged)
        assert a.stats().loop_lag_seconds >= lagged.seconds > 0.25
    assert "a: the event loop was " in caplog.text


async def test_of_several_lags_that_wait_the_newest_is_kept() -> None:
    async with node("a") as a:
        events = a.events()
        assert a._driver is not None
        for seconds in (1.0, 2.0, 3.0):
            a._driver.hub.publish(gossip.LoopLagged(seconds))
        assert isinstance(await events.get(timeout=SECONDS_MAX), gossip.MembersSnapshot)
        lags = [await events.get(timeout=SECONDS_MAX)]
        a._driver.hub.close()
        lags += [event async for event in events]
        assert lags == [gossip.LoopLagged(3.0)]


class Turning:
    """A clock, and a loop that has one timer."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timer: tuple[float, Callable[[], None]] | None = None

    def monotonic(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        self.timer = (self.now + delay, call)

    def turn(self, late: float) -> None:
        assert self.timer is not None
        due, call = self.timer
        self.now = due + late
        call()


def test_the_most_of_the_last_minute_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Turning()
    monkeypatch.setattr("gossip._io.pulse.time", loop)
    beats: list[float] = []
    pulse = Pulse(loop, 0.25, beats.append)  # type: ignore[arg-type]
    pulse.start()
    for late in (0.0, 1.5, -0.001, 0.125):  # some loops call a little early
        loop.turn(late)
    assert beats == pytest.approx([0.0, 1.5, 0.0, 0.125])
    assert pulse.lag() == pytest.approx(1.5)
    loop.now += 0.25 + 7.0
    assert pulse.lag() == pytest.approx(7.0), "not yet over"
    loop.now -= 7.0
    started = loop.now
    while pulse.lag() > 0.125:
        loop.turn(0.0)
    assert 25.0 < loop.now - started < bounds.LAG_WINDOW_SECONDS


def ask_until_it_is_silent(peer: socket.socket, child: Child) -> None:
    """Pings the child's node again and again. A busy machine may keep silent for a while, too."""
    patience = time.monotonic() + SECONDS_MAX
    peer.settimeout(3.0)
    while time.monotonic() < patience:
        peer.sendto(encode_message("ping", {"SeqNo": 1, "Node": "stalled"}), child.address)
        try:
            peer.recv(2000)
        except TimeoutError:
            return
    raise AssertionError("it goes on to answer")


def test_an_application_that_hangs_is_not_answered_for_and_the_log_says_why() -> None:
    with process("hang", app_stall_timeout=0.5) as child, stranger() as peer:
        assert child.address
        assert "has not turned for 0.5 s (app_stall_timeout)" in child.complaint()
        ask_until_it_is_silent(peer, child)
        child.go_on()
        peer.settimeout(SECONDS_MAX)
        answer = decode_packet(peer.recv(2000))["message"]
        assert answer["body"]["SeqNo"] == 1, "it waited in the socket"
        child.line()
        child.go_on()
        stats = json.loads(child.line())
        assert stats["app_stalls"] >= 1
        assert stats["loop_lag_seconds"] > 0.5
        assert child.process.wait(SECONDS_MAX) == 0


def test_it_is_silent_too_where_the_interpreter_is_held() -> None:
    with process("stall", app_stall_timeout=0.5) as child, stranger() as peer:
        assert child.address
        ask_until_it_is_silent(peer, child)
        child.go_on()
        assert "app_stall_timeout" in child.complaint(), "it needs the GIL to say so"
        child.line()
        child.go_on()
        assert json.loads(child.line())["app_stalls"] >= 1


async def status_of(name: str, by: gossip.Memberlist, *wanted: str) -> None:
    """Waits until a node holds the member for one of these."""
    events = by.events()
    while (member := by.member(name)) is None or member.status not in wanted:
        await events.get(timeout=SECONDS_MAX)


async def test_an_application_that_hangs_fails_in_its_pool_and_comes_back() -> None:
    """With asyncio by itself, with the thread by `app_stall_timeout`."""
    driver = DRIVER.get()
    async with node("b", **SLOW_ENOUGH) as b:
        fields = SLOW_ENOUGH | {"seeds": [str(b.address)], "driver": driver}
        with process("hang", app_stall_timeout=0.3, **fields) as child:
            await asyncio.to_thread(lambda: child.address)
            if driver == "thread":
                assert "app_stall_timeout" in await asyncio.to_thread(child.complaint)
            await status_of("stalled", b, "failed")
            child.go_on()
            await status_of("stalled", b, "alive")
            child.go_on()


async def test_a_process_that_was_stopped_counts_a_stall_of_its_own() -> None:
    async with node("b", **SLOW_ENOUGH) as b:
        fields = SLOW_ENOUGH | {"seeds": [str(b.address)], "driver": DRIVER.get()}
        with process("serve", **fields) as child:
            await asyncio.to_thread(lambda: child.address)
            child.process.send_signal(signal.SIGSTOP)
            await status_of("stalled", b, "failed")
            child.process.send_signal(signal.SIGCONT)
            await status_of("stalled", b, "alive")
            child.line()
            child.go_on()
            assert json.loads(child.line())["stalls"] >= 1


MISSED = 1000  # probe intervals of a second


@pytest.mark.parametrize("driver", ["asyncio", "thread"])
def test_a_tick_that_comes_late_is_charged_and_makes_up_for_nothing(driver: str) -> None:
    """The core was started long ago, and this is the first that it hears of the time."""
    settings = gossip.Config().settings()
    now = time.monotonic_ns()
    with stranger() as mine, stranger() as peer:
        port = mine.getsockname()[1]
        core = Swim(settings, name=b"x", address=b"\x7f\0\0\x01", port=port, seed=1)
        core.share()
        core.start(now - MISSED * settings["probe_interval_ns"])
        core.receive([(alive("peer", *peer.getsockname()), b"\x7f\0\0\x01", 1)], now)
        endpoint = Endpoint(mine.fileno(), False, core, apart=driver == "thread")
        if driver == "thread":
            worker = Worker(endpoint)
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()
            while not core.stats()["stalls"]:
                pass
            worker.stop()
            thread.join(SECONDS_MAX)
        else:
            endpoint.tick()
        stats = core.stats()
        assert stats["stalls"] >= 1
        assert stats["health_score"] >= 1
        assert stats["probes"] + stats["gossips"] < MISSED / 10
