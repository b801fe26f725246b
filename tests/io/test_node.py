"""Running `Node`s on the loopback: members, tags, user events, messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import gossip

from .nodes import QUICK, SECONDS_MAX, SLOW_ENOUGH, next_of, node, serf_node


async def test_two_nodes_see_each_other_with_their_tags_and_a_leave_is_a_leave() -> None:
    async with serf_node("a", tags={"role": "web"}) as a:
        events = a.events()
        async with serf_node("b", a, tags={"role": "db", "dc": "ams"}) as b:
            joined = (await next_of(events, gossip.MemberJoined, member="b")).member
            assert joined.tags == {"role": "db", "dc": "ams"}
            assert joined.versions == (1, 5, 2, 2, 5, 4)
            assert a.member("b") == joined
            assert {member.name: member.tags for member in b.members()} == {
                "a": {"role": "web"},
                "b": {"role": "db", "dc": "ams"},
            }
            assert b.local_member.tags == b.tags == {"role": "db", "dc": "ams"}
            assert a.member("nobody") is None
        left = (await next_of(events, gossip.MemberLeft)).member
        assert (left.name, left.status) == ("b", gossip.Status.LEFT)


async def test_a_node_that_closes_without_leaving_fails_and_can_be_removed() -> None:
    fields: dict[str, Any] = {**SLOW_ENOUGH, "broadcast_timeout": SECONDS_MAX}
    async with serf_node("a", **fields) as a, serf_node("c", a, **fields) as c:
        events, others = a.events(), c.events()
        b = await serf_node("b", a, **fields).start()
        await next_of(others, gossip.MemberJoined, member="b")
        await b.close()
        failed = await next_of(events, gossip.MemberFailed, member="b")
        assert failed.by in ("a", "c")
        assert failed.member.status is gossip.Status.FAILED
        await next_of(others, gossip.MemberFailed, member="b")
        await a.force_leave("b", timeout=SECONDS_MAX)
        for subscription in (events, others):
            left = await next_of(subscription, gossip.MemberLeft, member="b")
            assert left.member.status is gossip.Status.LEFT
        await a.force_leave("b", prune=True, timeout=SECONDS_MAX)
        for subscription, one in ((events, a), (others, c)):
            await next_of(subscription, gossip.MemberReaped, member="b")
            assert one.member("b") is None


async def test_a_suspicion_shows_in_the_status_and_carries_tags() -> None:
    quick: dict[str, Any] = {**QUICK, "suspicion_mult": 20}
    async with serf_node("a", **quick) as a:
        events = a.events(gossip.MemberSuspected)
        b = await serf_node("b", a, tags={"role": "db"}, **quick).start()
        await b.close()
        suspected = await next_of(events, gossip.MemberSuspected, member="b")
        assert suspected.member.tags == {"role": "db"}
        seen = a.member("b")
        assert seen is not None
        assert seen.status is gossip.Status.SUSPECT


async def test_new_tags_spread() -> None:
    async with serf_node("a", tags={"role": "web"}) as a, serf_node("b", a) as b:
        events = b.events(gossip.MemberUpdated)
        await a.set_tags({"role": "db", "dc": "ams"}, timeout=SECONDS_MAX)
        updated = await next_of(events, gossip.MemberUpdated, member="a")
        assert updated.member.tags == a.tags == {"role": "db", "dc": "ams"}
        with pytest.raises(gossip.ArgumentError, match="tags exceeds limit of 512 bytes"):
            await a.set_tags({"role": "x" * 512})
        assert a.tags == {"role": "db", "dc": "ams"}


async def test_a_user_event_reaches_every_node_once_its_sender_too() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b, serf_node("c", a) as c:
        listening = [each.events(gossip.UserEvent) for each in (a, b, c)]
        ltime = a.send_event("deploy", b"42", coalesce=False)
        second = a.send_event("deploy")
        assert second == ltime + 1
        for subscription in listening:
            first = await next_of(subscription, gossip.UserEvent, ltime=ltime)
            assert first == gossip.UserEvent("deploy", b"42", ltime, False)
            await next_of(subscription, gossip.UserEvent, ltime=second)
        third = c.send_event("deploy")
        assert third > second
        for subscription in listening:  # nothing came between: each event came once
            event = await subscription.get(timeout=SECONDS_MAX)
            assert isinstance(event, gossip.UserEvent)
            assert event.ltime == third


async def test_a_node_that_joins_hears_of_old_events_only_if_it_wants_to() -> None:
    async with serf_node("a") as a, serf_node("d", a) as d:
        events = d.events(gossip.UserEvent)
        a.send_event("old", b"news")
        await next_of(events, gossip.UserEvent)
        while a.stats().serf["events_queued"] or d.stats().serf["events_queued"]:
            await asyncio.sleep(0)  # what is still gossiped would reach anybody
        async with serf_node("b") as b, serf_node("c") as c:
            heard_b, heard_c = b.events(gossip.UserEvent), c.events(gossip.UserEvent)
            await b.join(str(a.address), timeout=SECONDS_MAX)
            await c.join(str(a.address), replay=True, timeout=SECONDS_MAX)
            old = await next_of(heard_c, gossip.UserEvent)
            assert (old.name, old.payload, old.coalesce) == ("old", b"news", False)
            a.send_event("new")
            for subscription in (heard_b, heard_c):
                assert (await next_of(subscription, gossip.UserEvent)).name == "new"


async def test_events_that_are_too_long_or_nameless_are_refused() -> None:
    async with serf_node("a") as a:
        with pytest.raises(gossip.ArgumentError, match="exceeds configured limit of 512 bytes"):
            a.send_event("x", bytes(512))
        with pytest.raises(gossip.ArgumentError, match="at least one letter"):
            a.send_event("")
        with pytest.raises(gossip.ArgumentError, match="a payload is bytes"):
            a.send_event("x", "text")  # type: ignore[arg-type]
        assert a.send_event("x") == 1


async def test_a_flood_of_event_names_keeps_nothing_but_the_last() -> None:
    async with serf_node("a", event_buffer=100) as a:
        events = a.events(gossip.UserEvent)
        for number in range(10_000):
            a.send_event(f"name-{number}")
        lost = await next_of(events, gossip.EventsLost)
        assert lost.count > 0
        assert (await next_of(events, gossip.UserEvent, name="name-9999")).ltime == 10_000
        stats = a.stats().serf
        assert stats["event_bytes_kept"] < 512 * 600


async def test_coalesced_events_come_once() -> None:
    quiet: dict[str, Any] = {"user_coalesce_period": 0.5, "user_quiescent_period": 0.2}
    merge: dict[str, Any] = {"coalesce_period": 0.5, "quiescent_period": 0.2}
    async with serf_node("a", **quiet, **merge) as a:
        events = a.events()
        async with serf_node("b", a) as b:
            for number in range(20):
                b.send_event("deploy", str(number).encode())
            b.send_event("at once", coalesce=False)
            names: list[tuple[str, bytes]] = []
            while len(names) < 2:
                event = await next_of(events, gossip.UserEvent)
                names.append((event.name, event.payload))
            # One burst is flushed once, or in a few parts on a slow machine; the last always comes.
            while ("deploy", b"19") not in names:
                event = await next_of(events, gossip.UserEvent)
                names.append((event.name, event.payload))
            assert ("at once", b"") in names
            assert len(names) < 21


async def test_messages_between_nodes_carry_any_bytes() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b:
        events = b.events(gossip.MessageReceived)
        for payload in (b"\x01looks like a join intent", b"", b"\xf0", b"text"):
            await a.send("b", payload, timeout=SECONDS_MAX)
            message = await next_of(events, gossip.MessageReceived)
            assert message == gossip.MessageReceived(payload, a.address, False)
        await a.send("b", b"by stream", reliable=True, timeout=SECONDS_MAX)
        assert (await next_of(events, gossip.MessageReceived)).reliable
        a.broadcast(b"\x00to all")
        assert (await next_of(events, gossip.MessageReceived)).payload == b"\x00to all"


async def test_messages_of_another_kind_are_counted() -> None:
    versions = {f"delegate_protocol_{what}": 2 for what in ("min", "max", "version")}
    versions["delegate_protocol_max"] = 5
    async with serf_node("a") as a, node("bare", a, **versions, meta=b"\xff\x80") as bare:
        events = a.events(gossip.MessageReceived)
        await bare.send("a", b"no message of a Node", timeout=SECONDS_MAX)
        await bare.send("a", b"\xf0but this", timeout=SECONDS_MAX)
        assert (await next_of(events, gossip.MessageReceived)).payload == b"but this"
        assert a.stats().serf["messages_unknown"] == 1


async def test_nodes_learn_how_far_they_are_from_each_other() -> None:
    async with serf_node("a", **QUICK) as a, serf_node("b", a, report_pings=True, **QUICK) as b:
        events = b.events(gossip.PingCompleted)
        for _ in range(3):
            assert len((await next_of(events, gossip.PingCompleted, member="a")).payload) > 90
        assert isinstance(b.coordinate(), gossip.Coordinate)
        assert b.coordinate("a") is not None
        far = b.distance("a")
        assert far is not None
        assert 0 < far < 10
        assert b.distance("a", "b") == far
        assert b.distance("nobody") is None
        assert b.coordinate("nobody") is None
        assert b.coordinate() != gossip.Coordinate()


async def test_without_coordinates_acks_carry_none() -> None:
    plain: dict[str, Any] = {**QUICK, "disable_coordinates": True}
    async with serf_node("a", **plain) as a, serf_node("b", a, report_pings=True, **plain) as b:
        pinged = await next_of(b.events(gossip.PingCompleted), gossip.PingCompleted, member="a")
        assert pinged.payload == b""
        assert b.coordinate("a") is None


async def test_what_belongs_to_serf_cannot_be_set() -> None:
    async with serf_node("a") as a:
        with pytest.raises(gossip.StateError, match="use set_tags"):
            await a.update_meta(b"x")
        with pytest.raises(gossip.StateError, match="use send_event"):
            a.set_local_state(b"x")
        with pytest.raises(gossip.StateError, match="is its coordinate"):
            a.set_ack_payload(b"x")


async def test_a_node_that_has_left_does_not_join_again() -> None:
    async with serf_node("a") as a, serf_node("b", a) as b:
        await b.leave(timeout=SECONDS_MAX)
        assert b.local_member.status is gossip.Status.LEFT
        with pytest.raises(gossip.StateError, match="can't Join after Leave"):
            await b.join(str(a.address))


async def test_a_slow_reader_holds_nothing_up() -> None:
    """The consumer of b sleeps in its handler; b answers and hears all the while."""
    async with serf_node("a") as a, serf_node("b", a) as b:
        released = asyncio.Event()
        started = asyncio.Event()

        async def handler() -> None:
            async for event in b.events(gossip.UserEvent):
                if isinstance(event, gossip.UserEvent):
                    started.set()
                    await released.wait()
                    raise RuntimeError("a handler that is slow and then fails")

        task = asyncio.create_task(handler())
        await asyncio.sleep(0)
        other = b.events(gossip.UserEvent)
        a.send_event("first")
        await started.wait()
        a.send_event("second")
        await next_of(other, gossip.UserEvent, name="second")
        assert await a.query("_serf_ping", timeout=SECONDS_MAX).acks() == {"a", "b"}
        released.set()
        with pytest.raises(RuntimeError, match="slow and then fails"):
            await task
        assert await a.query("_serf_ping", timeout=SECONDS_MAX).acks() == {"a", "b"}


async def test_who_may_join_can_be_decided_by_tags() -> None:
    def ours(member: gossip.Member) -> bool:
        return member.tags.get("dc") == "ams"

    async with serf_node("a", accept_member=ours, tags={"dc": "ams"}) as a:
        events = a.events(gossip.MemberJoined)
        async with serf_node("b", a, tags={"dc": "fra"}), serf_node("c", a, tags={"dc": "ams"}):
            assert (await next_of(events, gossip.MemberJoined)).member.name == "c"
            assert a.member("b") is None
