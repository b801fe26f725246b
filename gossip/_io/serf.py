"""Serf's layer of a running node: `gossip._serf.layer` on an event loop, with what needs I/O.

That is the clock, the subscriptions, the log, the snapshot, the keyring file and the vote about a
name, which takes its time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gossip._core import Rng
from gossip._io.closing import close_all
from gossip._io.internal import Answers
from gossip._io.queries import Queries, Query
from gossip._io.recorder import Recorder
from gossip._serf import conflict
from gossip._serf.calls import QueryCall
from gossip._serf.layer import Layer
from gossip._serf.snapshot import Replayed
from gossip._translate import packed
from gossip.errors import GossipError
from gossip.events import Event, MemberFailed, MemberJoined, MemberLeft, QueryReceived
from gossip.members import decode_name, encode_name
from gossip.node_config import NodeConfig

if TYPE_CHECKING:
    from gossip._io.driver import Driver

_log = logging.getLogger("gossip")


class _LoopClock:
    """The time of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def seconds(self) -> float:
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, callback)


class SerfLayer(Layer[Query]):
    """Serf's layer of one node. `attach` comes before the core starts, `close` after its end."""

    answers: Answers

    def __init__(self, name: str, config: NodeConfig, seed: int) -> None:
        """Raises ConfigError when the tags do not fit."""
        self._asked = Queries(self._cancel)
        super().__init__(name, config, seed, self._asked)
        self.voting: asyncio.Task[None] | None = None
        self.recorder: Recorder | None = None
        self._rng = Rng(seed + 1)
        self._rejoining: asyncio.Task[None] | None = None

    def attach(self, driver: Driver) -> None:
        """The core is made and does not run yet. Raises ConfigError when the snapshot cannot be
        read."""
        self._driver = driver
        self.attach_core(driver.core, _LoopClock())
        self.answers = Answers(driver, self)
        if self.config.snapshot_path is not None:
            self.recorder = Recorder(
                Path(self.config.snapshot_path),
                rejoin_after_leave=self.config.rejoin_after_leave,
                clocks=self._record_clock,
                node=self.name,
            )
            before = self.recorder.before
            self.serf.restore(before.clock, before.event_clock, before.query_clock)

    def started(self) -> None:
        """The core runs."""
        if self.recorder is not None:
            self.recorder.start(self._driver.reporter)
            self._rejoining = self._driver.loop.create_task(self._rejoin(self.recorder.before))

    async def close(self) -> None:
        """The core has ended."""
        await close_all(
            self.coalescer.close,
            self._asked.end_all,
            self._stop_rejoining,
            self.answers.close,
            *(() if self.recorder is None else (self.recorder.close,)),
        )

    async def _stop_rejoining(self) -> None:
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait([self._rejoining])

    def forked(self) -> None:
        """In a child process: nothing is written any more."""
        if self.recorder is not None:
            self.recorder.silence()

    def stats(self) -> dict[str, int]:
        failures = 0 if self.recorder is None else self.recorder.failures
        return super().stats() | {"snapshot_failures": failures}

    # What the layer asks for.

    def now(self) -> int:
        return time.monotonic_ns()

    def check(self) -> None:
        self._driver.check()

    def entered(self) -> None:
        self._driver.pump()

    def entered_amid(self) -> None:
        self._driver.pump_soon()

    def publish(self, event: Event) -> None:
        self._driver.publish(event)

    def listens(self) -> bool:
        return self._driver.hub.wants(QueryReceived)

    def warn(self, kind: str, text: str, *arguments: object) -> None:
        self._driver.reporter.write(logging.WARNING, kind, time.monotonic(), text, *arguments)

    def answer_internal(
        self, handle: int, ltime: int, number: int, name: str, payload: bytes
    ) -> None:
        self.answers.answer(handle, ltime, number, name, payload)

    # The snapshot.

    def recorded(self, event: Event) -> None:
        if self.recorder is None:
            return
        match event:
            case MemberJoined(member):
                self.recorder.snapshot.joined(member.name, member.address)
            case MemberLeft(member) | MemberFailed(member):
                self.recorder.snapshot.gone(member.name)
            case _:
                return
        self._record_clock()
        self.recorder.flush()

    def recorded_time(self, clock: str, ltime: int) -> None:
        if self.recorder is not None:
            self.recorder.snapshot.seen(clock, ltime)
            self.recorder.flush()

    def _record_clock(self) -> None:
        """The last Lamport time seen of a member's status."""
        if self.recorder is not None and not self._driver.closed:
            self.recorder.snapshot.seen("clock", (self.serf.clocks()[0] - 1) & (2**64 - 1))

    async def _rejoin(self, before: Replayed) -> None:
        """Calls those who were alive, in random order, until one answers (Serf §16)."""
        known = [each for each in before.alive.items() if each[0] != self.name]
        core = self._driver.core
        while known:
            name, address = known.pop(self._rng.below(len(known)))
            ip, node = packed(address), encode_name(name)
            try:
                await self._driver.ask(partial(core.join, ip, address.port, node))
            except GossipError as error:
                _log.info("%s: %s of the snapshot is not reached: %s", self.name, name, error)
            else:
                _log.info("%s: joined again through %s, of the snapshot", self.name, name)
                return

    # Calls.

    def joined(self, *, ignore_old: bool, contacted: int) -> None:
        if not self._driver.closed:
            super().joined(ignore_old=ignore_old, contacted=contacted)

    def leave(self, now: int) -> int:
        if self.recorder is not None:
            self.recorder.snapshot.leave()
            self.recorder.flush()
        return self.serf.leave(now)

    def _cancel(self, number: int) -> None:
        if not self._driver.closed:
            self.serf.cancel_query(number)

    # Two nodes of one name.

    def conflicted(self, name: bytes) -> None:
        if decode_name(name) != self.name or not self.config.enable_name_conflict_resolution:
            return
        if self.voting is None or self.voting.done():
            self.voting = self._driver.loop.create_task(self._vote())

    async def _vote(self) -> None:
        """Asks the others who has this node's name; closes the node if it is not this one."""
        driver, now = self._driver, time.monotonic()
        try:
            query = self.ask(QueryCall(conflict.QUERY, encode_name(self.name)))
        except (ValueError, RuntimeError) as error:
            driver.reporter.write(logging.ERROR, "vote", now, "no vote about the name: %s", error)
            return
        answers = await query.responses()
        if driver.closed:
            return
        verdict = conflict.count_votes(answers.values(), driver.address)
        text = "%d of %d members know this node by its name; %s"
        outcome = "it keeps it" if verdict.stay else "it closes: another node has the name"
        counts = (verdict.matching, verdict.answers)
        driver.reporter.write(logging.ERROR, "vote", time.monotonic(), text, *counts, outcome)
        if not verdict.stay:
            await driver.close()
