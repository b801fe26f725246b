"""Closing a node: whatever goes wrong on the way, all of it is closed, and the first is raised."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import gossip

from .nodes import SECONDS_MAX, serf_node

STEPS = [
    "pulse.stop",
    "hub.close",
    "requests.fail_all",
    "_admission.close",
    "_serf.coalescer.close",
    "_serf._asked.end_all",
    "_serf.answers.close",
    "_serf.recorder.close",
    "_streams.close",
]


async def whole_node(folder: Path) -> gossip.Node:
    """One that has everything that is to be closed."""
    one = serf_node("a", accept_member=lambda _: True, snapshot_path=folder / "snapshot")
    return await one.start()


def driver_of(one: gossip.Node) -> Any:
    assert one._driver is not None
    return one._driver


def spoil(monkeypatch: pytest.MonkeyPatch, one: gossip.Node, step: str) -> None:
    """Lets a step do what it does and raise, with its name."""
    path, _, name = step.rpartition(".")
    holder = attrgetter(path)(driver_of(one))
    whole: Callable[..., Any] = getattr(holder, name)

    def spoiled(*arguments: Any) -> Any:
        whole(*arguments)
        raise RuntimeError(step)

    async def spoiled_later() -> None:
        await whole()
        raise RuntimeError(step)

    is_async = inspect.iscoroutinefunction(whole)
    monkeypatch.setattr(holder, name, spoiled_later if is_async else spoiled)


async def assert_all_is_closed(one: gossip.Node, address: gossip.Address) -> None:
    with pytest.raises(RuntimeError, match="already shut down"):
        driver_of(one).core.leave(0)
    assert f"gossip packets of {one.name}" not in {each.name for each in threading.enumerate()}
    await (await serf_node("again", bind=str(address)).start()).close()


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails_keeps_no_other_from_being_taken(
    step: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = await whole_node(tmp_path)
    address = one.address
    spoil(monkeypatch, one, step)
    with pytest.raises(RuntimeError, match=f"^{step}$"):
        await one.close()
    await assert_all_is_closed(one, address)


async def test_of_several_failures_the_first_is_raised_and_the_others_are_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = await whole_node(tmp_path)
    address = one.address
    for step in ("hub.close", "_serf._asked.end_all", "_streams.close"):
        spoil(monkeypatch, one, step)
    with pytest.raises(RuntimeError, match=r"^hub\.close$"):
        await one.close()
    assert "RuntimeError: _serf._asked.end_all" in caplog.text
    assert "RuntimeError: _streams.close" in caplog.text
    await assert_all_is_closed(one, address)


async def test_a_close_that_is_cancelled_closes_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = await whole_node(tmp_path)
    address = one.address
    waits = asyncio.Event()

    async def without_end() -> None:
        waits.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(driver_of(one)._serf.answers, "close", without_end)
    closing = asyncio.create_task(one.close())
    async with asyncio.timeout(SECONDS_MAX):
        await waits.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (tmp_path / "snapshot").read_text().startswith("alive: a ")
    await assert_all_is_closed(one, address)
