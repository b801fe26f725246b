"""Asks the user's `accept_member` about unknown names, outside of the protocol's path."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable

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
            verdict = self._accept_member(member)
            if inspect.isawaitable(verdict):
                async with asyncio.timeout(bounds.ADMISSION_SECONDS):
                    verdict = await verdict
            allowed = bool(verdict)
        except TimeoutError:
            name, text = printable(member.name), "accept_member did not answer about %s; refused"
            _log.error(text, name)
        except Exception:
            name = printable(member.name)
            _log.exception("accept_member raised about %s; it is refused", name)
        self._answer(member, allowed)
