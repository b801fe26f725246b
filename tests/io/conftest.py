"""Runs tests that are coroutines: each on asyncio and on uvloop, with a limit, without leaks.

A test ends with no task of its own left running; warnings about unclosed resources are errors.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable

import pytest
import uvloop

SECONDS_MAX = 60.0

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_name")
        metafunc.parametrize("loop_name", LOOPS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {
        name: pyfuncitem.funcargs[name]
        for name in pyfuncitem._fixtureinfo.argnames
        if name in inspect.signature(pyfuncitem.obj).parameters
    }
    with asyncio.Runner(loop_factory=LOOPS[str(pyfuncitem.callspec.params["loop_name"])]) as runner:
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
