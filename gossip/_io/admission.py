"""Asks the user's `accept_member` about unknown names, outside of the protocol's path."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from gossip._io import bounds
from gossip._io.reporter import printable
from gossip.config import AcceptMember
from gossip.members import Member

_log = logging.getLogger("gossip")


class Admission:
    """One question a name. Until the answer the core keeps the name pending; no answer, no entry.

    A question that raises, or has no answer in time, is answered with no: the core bounds how many
    wait, and the names behind them must get their turn.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        accept_member: AcceptMember,
        answer: Callable[[Member, bool], None],
    ) -> None:
        self._loop = loop
        self._accept_member = accept_member
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, member: Member) -> None:
        """Returns at once; `answer` is called from the loop later."""
        task = self._loop.create_task(self._ask(member))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drops the questions that are still open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, member: Member) -> None:
        allowed = False
        try:
            allowed = await self._verdict(member)
        except TimeoutError:
            name, text = printable(member.name), "accept_member did not answer about %s; refused"
            _log.error(text, name)
        except Exception:
            name = printable(member.name)
            _log.exception("accept_member raised about %s; it is refused", name)
        self._answer(member, allowed)

    async def _verdict(self, member: Member) -> bool:
        verdict = self._accept_member(member)
        if inspect.isawaitable(verdict):
            async with asyncio.timeout(bounds.ADMISSION_SECONDS):
                verdict = await verdict
        return bool(verdict)


class AdmissionAside(Admission):
    """The same on a thread of its own, so that the function may block, and may call the node.

    One question after the other, on one thread, until one hangs: that thread is left behind.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        accept_member: AcceptMember,
        answer: Callable[[Member, bool], None],
    ) -> None:
        super().__init__(loop, accept_member, answer)
        self._turn = asyncio.Lock()
        self._questions: SimpleQueue[_Question | None] | None = None

    async def close(self) -> None:
        await super().close()
        self._leave_thread()

    async def _verdict(self, member: Member) -> bool:
        if inspect.iscoroutinefunction(self._accept_member):
            return await super()._verdict(member)
        async with self._turn:
            question = _Question(member, self._loop)
            try:
                async with asyncio.timeout(bounds.ADMISSION_SECONDS):
                    self._thread_asks(question)
                    return await question.verdict
            except TimeoutError:
                self._leave_thread()
                raise

    def _thread_asks(self, question: _Question) -> None:
        if self._questions is None:
            self._questions = SimpleQueue()
            threading.Thread(
                target=_ask_each,
                args=(self._questions, self._accept_member),
                name="gossip accept_member",
                daemon=True,
            ).start()
        self._questions.put(question)

    def _leave_thread(self) -> None:
        """It ends when it has answered what it was asked last."""
        if self._questions is not None:
            self._questions.put(None)
            self._questions = None


class _Question:
    """A name, and where the verdict goes: to nobody, when it comes too late."""

    def __init__(self, member: Member, loop: asyncio.AbstractEventLoop) -> None:
        self.member = member
        self.verdict: asyncio.Future[bool] = loop.create_future()
        self._loop = loop

    def settle(self, allowed: bool, error: Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._settle, allowed, error)

    def _settle(self, allowed: bool, error: Exception | None) -> None:
        if self.verdict.done():
            return
        if error is None:
            self.verdict.set_result(allowed)
        else:
            self.verdict.set_exception(error)


def _ask_each(questions: SimpleQueue[_Question | None], accept_member: AcceptMember) -> None:
    """The thread."""
    while (question := questions.get()) is not None:
        try:
            question.settle(bool(accept_member(question.member)), None)
        except Exception as error:
            question.settle(False, error)
