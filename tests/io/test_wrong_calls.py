"""Calls from where a node must not be called: each an error that says what happened, and no harm.

On every driver; what a child of a fork may do, test_driver.py and test_thread.py try.
"""

from __future__ import annotations

import asyncio
import bdb
import functools
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

import gossip

from .nodes import alive, next_of, node, stranger

CALLS: dict[str, Callable[[gossip.Memberlist], object]] = {
    "members": lambda a: a.members(),
    "member": lambda a: a.member("a"),
    "local_member": lambda a: a.local_member,
    "address": lambda a: a.address,
    "health_score": lambda a: a.health_score,
    "stats": lambda a: a.stats(),
    "events": lambda a: a.events(),
    "broadcast": lambda a: a.broadcast(b"x"),
    "broadcast_limit": lambda a: a.broadcast_limit,
    "set_local_state": lambda a: a.set_local_state(b"x"),
    "set_ack_payload": lambda a: a.set_ack_payload(b"x"),
    "keyring": lambda a: a.keyring.use(a.keyring.keys[0]),
    "ping": lambda a: first_step(a.ping("a")),
    "join": lambda a: first_step(a.join("127.0.0.1:1")),
    "send": lambda a: first_step(a.send("a", b"x")),
    "update_meta": lambda a: first_step(a.update_meta(b"x")),
    "leave": lambda a: first_step(a.leave()),
}


def first_step(coroutine: Any) -> None:
    """Runs a coroutine up to its first wait."""
    with suppress(StopIteration):
        coroutine.send(None)
    coroutine.close()


def raised(a: gossip.Memberlist) -> dict[str, str]:
    """What each call raises; a call that works is not in it."""
    errors = {}
    for name, call in CALLS.items():
        try:
            call(a)
        except gossip.StateError as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


async def test_after_close_every_call_says_that_it_is_closed() -> None:
    async with node("a", key=gossip.generate_key()) as a:
        await a.close()
        assert raised(a) == dict.fromkeys(CALLS, "ClosedError: node a is closed")


def test_after_its_loop_every_call_says_that_it_belongs_to_another() -> None:
    """The loop of `start` has ended, and another one runs."""
    a = node("a", key=gossip.generate_key())
    with asyncio.Runner() as first:
        first.run(a.start())
        with asyncio.Runner() as second:
            errors = second.run(in_a_coroutine(a))
        assert raised_alike(errors, "WrongLoopError: node a was started on another event loop")
        first.run(a.close())


async def in_a_coroutine(a: gossip.Memberlist) -> dict[str, str]:
    return raised(a)


def raised_alike(errors: dict[str, str], beginning: str) -> bool:
    return errors.keys() == CALLS.keys() and all(
        error.startswith(beginning) for error in errors.values()
    )


class Handling:
    """A signal handler that calls a node in every way there is."""

    def __init__(self, a: gossip.Memberlist) -> None:
        self.a = a
        self.errors: list[dict[str, str]] = []

    def __call__(self, number: int, frame: object) -> None:
        self.further_down()

    def further_down(self, *_: object) -> None:
        self.errors.append(raised(self.a))


async def test_a_signal_handler_is_told_to_leave_it_to_the_loop() -> None:
    async with node("a", key=gossip.generate_key()) as a:
        told = Handling(a)
        kinds: list[Callable[..., Any]] = [
            told,
            told.__call__,
            lambda *given: told.further_down(),
            functools.partial(told.further_down, "more"),
        ]
        before = signal.getsignal(signal.SIGUSR1)
        try:
            for kind in kinds:
                signal.signal(signal.SIGUSR1, kind)
                os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert len(told.errors) == len(kinds)
        for errors in told.errors:
            assert raised_alike(errors, "StateError: node a was called by a signal handler")
            assert "loop.add_signal_handler" in errors["members"]
        # And so it works.
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, lambda: called.set_result(a.members()))
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert [member.name for member in await called] == ["a"]
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)


async def test_a_debugger_may_look_at_a_node() -> None:
    class Debugger(bdb.Bdb):
        def user_line(self, frame: FrameType) -> None:
            seen.append([member.name for member in a.members()])

    async with node("a") as a:
        seen: list[list[str]] = []
        Debugger().runcall(lambda: None)
    assert ["a"] in seen


@pytest.mark.parametrize("aead", ["evp", "cryptography"])
async def test_the_collector_may_run_code_that_calls_the_node_at_any_time(aead: str) -> None:
    """Its callbacks call the node in the middle of calls of the node, as a finaliser might."""
    calls = 0

    def call(phase: str, _: object) -> None:
        nonlocal calls
        calls += 1
        assert a.member("a")
        if calls % 16 == 0:
            assert a.stats().members["alive"] >= 1
            a.broadcast(b"from the collector", name="x")

    key = gossip.generate_key()
    async with node("a", key=key, aead=aead) as a, node("b", a, key=key) as b:
        events = a.events(gossip.MemberUpdated)
        threshold = gc.get_threshold()
        gc.callbacks.append(call)
        gc.set_threshold(2)
        try:
            with stranger() as bare:
                for number in range(20):
                    bare.sendto(alive(f"n{number}", "127.0.0.1", 9), a.address)
                    assert await b.ping("a") > 0
                    a.set_local_state(bytes(number))
                await b.update_meta(b"new")
                await next_of(events, gossip.MemberUpdated, member="b")
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(call)
        assert calls > 20
