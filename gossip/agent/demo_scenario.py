"""The steps of `gossip demo`, each waited for, measured, and told as records. Prints nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import gossip
from gossip._core import retransmit_limit, suspicion_k, suspicion_min_ns
from gossip.agent.demo_cluster import Cluster, DemoNode, behind, everyone, names
from gossip.agent.demo_record import Fact, Kind, Record, Show
from gossip.members import Status

SECONDS_MAX = 29.0
PATIENCE_SECONDS = 2.0
TAGS = {"version": "2"}
EVENT, QUERY = "cache-refresh", "uptime"
QUERY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """key: one word. aim: what shall happen. limit: seconds until it is given up."""

    key: str
    aim: str
    limit: float
    run: Callable[[], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to, for a reader and for a machine."""

    text: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Scenario:
    """One run with `count` nodes. `run` gives whether everything happened; `close` must follow."""

    def __init__(self, count: int, show: Show) -> None:
        self.cluster = Cluster(count, self._heard)
        self.count = count
        self._show = show
        self._began = self._step_began = time.monotonic()
        self._step = ""
        self._pending: Callable[[], list[DemoNode]] = nobody
        self._reminders = 0
        self._victim: str | None = None
        self._accusers: dict[str, str] = {}
        self._failed_at: list[tuple[float, str]] = []
        self._suspected_first: set[str] = set()
        self._false_alarms: set[tuple[str, str]] = set()
        every, last, leaver = self.cluster.all, self.cluster.all[-1], self.cluster.all[-2]
        self.steps = (
            Step("start", f"{count} nodes open their sockets", 5.0, self._start),
            Step("join", f"all join {every[0].name}; all shall see all", 12.0, self._join),
            Step("update", f"{every[1].name} changes its tags", 8.0, self._update),
            Step("event", f"{every[0].name} tells all with a user event", 8.0, self._event),
            Step("query", f"{every[0].name} asks all with a query", 8.0, self._query),
            Step("fail", f"{last.name} is killed without a word", 24.0, self._fail),
            Step("leave", f"{leaver.name} leaves with a goodbye", 8.0, self._leave),
        )

    # The run.

    async def run(self) -> bool:
        self._tell(Kind.BEGAN, f"{self.count} nodes on 127.0.0.1, stock LAN timers", self.timers())
        for step in self.steps:
            if not await self._run_step(step):
                return False
        self._tell(Kind.DONE, *self._summary())
        return True

    async def close(self) -> None:
        await self.cluster.close()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def step_elapsed(self) -> float:
        return time.monotonic() - self._step_began

    async def _run_step(self, step: Step) -> bool:
        self._step, self._step_began = step.key, time.monotonic()
        self._pending = nobody
        self._tell(Kind.STEP_BEGAN, step.aim)
        limit = min(step.limit, SECONDS_MAX - self.elapsed)
        try:
            async with asyncio.timeout(limit):
                outcome = await step.run()
        except TimeoutError:
            late = self._pending()
            reason = f"not within {limit:.1f} s"
            self._fail_step(reason + (f": waited for {names(late)}" if late else ""), late)
            return False
        except (gossip.GossipError, OSError) as error:
            self._fail_step(f"{type(error).__name__}: {error}", [])
            return False
        self._tell(Kind.STEP_DONE, outcome.text, outcome.facts)
        return True

    def _fail_step(self, reason: str, late: list[DemoNode]) -> None:
        facts: dict[str, Fact] = {"reason": reason, "waited_for": [each.name for each in late]}
        self._tell(Kind.STEP_FAILED, reason, facts)
        step, self._step = self._step, ""
        self._tell(Kind.FAILED, f"step {step!r} failed: {reason}", {"failed_step": step})

    def _tell(self, kind: Kind, text: str, facts: Mapping[str, Fact] | None = None) -> None:
        whole = kind in (Kind.BEGAN, Kind.DONE, Kind.FAILED)
        step, seconds = ("", self.elapsed) if whole else (self._step, self.step_elapsed)
        self._show(Record(kind, self.elapsed, text, step, seconds, facts or {}))

    def interrupted(self) -> None:
        self._tell(Kind.INTERRUPTED, f"interrupted in step {self._step!r}")

    async def _all(
        self,
        nodes: list[DemoNode],
        true: Callable[[DemoNode], bool],
        remind: Callable[[list[DemoNode]], Awaitable[None]],
    ) -> None:
        """Waits for all; who gossip has missed is reminded, and that is noted."""
        self._pending = lambda: behind(nodes, true)
        await everyone(nodes, true, patience=PATIENCE_SECONDS + self.count / 25, remind=remind)

    async def _push_pull(self, late: list[DemoNode]) -> None:
        """What each node does by itself every `push_pull_interval`, done now."""
        with_ = self.cluster.all[0]
        each_by_itself = f"each node does one every {with_.node.config.push_pull_interval:g} s"
        self._note(
            f"gossip has missed {names(late)}: a push/pull with {with_.name} ({each_by_itself})",
            {"missed": [each.name for each in late]},
        )
        self._reminders += len(late)
        for each in late:
            other = with_ if each is not with_ else self.cluster.all[1]
            await each.node.join(other.address)

    def _note(self, text: str, facts: Mapping[str, Fact]) -> None:
        self._tell(Kind.NOTED, text, facts)

    # The steps.

    async def _start(self) -> Outcome:
        await self.cluster.start()
        ports = {each.name: each.node.address.port for each in self.cluster.all}
        text = f"{self.count} nodes, each with a UDP and a TCP socket of its own"
        return Outcome(text, {"ports": ports})

    async def _join(self) -> Outcome:
        nodes, seed = self.cluster.all, self.cluster.all[0].address
        await asyncio.gather(*(each.node.join(seed) for each in nodes[1:]))
        called = self.step_elapsed

        def sees_all(each: DemoNode) -> bool:
            return all(each.holds(other.name) is Status.ALIVE for other in nodes)

        await self._all(nodes, sees_all, self._push_pull)
        return Outcome(
            f"{self.count - 1} nodes joined {nodes[0].name}; each sees all {self.count}",
            {"push_pulls": self.count - 1, "push_pull_seconds": round(called, 4)},
        )

    async def _update(self) -> Outcome:
        writer = self.cluster.all[1]
        others = self.cluster.up(without=writer)

        def knows(each: DemoNode) -> bool:
            member = each.members.get(writer.name)
            return member is not None and member.tags == TAGS

        await writer.node.set_tags(TAGS)
        await self._all(others, knows, self._push_pull)
        text = f"{writer.name} set its tags to version=2; {all_of(others)} know"
        return Outcome(text, {"node": writer.name, "tags": dict(TAGS)})

    async def _event(self) -> Outcome:
        sender, nodes = self.cluster.all[0], self.cluster.up()
        sent = {sender.node.send_event(EVENT, b"user:7")}

        def heard(each: DemoNode) -> bool:
            return any(event.ltime in sent for event in each.told)

        async def again(late: list[DemoNode]) -> None:
            text = f"gossip has missed {names(late)}: {sender.name} sends it again"
            self._note(text, {"missed": [each.name for each in late]})
            self._reminders += len(late)
            sent.add(sender.node.send_event(EVENT, b"user:7"))

        await self._all(nodes, heard, again)
        twice = sum(len(each.told) - len({event.ltime for event in each.told}) for each in nodes)
        often = f"{twice} times twice" if twice else "once each"
        text = f"{sender.name}'s {EVENT!r} is with all {len(nodes)}, {often}"
        return Outcome(text, {"node": sender.name, "times_sent": len(sent), "twice": twice})

    async def _query(self) -> Outcome:
        asker, nodes = self.cluster.all[0], self.cluster.up()
        silent, times = {each.name: each for each in nodes}, 0
        self._pending = lambda: list(silent.values())
        first = last = 0.0
        while silent:
            if times:
                text = f"no answer from {names(list(silent.values()))}: asked again"
                self._note(text, {"missed": list(silent)})
                self._reminders += len(silent)
            chosen = list(silent) if times else []
            async for answer in asker.node.query(QUERY, nodes=chosen, timeout=QUERY_SECONDS):
                silent.pop(answer.node, None)
                last = self.step_elapsed
                first = first or last
            times += 1
        text = f"all {len(nodes)} answered {asker.name}'s {QUERY!r}, the first after {first:.3f} s"
        facts: dict[str, Fact] = {"node": asker.name, "times_asked": times}
        return Outcome(text, facts | {"first": round(first, 4), "last": round(last, 4)})

    async def _fail(self) -> Outcome:
        victim = self.cluster.all[-1]
        others, self._victim = self.cluster.up(without=victim), victim.name
        await victim.stop("killed")
        self._note(f"{victim.name} closes its sockets without a word", {"node": victim.name})

        def failed(each: DemoNode) -> bool:
            return each.holds(victim.name) is Status.FAILED

        self._pending = lambda: behind(others, failed)
        await asyncio.gather(*(each.until(failed) for each in others))
        self._note_failures()
        by_way = len(self._suspected_first)
        text = f"{all_of(others)} hold {victim.name} failed; {by_way} held it suspect before"
        return Outcome(text, {"node": victim.name, "suspect_before": by_way})

    async def _leave(self) -> Outcome:
        leaver = self.cluster.up()[-1]
        others = self.cluster.up(without=leaver)

        def left(each: DemoNode) -> bool:
            return each.holds(leaver.name) is Status.LEFT

        await leaver.node.leave()
        spread = self.step_elapsed
        self._note(f"{leaver.name} has spread its goodbye and closes", {"node": leaver.name})
        await leaver.stop("left")
        await self._all(others, left, self._push_pull)
        text = f"{all_of(others)} hold {leaver.name} left, not failed"
        return Outcome(text, {"node": leaver.name, "spread_seconds": round(spread, 4)})

    # What the nodes tell.

    def _heard(self, by: DemoNode, event: gossip.Event) -> None:
        match event:
            case gossip.MemberSuspected(member, accuser) if member.name == self._victim:
                self._suspected_first.add(by.name)
                self._note_accuser(accuser, "suspects", "its ping went unanswered")
            case gossip.SuspicionConfirmed(member, accuser) if member.name == self._victim:
                self._note_accuser(accuser, "confirms", "so did its ping")
            case gossip.MemberSuspected(member):
                self._false_alarms.add((member.name, "suspected"))
            case gossip.MemberFailed(member):
                if member.name != self._victim:
                    self._false_alarms.add((member.name, "failed"))
                    return
                self._failed_at.append((self.step_elapsed, by.name))
                if len(self._failed_at) == 1:
                    self._note_first_failure(by, event)

    def _note_accuser(self, accuser: str, verb: str, why: str) -> None:
        """Each accuser once, when the first node reports it: that is the accuser itself."""
        if accuser in self._accusers:
            return
        self._accusers[accuser] = verb
        facts: dict[str, Fact] = {"node": self._victim, "by": accuser, "verb": verb}
        self._note(f"{accuser} {verb} {self._victim}: {why}", facts)

    def _note_first_failure(self, by: DemoNode, event: gossip.MemberFailed) -> None:
        waited = f"{event.suspect_for:.1f} s without a refutation"
        text = f"{by.name} is the first to hold {self._victim} failed, after {waited}"
        facts: dict[str, Fact] = {
            "node": self._victim,
            "by": by.name,
            "confirmations": event.confirmations,
            "suspect_for": round(event.suspect_for, 4),
        }
        self._note(text, facts)

    def _note_failures(self) -> None:
        _, last = self._failed_at[-1]
        facts: dict[str, Fact] = {
            "node": self._victim,
            "failed_at": {name: round(at, 4) for at, name in self._failed_at},
        }
        self._note(f"{last} is the last of {len(self._failed_at)}", facts)

    # Figures.

    def timers(self) -> dict[str, Fact]:
        """The profile, as the nodes run it."""
        config = self.cluster.all[0].node.config
        interval_ns = round(config.probe_interval * 1e9)
        low = suspicion_min_ns(config.suspicion_mult, self.count, interval_ns) / 1e9
        k = suspicion_k(config.suspicion_mult, self.count)
        return {
            "nodes": self.count,
            "probe_interval": config.probe_interval,
            "probe_timeout": config.probe_timeout,
            "indirect_checks": config.indirect_checks,
            "gossip_interval": config.gossip_interval,
            "gossip_nodes": config.gossip_nodes,
            "push_pull_interval": config.push_pull_interval,
            "retransmissions": retransmit_limit(config.retransmit_mult, self.count),
            "confirmations": k,
            "suspicion_min": round(low, 3),
            "suspicion_max": round(low * config.suspicion_max_timeout_mult if k else low, 3),
        }

    def _summary(self) -> tuple[str, dict[str, Fact]]:
        stats = self.cluster.stats()
        packets = sum(each.packets_sent for each in stats)
        sent = sum(each.bytes_sent for each in stats)
        dropped: Counter[str] = Counter()
        for each in stats:
            dropped.update(each.dropped)
        alarms = sorted(f"{name} {what}" for name, what in self._false_alarms)
        quiet = f"wrongly {', '.join(alarms)}" if alarms else "no living node was suspected"
        text = f"all {len(self.steps)} steps in {self.elapsed:.1f} s, {packets:,} packets; {quiet}"
        facts: dict[str, Fact] = {
            "nodes": self.count,
            "packets_sent": packets,
            "bytes_sent": sent,
            "dropped": {reason: n for reason, n in sorted(dropped.items()) if n},
            "false_alarms": alarms,
            "missed_by_gossip": self._reminders,
        }
        return text, facts


def nobody() -> list[DemoNode]:
    return []


def all_of(others: Sequence[DemoNode]) -> str:
    return f"all {len(others)} others" if len(others) > 1 else "the other node"
