"""A private event loop on a thread of its own, and the way into it for all other threads.

Nothing here can hang on another thread: the loop never waits for a caller, a caller waits on a gate
of its own that is opened once, there is no lock, and when the loop ends every gate is opened. So a
call may be given up at any point, by Ctrl-C for example. Knows no node.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Generic, ParamSpec, TypeVar, TypeVarTuple, Unpack, cast
from weakref import WeakSet

from gossip._io import bounds, forks, signals
from gossip.errors import (
    ArgumentError,
    ClosedError,
    ForkedError,
    StateError,
    TimeoutExpired,
    WrongLoopError,
)

_log = logging.getLogger("gossip")

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Work = Callable[[], Coroutine[Any, Any, None]]


class _Call(Generic[T]):
    """One call of another thread. What the loop does with it never waits."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self.done = False
        self.given_up = False

    # On the loop.

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        if not self.given_up:
            self._task = asyncio.get_running_loop().create_task(self._carry_out(work))

    async def _carry_out(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            self.finish(await work())
        except asyncio.CancelledError:
            self.fail(ClosedError("the node was closed while this call waited"))
            raise
        except BaseException as error:
            self.fail(error)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def finish(self, value: T | None) -> None:
        if not self.done:
            self._value = value
            self._open()

    def fail(self, error: BaseException) -> None:
        if not self.done:
            self._error = error
            self._open()

    def _open(self) -> None:
        self.done = True
        with contextlib.suppress(RuntimeError):  # two threads have found that all is over
            self._gate.release()

    # On the thread that calls.

    def wait(self, seconds: float | None) -> bool:
        """Whether it was done in time. Ctrl-C, or what a signal handler raises, ends the wait."""
        if seconds is None:
            return self._gate.acquire()
        return self._gate.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))

    def outcome(self) -> T:
        try:
            if self._error is not None:
                raise self._error
            return cast(T, self._value)
        finally:
            self._error = None  # its traceback holds this frame


class _Loop(asyncio.SelectorEventLoop):
    """One that the child of a fork can let go of, and that works to the interpreter's exit."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        try:
            return super().run_in_executor(executor, func, *args)
        except RuntimeError:  # at the exit no thread takes work any more
            done: asyncio.Future[T] = self.create_future()
            try:
                done.set_result(func(*args))
            except Exception as error:
                done.set_exception(error)
            return done

    def abandon(self) -> None:
        # Not `close`: that takes the pipe out of the epoll set, which is the parent's as well.
        if self.is_closed():
            return
        self._closed = True
        for name in ("_ssock", "_csock", "_selector"):
            getattr(self, name).close()


class Portal:
    """Runs an event loop on a daemon thread, from `start` to `end`, each once.

    name: the node's, for texts. last: what the loop does last, to end the node.
    """

    def __init__(self, name: str, last: Work) -> None:
        self._name = name
        self._last = last
        self._once = threading.Lock()  # taken by who starts, and kept
        self._process = 0
        self._calls: set[_Call[Any]] = set()
        self._ends: set[_Call[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._loop: _Loop | None = None
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(
            target=self._main, name=f"gossip calls of {self._name}", daemon=True
        )

    def start(self) -> None:
        """In the process that is the node's from now on, whatever process made it."""
        check_place(self._name)
        if not self._once.acquire(blocking=False):
            raise StateError("a node can be started once; make another one")
        self._process = os.getpid()
        forks.watch(self)
        _portals.add(self)
        self._loop = _Loop()
        self._thread = self._new_thread()  # Python 3.13 starts none that was made before a fork
        try:
            self._thread.start()
        except RuntimeError as error:
            self._loop.close()
            raise StateError(f"node {self._name} cannot be started: {error}") from None

    # From any other thread.

    def wait(
        self, timeout: float | None, work: Callable[[], Coroutine[Any, Any, T]], what: str
    ) -> T:
        """Awaits on the loop, and gives what comes of it. The work itself keeps to the timeout;
        here it only counts when the loop does not answer either."""
        self._check_caller()

        def begin(call: _Call[T]) -> None:
            call.begin(work)

        return self._call(begin, _patience(timeout), what)

    def here(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a function that does not wait, on the loop; from the loop itself, and before there
        is one, at once."""
        self.check_process()
        if self._is_mine() or self._loop is None:
            return function(*args, **kwargs)
        _check_handler(self._name)

        def carry_out(call: _Call[T]) -> None:
            try:
                call.finish(function(*args, **kwargs))
            except BaseException as error:
                call.fail(error)

        return self._call(carry_out, None, "a call")

    def soon(self, function: Callable[[], object]) -> None:
        """The same without waiting, unless the loop has ended."""
        self.check_process()
        if self._loop is None:
            function()
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def end(self, timeout: float | None) -> bool:
        """Ends the node and the loop; whether that was done in time. Any thread may, and again.

        The loop's own thread, which a finalizer may find itself on, does not wait.
        """
        self.check_process()
        if self._loop is None:
            return True
        if self._is_mine():
            self._begin_to_end()
            return True
        _check_handler(self._name)
        call: _Call[None] = _Call()
        self._ends.add(call)
        try:
            self.end_soon()
            if not call.wait(timeout):
                return False
        finally:
            self._ends.discard(call)
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return True

    def end_soon(self) -> None:
        """The same without waiting, as for a node that was forgotten."""
        if self._loop is None or self.forked_away:
            return
        try:
            self._loop.call_soon_threadsafe(self._begin_to_end)
        except RuntimeError:
            self._open_gates()

    @property
    def forked_away(self) -> bool:
        """Whether this is a child process of the one the loop runs in."""
        return self._loop is not None and self._process != os.getpid()

    def check_process(self) -> None:
        if self.forked_away:
            raise ForkedError(
                f"node {self._name} runs in process {self._process}; this is a child forked from "
                "it: start a node of its own after the fork"
            )

    def forked(self) -> None:
        """In a child: the thread stayed behind."""
        _portals.discard(self)
        if self._loop is not None:
            self._loop.abandon()

    # What callers may not do.

    def _is_mine(self) -> bool:
        return self._thread.ident == threading.get_ident()

    def _check_caller(self) -> None:
        self.check_process()
        if self._loop is None:
            raise StateError(f"node {self._name} is not started: enter its block, or call start()")
        if self._is_mine():
            raise WrongLoopError(
                f"node {self._name} was called on its own thread, which would wait for itself: an "
                "async accept_member and a finalizer may only look at the node"
            )
        check_place(self._name)

    # How a call gets there and back.

    def _call(self, begin: Callable[[_Call[T]], None], patience: float | None, what: str) -> T:
        assert self._loop is not None
        call: _Call[T] = _Call()
        self._calls.add(call)
        try:
            try:
                self._loop.call_soon_threadsafe(begin, call)
            except RuntimeError:
                raise ClosedError(f"node {self._name} is closed") from None
            if not call.wait(patience):
                raise TimeoutExpired(f"{what} was not done in time: the node's thread is too busy")
            return call.outcome()
        finally:
            self._calls.discard(call)
            if not call.done:
                call.given_up = True
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(call.cancel)

    # On the loop's thread.

    def _main(self) -> None:
        assert self._loop is not None
        try:
            self._loop.run_forever()
        finally:
            self._finish(self._loop)

    def _begin_to_end(self) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        try:
            await self._last()
        except Exception:
            _log.exception("%s: did not close as it should", self._name)
        finally:
            asyncio.get_running_loop().stop()

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=bounds.LOOP_END_SECONDS))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            self._open_gates()

    def _open_gates(self) -> None:
        """Nobody waits in vain: from here on the closed loop takes no call."""
        for call in list(self._calls):
            call.fail(ClosedError("the node was closed while this call waited"))
        for call in list(self._ends):
            call.finish(None)


def _patience(timeout: float | None) -> float | None:
    """How long a caller waits for the loop, which itself keeps to the timeout."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float):
        raise ArgumentError(f"a timeout is a number of seconds, not {timeout!r}")
    return timeout + bounds.CALL_GRACE_SECONDS


def check_place(name: str) -> None:
    """Whether this may wait: not where an event loop runs, and not in a signal handler."""
    if asyncio._get_running_loop() is not None:
        raise WrongLoopError(
            f"node {name} was called where an event loop runs, which would stand still meanwhile: "
            "use gossip.Memberlist there, or await asyncio.to_thread(...) the call"
        )
    _check_handler(name)


def _check_handler(name: str) -> None:
    if threading.current_thread() is threading.main_thread() and signals.handling():
        raise StateError(
            f"node {name} was called by a signal handler, which may have interrupted what the "
            "call would wait for: raise SystemExit there, or set a flag"
        )


_portals: WeakSet[Portal] = WeakSet()


def _end_all() -> None:
    """At the interpreter's exit: no thread may be found in the middle of Python."""
    portals = list(_portals)
    for portal in portals:
        portal.end_soon()
    for portal in portals:
        if not portal.end(bounds.LOOP_END_SECONDS):
            _log.error("%s did not end within %g s", portal._thread.name, bounds.LOOP_END_SECONDS)


# Now, so that it runs after every handler of a program that imports this: those may use nodes.
atexit.register(_end_all)
