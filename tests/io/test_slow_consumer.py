"""A consumer that never reads, and a loop that never turns, for an hour of virtual time.

What waits stays bounded, what is lost is counted, and whoever reads again is told where he stands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gossip
from gossip._core import Swim, encode_message
from gossip._io.subscriptions import Hub
from gossip._translate import event_of, member_of

from .nodes import alive

HOUR = 3600
SECOND_NS = 1_000_000_000
MEMBERS = 50
MESSAGES_A_SECOND = 10
EVENT_BUFFER = 1000
PEER = (b"\x0a\0\0\x09", 7946)


def left(name: str, incarnation: int) -> bytes:
    return encode_message("dead", {"Incarnation": incarnation, "Node": name, "From": name})


class Hour:
    """A core without a driver, in a pool where members come, change and leave, and talk a lot."""

    def __init__(self, payload_bytes: int) -> None:
        self.core = Swim(
            gossip.Config().settings(), name=b"me", address=b"\x0a\0\0\x01", port=7946, seed=1
        )
        self.core.start(0)
        self.padding = bytes(payload_bytes)
        self.messages = 0

    def live(self, each_second: Callable[[], None]) -> None:
        for second in range(1, HOUR + 1):
            now = second * SECOND_NS
            self.core.receive(((packet, *PEER) for packet in self.packets(second)), now)
            self.core.tick(now)
            self.core.transmits()
            self.core.commands()
            each_second()

    def packets(self, second: int) -> Iterable[bytes]:
        name, life = f"n{second % MEMBERS}", second // MEMBERS * 2
        yield alive(name, "10.0.0.9", 7946, life + 1)
        if second % 3 == 0:
            yield left(name, life + 1)
        for _ in range(MESSAGES_A_SECOND):
            self.messages += 1
            yield b"\x08%08d" % self.messages + self.padding

    def hub(self) -> Hub:
        def snapshot() -> gossip.MembersSnapshot:
            return gossip.MembersSnapshot(tuple(member_of(row) for row in self.core.members()))

        return Hub(snapshot, EVENT_BUFFER)


async def read_all(events: gossip.Subscription[Any], hub: Hub) -> list[Any]:
    hub.close()
    return [event async for event in events]


def numbers(events: list[Any]) -> list[int]:
    return [int(event.payload[:8]) for event in events if type(event) is gossip.MessageReceived]


def check_where_he_stands(hour: Hour, taken: list[Any], lost: int) -> None:
    """The snapshot of the beginning, what was lost, the present state, and then what waited."""
    assert [type(event) for event in taken[:3]] == [
        gossip.MembersSnapshot,
        gossip.EventsLost,
        gossip.MembersSnapshot,
    ]
    assert taken[1].count == lost > 0
    assert set(taken[2].members) == {member_of(row) for row in hour.core.members()}
    assert len(taken[2].members) > MEMBERS / 2


async def test_who_never_reads_for_an_hour_is_told_what_was_lost_and_the_present_state() -> None:
    hour = Hour(payload_bytes=100)
    hub = hour.hub()
    events = hub.subscribe(())
    most = 0

    def hand_on() -> None:
        nonlocal most
        for told in hour.core.events():
            hub.publish(event_of(told))
        most = max(most, len(events._waiting))

    hour.live(hand_on)
    # For each member its life, an update, and the confirmations of a suspicion by one accuser.
    assert most <= EVENT_BUFFER + 3 * (MEMBERS + 1) + 1
    taken = await read_all(events, hub)
    check_where_he_stands(hour, taken, hour.messages - EVENT_BUFFER)
    assert numbers(taken) == list(range(hour.messages - EVENT_BUFFER + 1, hour.messages + 1))
    facts = [event.member.name for event in taken if isinstance(event, gossip.MemberLeft)]
    assert len(facts) == len(set(facts)), "one for each member, the newest"


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_a_loop_that_does_not_turn_for_an_hour_loses_a_counted_number() -> None:
    """As it is with the thread driver: packets come, and nobody takes an event out of the core."""
    hour = Hour(payload_bytes=10_000)
    hub = hour.hub()
    events = hub.subscribe(())
    before = resident_bytes()
    hour.live(lambda: None)
    sent = hour.messages * len(hour.padding)
    assert resident_bytes() - before < sent / 2, "64 MiB of payloads, and something for the rest"
    *kept, (kind, lost) = hour.core.events()
    assert kind == "lost"
    for told in kept:
        hub.publish(event_of(told))
    hub.lose(lost)
    waited = [told for told in kept if told[0] == "message"]
    dropped = len(waited) - EVENT_BUFFER
    taken = await read_all(events, hub)
    check_where_he_stands(hour, taken, lost + dropped)
    assert len(waited) + lost >= hour.messages
