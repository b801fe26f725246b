"""Running nodes on the loopback: what they tell, what they carry, how they end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

import gossip
from gossip._aead import choose
from gossip._core import encode_message
from gossip._io import bounds
from gossip.config import AeadChoice

from .nodes import QUICK, SECONDS_MAX, alive, next_of, node, stranger


async def test_two_nodes_see_each_other_and_a_leave_is_a_leave() -> None:
    async with node("a") as a:
        events = a.events()
        async with node("b", a, meta=b"of b") as b:
            assert {member.name for member in b.members()} == {"a", "b"}
            joined = await next_of(events, gossip.MemberJoined)
            assert joined.member.name == "b"
            assert joined.member.meta == b"of b"
            assert joined.member.address == b.address
            assert a.member("b") == joined.member
            assert a.member("nobody") is None
            assert b.local_member.name == "b"
        assert (await next_of(events, gossip.MemberLeft)).member.name == "b"
        left = a.member("b")
        assert left is not None
        assert left.status is gossip.Status.LEFT


async def test_a_node_that_closes_without_leaving_is_suspected_and_fails() -> None:
    async with node("a", **QUICK) as a:
        # Each on its own: to a reader who comes late a failure replaces the suspicion before it.
        suspicions, failures = a.events(gossip.MemberSuspected), a.events(gossip.MemberFailed)
        b = await node("b", a, **QUICK).start()
        await b.close()
        suspected = await next_of(suspicions, gossip.MemberSuspected)
        assert (suspected.member.name, suspected.by) == ("b", "a")
        failed = await next_of(failures, gossip.MemberFailed)
        assert (failed.member.name, failed.by, failed.confirmations) == ("b", "a", 0)
        assert failed.suspect_for >= 0.1
        assert failed.member.status is gossip.Status.FAILED


async def test_events_may_be_asked_for_before_the_start() -> None:
    async with node("a") as a:
        b = node("b", a)
        events = b.events()
        async with b:
            assert await events.get(timeout=SECONDS_MAX) == gossip.MembersSnapshot(())
            names = {(await next_of(events, gossip.MemberJoined)).member.name for _ in range(2)}
            assert names == {"a", "b"}


async def test_an_update_spreads() -> None:
    async with node("a") as a, node("b", a) as b:
        events = b.events(gossip.MemberUpdated)
        await a.update_meta(b"new", timeout=SECONDS_MAX)
        updated = await next_of(events, gossip.MemberUpdated)
        assert (updated.member.name, updated.member.meta) == ("a", b"new")
        assert a.local_member.meta == b"new"


async def test_messages_go_by_packet_by_stream_and_by_gossip() -> None:
    async with node("a") as a, node("b", a) as b:
        events = b.events(gossip.MessageReceived)
        await a.send("b", b"by packet", timeout=SECONDS_MAX)
        message = await next_of(events, gossip.MessageReceived)
        assert message == gossip.MessageReceived(b"by packet", a.address, False)
        large = os.urandom(3_000_000)
        await a.send("b", large, reliable=True, timeout=SECONDS_MAX)
        message = await next_of(events, gossip.MessageReceived)
        assert message.payload == large
        assert message.reliable
        a.broadcast(b"to all")
        message = await next_of(events, gossip.MessageReceived)
        assert message.payload == b"to all"


async def test_a_reliable_message_that_is_not_read_is_an_error() -> None:
    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with node("a") as a:
        events = a.events()
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            with stranger() as bare:
                bare.sendto(alive("p", *server.sockets[0].getsockname()), a.address)
                await next_of(events, gossip.MemberJoined, member="p")
            with pytest.raises(gossip.RequestError):
                await a.send("p", os.urandom(10_000_000), reliable=True)


async def test_application_state_and_ping_payloads_are_carried() -> None:
    async with node("a", **QUICK) as a:
        a.set_local_state(b"state of a")
        a.set_ack_payload(b"ack of a")
        b = node("b", report_pings=True, **QUICK)
        async with b:
            events = b.events(gossip.StateReceived, gossip.PingCompleted)
            await b.join(str(a.address))
            state = await next_of(events, gossip.StateReceived)
            assert state == gossip.StateReceived(b"state of a", True)
            pinged = await next_of(events, gossip.PingCompleted)
            assert (pinged.member.name, pinged.payload) == ("a", b"ack of a")
            assert 0 < pinged.rtt < 1


async def test_a_ping_gives_the_round_trip() -> None:
    async with node("a") as a, node("b", a) as b:
        assert await b.ping("a") > 0
        with pytest.raises(gossip.UnknownMemberError):
            await b.ping("nobody")


async def test_a_ping_of_a_silent_member_expires() -> None:
    async with node("a", probe_timeout=0.05) as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            port = bare.getsockname()[1]
            bare.sendto(alive("mute", "127.0.0.1", port), a.address)
            await next_of(events, gossip.MemberJoined, member="mute")
            with pytest.raises(gossip.TimeoutExpired):
                await a.ping("mute")


async def test_a_call_may_be_given_less_time() -> None:
    async with node("a") as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            bare.sendto(alive("mute", "127.0.0.1", bare.getsockname()[1]), a.address)
            await next_of(events, gossip.MemberJoined, member="mute")
            with pytest.raises(gossip.TimeoutExpired, match="not done within"):
                await a.ping("mute", timeout=0.001)


@pytest.mark.parametrize("aead", ["auto", "cryptography"])
async def test_encrypted_nodes_speak_and_a_wrong_key_is_counted(aead: AeadChoice) -> None:
    key = gossip.generate_key()
    async with (
        node("a", key=key, aead=aead) as a,
        node("b", a, key=gossip.encode_key(key), aead="cryptography") as b,
    ):
        assert await b.ping("a") > 0
        assert a.stats().encrypted
        assert a.stats().aead == choose(aead).name
        assert b.stats().aead == "cryptography"
        async with node("c", key=gossip.generate_key()) as c:
            with pytest.raises(gossip.JoinError, match="no installed keys could decrypt"):
                await c.join(str(a.address))
        with stranger() as bare:
            bare.sendto(b"\x01" + os.urandom(60), a.address)
            bare.sendto(alive("d", "127.0.0.1", 1), a.address)
            await b.ping("a")
        dropped = a.stats().dropped
        assert (dropped["decrypt"], dropped["seal_version"]) == (1, 1)
        assert {member.name for member in a.members()} == {"a", "b"}


async def test_keys_are_rotated_without_losing_a_member() -> None:
    old, new = gossip.generate_key(16), gossip.generate_key(32)
    async with node("a", key=old) as a, node("b", a, key=old) as b:
        events = a.events(gossip.MemberSuspected, gossip.MemberFailed)
        for step in ("add", "use"):
            for each in (a, b):
                getattr(each.keyring, step)(new)
                assert await a.ping("b") > 0
        for each in (a, b):
            each.keyring.remove(old)
            assert await b.ping("a") > 0
        with pytest.raises(gossip.KeyringError):
            a.keyring.remove(new)
        await b.leave(timeout=SECONDS_MAX)
        a.events()
        await a.close()
        assert [type(event) async for event in events] == [gossip.MembersSnapshot]


async def test_a_name_that_is_used_twice_is_one_conflict_with_both_addresses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with node("web") as first, node("other", first) as other:
        events = other.events(gossip.NameConflict)
        async with node("web", retry_join=0) as second:
            for _ in range(3):
                await second.join(str(other.address))
            conflict = await next_of(events, gossip.NameConflict)
            assert conflict.existing.address == first.address
            assert conflict.address == second.address
        await other.close()
        assert [event async for event in events] == []
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    mine = [line for line in lines if line.startswith("other:")]
    assert mine == [
        f"other: the name web is used twice: by the node at {first_address(conflict)} "
        f"and by another at {conflict.address}"
    ]


def first_address(conflict: gossip.NameConflict) -> gossip.Address:
    return conflict.existing.address


async def test_a_member_that_is_not_accepted_stays_out() -> None:
    asked: list[str] = []

    async def accept(member: gossip.Member) -> bool:
        asked.append(member.name)
        await asyncio.sleep(0)
        return member.name != "bad"

    async with node("a", accept_member=accept) as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            for name in ("bad", "good", "bad", "good", "last"):
                bare.sendto(alive(name, "127.0.0.1", 1), a.address)
            await next_of(events, gossip.MemberJoined, member="last")
        assert sorted(asked) == ["bad", "good", "last"]
        assert {member.name for member in a.members()} == {"a", "good", "last"}


async def test_accept_member_may_be_a_plain_function_and_raising_refuses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def accept(member: gossip.Member) -> bool:
        if member.name == "bad":
            raise RuntimeError("no such name in the list")
        return True

    async with node("a", accept_member=accept) as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            for name in ("bad", "good"):
                bare.sendto(alive(name, "127.0.0.1", 1), a.address)
            await next_of(events, gossip.MemberJoined, member="good")
        assert a.member("bad") is None
    assert "accept_member raised about bad" in caplog.text


async def test_an_accept_member_that_never_answers_refuses_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "ADMISSION_SECONDS", 0.01)
    cancelled = asyncio.Event()

    async def accept(member: gossip.Member) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return True

    async with node("a", accept_member=accept) as a:
        with stranger() as bare:
            bare.sendto(alive("slow", "127.0.0.1", 1), a.address)
            async with asyncio.timeout(SECONDS_MAX):
                await cancelled.wait()
        assert a.member("slow") is None


async def test_the_end_of_the_block_leaves_also_when_it_raises() -> None:
    async with node("a") as a:
        events = a.events()
        with pytest.raises(LookupError):
            async with node("b", a):
                raise LookupError("of the user")
        await next_of(events, gossip.MemberLeft, member="b")


async def test_the_end_of_the_block_leaves_also_when_it_is_cancelled() -> None:
    async with node("a") as a:
        events = a.events()
        inside = asyncio.Event()

        async def body() -> None:
            async with node("b", a):
                inside.set()
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(body())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await next_of(events, gossip.MemberLeft, member="b")


async def test_the_leave_of_the_block_is_bounded() -> None:
    loop = asyncio.get_running_loop()
    async with node("a") as a:
        # With gossip this slow the leave is not spread in time.
        async with node("b", a, leave_timeout=0.05, gossip_interval=60.0) as b:
            begin = loop.time()
        assert loop.time() - begin < 30, "not as long as a gossip interval"
        with pytest.raises(gossip.ClosedError):
            b.members()


async def test_a_second_cancellation_closes_without_waiting_for_the_leave() -> None:
    async with node("a") as a:
        b = node("b", a, leave_timeout=60.0, gossip_interval=60.0)
        inside = asyncio.Event()

        async def body() -> None:
            async with b:
                inside.set()
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(body())
        await inside.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(gossip.ClosedError):
            b.members()


async def test_a_member_is_leaving_until_its_leave_was_spread() -> None:
    async with node("a") as a, node("b", a) as b:
        leaving = asyncio.create_task(b.leave(timeout=SECONDS_MAX))
        await asyncio.sleep(0)
        assert str(b.local_member.status) == "leaving"
        await leaving
        assert str(b.local_member.status) == "left"
        await b.leave()


async def test_closing_twice_is_no_matter_and_ends_what_waits() -> None:
    a = await node("a").start()
    events = a.events()
    await a.close()
    await a.close()
    assert [type(event) async for event in events] == [gossip.MembersSnapshot]
    with pytest.raises(gossip.ClosedError):
        a.members()
    with pytest.raises(gossip.StateError, match="once"):
        await a.start()


async def test_closing_fails_the_calls_that_wait() -> None:
    async with node("a", probe_timeout=30.0, probe_interval=60.0) as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            bare.sendto(alive("mute", "127.0.0.1", bare.getsockname()[1]), a.address)
            await next_of(events, gossip.MemberJoined, member="mute")
            ping = asyncio.create_task(a.ping("mute"))
            await asyncio.sleep(0)
            await a.close()
            with pytest.raises(gossip.ClosedError, match="while this call waited"):
                await ping


async def test_wrong_arguments_say_what_is_wrong() -> None:
    a = node("a")
    with pytest.raises(gossip.StateError, match="not started"):
        a.members()
    async with a:
        with pytest.raises(gossip.ArgumentError, match="at most 512 bytes, not 513"):
            await a.update_meta(bytes(513))
        with pytest.raises(gossip.ArgumentError, match="must be 1 to 255 bytes"):
            await a.ping("")
        with pytest.raises(gossip.ArgumentError, match="a payload is bytes, not str"):
            await a.send("a", "text")  # type: ignore[arg-type]
        with pytest.raises(gossip.ArgumentError, match="send it reliably"):
            await a.send("a", bytes(65_600))
        with pytest.raises(gossip.ArgumentError, match="at most"):
            a.broadcast(bytes(2000))
        a.broadcast(bytes(a.broadcast_limit))
        with pytest.raises(gossip.ArgumentError, match="at least one seed"):
            await a.join()
        with pytest.raises(gossip.ArgumentError, match="by their types"):
            a.events(str)  # type: ignore[type-var]
        assert {member.name for member in a.members()} == {"a"}


async def test_ten_nodes_find_each_other_and_may_all_leave_at_once() -> None:
    """Gossip alone reaches each of ten in 97 to 99 of 100 runs; the rest is for the push/pulls."""
    async with AsyncExitStack() as stack:
        seed = await stack.enter_async_context(node("n0", push_pull_interval=0.5))
        others = [node(f"n{number}", seed, push_pull_interval=0.5) for number in range(1, 10)]
        nodes = [seed, *others]
        await asyncio.gather(*(stack.enter_async_context(each) for each in others))
        for each in nodes:
            events = each.events(gossip.MemberJoined)
            while len(each.members()) < 10:
                await events.get(timeout=SECONDS_MAX)
        await asyncio.gather(*(each.leave(timeout=SECONDS_MAX) for each in nodes))


def cost_of(call: Callable[[], object]) -> int:
    """Processor time of this thread, in nanoseconds; the least of some."""

    def once() -> int:
        start = time.thread_time_ns()
        call()
        return time.thread_time_ns() - start

    return min(once() for _ in range(5))


async def test_stats_count_members_by_status_without_looking_at_them() -> None:
    async with node("a", gossip_interval=0) as a:
        core, now = a._driver.core, time.monotonic_ns()  # type: ignore[union-attr]
        source = b"\x7f\0\0\x01", 1
        for number in range(10_000):
            place = f"127.1.{number >> 8}.{number & 255}"
            core.receive([(alive(f"m{number}", place, 1), *source)], now)
        for number, (kind, by) in enumerate((("suspect", "x"), ("dead", "x"), ("dead", "m2"))):
            body = {"Incarnation": 1, "Node": f"m{number}", "From": by}
            core.receive([(encode_message(kind, body), *source)], now)
        assert a.stats().members == {"alive": 9998, "suspect": 1, "failed": 1, "left": 1}
        assert cost_of(a.stats) * 2 < cost_of(core.members), "a walk over the table"
        await a.close()
