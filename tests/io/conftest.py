"""Runs tests that are coroutines: on asyncio, on uvloop, and with the thread driver; with a limit,
without leaks.

A test ends with no task of its own left running; warnings about unclosed resources are errors.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable

import pytest
import uvloop

from gossip.config import DriverChoice

from . import nodes

SECONDS_MAX = 60.0

# The loop, and the driver of the nodes that `nodes.node` makes.
RUNS: dict[str, tuple[Callable[[], asyncio.AbstractEventLoop], DriverChoice]] = {
    "asyncio": (asyncio.new_event_loop, "asyncio"),
    "uvloop": (uvloop.new_event_loop, "asyncio"),
    "thread": (asyncio.new_event_loop, "thread"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("run_name")
        metafunc.parametrize("run_name", RUNS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {
        name: pyfuncitem.funcargs[name]
        for name in pyfuncitem._fixtureinfo.argnames
        if name in inspect.signature(pyfuncitem.obj).parameters
    }
    loop_factory, driver = RUNS[str(pyfuncitem.callspec.params["run_name"])]
    nodes.DRIVER.set(driver)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_limited(pyfuncitem.obj(**arguments)))
    gc.collect()
    return True


async def _limited(test: object) -> None:
    assert inspect.isawaitable(test)
    async with asyncio.timeout(SECONDS_MAX):
        await test
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not mine and not task.done()]
    assert left == [], "the test left tasks behind"
