"""What waits for a slow consumer: conflated facts, bounded payloads, and when the rest is told."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import gossip
from gossip._io.subscriptions import Hub

HERE = gossip.Address("127.0.0.1", 7946)


def member(name: str, **fields: Any) -> gossip.Member:
    return gossip.Member(name, HERE, **fields)


def message(payload: bytes) -> gossip.MessageReceived:
    return gossip.MessageReceived(payload, HERE, False)


class Node:
    """A hub, and the members a snapshot shows."""

    def __init__(self, limit: int = 3) -> None:
        self.members: list[gossip.Member] = [member("me")]
        self.hub = Hub(lambda: gossip.MembersSnapshot(tuple(self.members)), limit)

    async def taken(self, subscription: gossip.Subscription[Any]) -> list[Any]:
        """Everything that waits."""
        self.hub.close()
        return [event async for event in subscription]


async def test_the_first_item_is_a_snapshot_of_the_moment_of_the_call() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.members.append(member("b"))
    node.hub.publish(gossip.MemberJoined(member("b")))
    assert await node.taken(subscription) == [
        gossip.MembersSnapshot((member("me"),)),
        gossip.MemberJoined(member("b")),
    ]


async def test_a_subscription_is_active_before_it_is_iterated() -> None:
    node = Node()
    subscription = node.hub.subscribe((gossip.MemberLeft,))
    node.hub.publish(gossip.MemberLeft(member("b")))
    _, event = await node.taken(subscription)
    assert event == gossip.MemberLeft(member("b"))


async def test_of_a_members_facts_that_wait_the_newest_is_kept() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    for round_ in range(1000):
        node.hub.publish(gossip.MemberSuspected(member("b", incarnation=round_), "c"))
        node.hub.publish(gossip.MemberRefuted(member("b", incarnation=round_ + 1)))
    node.hub.publish(gossip.MemberLeft(member("d")))
    node.hub.publish(gossip.MemberFailed(member("b", incarnation=1000), "c", 1, 4.0))
    assert (await node.taken(subscription))[1:] == [
        gossip.MemberLeft(member("d")),
        gossip.MemberFailed(member("b", incarnation=1000), "c", 1, 4.0),
    ]


async def test_a_join_that_waits_stays_a_join_with_the_newest_state() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.publish(gossip.MemberJoined(member("b")))
    suspect = member("b", status=gossip.Status.SUSPECT)
    node.hub.publish(gossip.MemberSuspected(suspect, "c"))
    assert (await node.taken(subscription))[1:] == [gossip.MemberJoined(suspect)]


async def test_an_update_does_not_take_the_place_of_another_fact() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.publish(gossip.MemberUpdated(member("b", meta=b"1")))
    node.hub.publish(gossip.MemberSuspected(member("b", meta=b"1"), "c"))
    node.hub.publish(gossip.MemberUpdated(member("b", meta=b"2")))
    assert (await node.taken(subscription))[1:] == [
        gossip.MemberSuspected(member("b", meta=b"1"), "c"),
        gossip.MemberUpdated(member("b", meta=b"2")),
    ]


async def test_the_confirmation_of_each_accuser_waits_beside_the_suspicion() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.publish(gossip.MemberSuspected(member("b"), "c"))
    node.hub.publish(gossip.SuspicionConfirmed(member("b"), "d"))
    node.hub.publish(gossip.SuspicionConfirmed(member("b"), "e"))
    node.hub.publish(gossip.SuspicionConfirmed(member("b", incarnation=2), "d"))
    assert (await node.taken(subscription))[1:] == [
        gossip.MemberSuspected(member("b"), "c"),
        gossip.SuspicionConfirmed(member("b"), "e"),
        gossip.SuspicionConfirmed(member("b", incarnation=2), "d"),
    ]


async def test_the_oldest_messages_are_dropped_counted_and_followed_by_a_snapshot() -> None:
    node = Node(limit=2)
    subscription = node.hub.subscribe(())
    node.hub.publish(gossip.MemberJoined(member("b")))
    for payload in (b"1", b"2", b"3", b"4", b"5"):
        node.hub.publish(message(payload))
    node.members.append(member("b"))
    assert await node.taken(subscription) == [
        gossip.MembersSnapshot((member("me"),)),
        gossip.EventsLost(3),
        gossip.MembersSnapshot((member("me"), member("b"))),
        gossip.MemberJoined(member("b")),
        message(b"4"),
        message(b"5"),
    ]


async def test_membership_is_never_lost_however_many_messages_come() -> None:
    node = Node(limit=10)
    subscription = node.hub.subscribe(())
    for number in range(500):
        node.hub.publish(gossip.MemberJoined(member(f"n{number}")))
        for _ in range(10):
            node.hub.publish(message(b"flood"))
    taken = await node.taken(subscription)
    joined = [event.member.name for event in taken if isinstance(event, gossip.MemberJoined)]
    assert joined == [f"n{number}" for number in range(500)]
    assert [event for event in taken if isinstance(event, gossip.EventsLost)] == [
        gossip.EventsLost(4990)
    ]


async def test_payloads_are_bounded_by_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip._io.bounds.EVENT_BYTES", 1000)
    node = Node(limit=100)
    subscription = node.hub.subscribe(())
    for _ in range(3):
        node.hub.publish(message(bytes(400)))
    node.hub.publish(message(bytes(5000)))
    _, lost, _, last = await node.taken(subscription)
    assert lost == gossip.EventsLost(3)
    assert last == message(bytes(5000))


async def test_only_the_types_that_were_asked_for_come_after_the_snapshot() -> None:
    node = Node()
    subscription = node.hub.subscribe((gossip.MessageReceived,))
    node.hub.publish(gossip.MemberJoined(member("b")))
    node.hub.publish(message(b"x"))
    assert (await node.taken(subscription))[1:] == [message(b"x")]


async def test_what_the_core_lost_is_told_too() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.lose(7)
    snapshot = gossip.MembersSnapshot((member("me"),))
    assert await node.taken(subscription) == [snapshot, gossip.EventsLost(7), snapshot]


async def test_conflicts_with_different_addresses_do_not_replace_each_other() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    others = [gossip.Address("127.0.0.2", port) for port in (1, 2, 1)]
    for other in others:
        node.hub.publish(gossip.NameConflict(member("me"), other, b""))
    conflicts = (await node.taken(subscription))[1:]
    assert [event.address.port for event in conflicts] == [2, 1]


async def test_facts_without_end_are_bounded_and_a_snapshot_makes_up_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A peer can make up conflicts and names for ever, and the consumer may never look."""
    monkeypatch.setattr("gossip._io.bounds.FACTS_MAX", 100)
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.publish(message(b"stays"))
    for port in range(950):
        other = gossip.Address("127.0.0.2", port)
        node.hub.publish(gossip.NameConflict(member("me"), other, b""))
    first, lost, second, *rest = await node.taken(subscription)
    assert first == second == gossip.MembersSnapshot((member("me"),))
    assert rest[0] == message(b"stays")
    conflicts = [event for event in rest if isinstance(event, gossip.NameConflict)]
    assert conflicts[-1].address.port == 949
    assert lost == gossip.EventsLost(950 - len(conflicts))
    assert len(conflicts) <= 100


async def test_a_cancelled_wait_loses_nothing() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    await anext(subscription)
    with pytest.raises(gossip.TimeoutExpired):
        await subscription.get(timeout=0)
    waiting = asyncio.create_task(subscription.get())
    await asyncio.sleep(0)
    node.hub.publish(message(b"x"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await subscription.get(timeout=0.1) == message(b"x")


async def test_two_tasks_cannot_wait_on_one_subscription() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    await anext(subscription)
    waiting = asyncio.create_task(subscription.get())
    await asyncio.sleep(0)
    with pytest.raises(gossip.StateError, match="another task"):
        await subscription.get()
    node.hub.publish(message(b"x"))
    assert await waiting == message(b"x")


async def test_a_closed_subscription_gives_what_waits_and_ends() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    node.hub.publish(message(b"x"))
    subscription.close()
    subscription.close()
    node.hub.publish(message(b"y"))
    assert [event async for event in subscription][1:] == [message(b"x")]
    with pytest.raises(gossip.StateError, match="ended"):
        await subscription.get()


async def test_closing_wakes_a_consumer_that_waits() -> None:
    node = Node()
    subscription = node.hub.subscribe(())
    await anext(subscription)
    waiting = asyncio.create_task(anext(subscription, None))
    await asyncio.sleep(0)
    node.hub.close()
    assert await waiting is None


async def test_a_subscription_that_nobody_holds_is_forgotten() -> None:
    node = Node()
    node.hub.subscribe(())
    kept = node.hub.subscribe(())
    gc.collect()
    assert node.hub._active() == [kept]
