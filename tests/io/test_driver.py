"""The driver: refused packets, full sockets, bad streams, forks, foreign loops, the log."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
import threading
from contextlib import suppress
from typing import Any

import pytest

import gossip
from gossip._core import Swim, encode_message
from gossip._io.rates import Bucket, Recent
from gossip._io.reporter import printable
from gossip._udp import BLOCKED, WAITING, Endpoint

from .nodes import QUICK, SECONDS_MAX, alive, next_of, node, stranger


async def members_without_a_way(a: gossip.Memberlist) -> None:
    """EACCES for the broadcast address, EAFNOSUPPORT for IPv6 on an IPv4 socket."""
    events = a.events()
    with stranger() as bare:
        bare.sendto(alive("broad", "255.255.255.255", 9), a.address)
        bare.sendto(alive("six", "2001:db8::1", 9), a.address)
        await next_of(events, gossip.MemberJoined, member="six")


async def test_a_destination_the_system_refuses_does_not_delay_the_others() -> None:
    async with node("a") as a, node("b", a):
        await members_without_a_way(a)
        with pytest.raises(gossip.TimeoutExpired):
            await a.ping("broad", timeout=0.05)
        with pytest.raises(gossip.TimeoutExpired):
            await a.ping("six", timeout=0.05)
        assert await a.ping("b") > 0
        errors = a.stats().send_errors
        assert errors["EACCES"] > 0
        assert errors["EAFNOSUPPORT"] > 0


async def test_a_refused_ping_takes_the_write_error_path_of_the_probe_and_the_node_fails() -> None:
    async with node("a", **QUICK) as a:
        events = a.events()
        await members_without_a_way(a)
        for name in ("broad", "six"):
            while (member := a.member(name)) and member.status != "failed":
                await events.get(timeout=SECONDS_MAX)


def make_core(port: int) -> Swim:
    core = Swim(gossip.Config().settings(), name=b"x", address=b"\x7f\0\0\x01", port=port, seed=1)
    core.start(0)
    return core


def test_more_than_one_system_call_takes_is_sent_at_once_and_in_order() -> None:
    with stranger() as mine, stranger() as peer:
        core = make_core(1)
        core.receive([(alive("p", *peer.getsockname()), b"\x7f\0\0\x01", 1)], 0)
        endpoint = Endpoint(mine.fileno(), False, core)
        for number in range(40):
            core.send(b"p", b"%02d" % number, False, 0)
        assert endpoint.flush() == WAITING, "the answers to the requests"
        assert endpoint.stats()["packets_sent"] == 40
        received = [peer.recv(2000)[-2:] for _ in range(40)]
        assert [int(each) for each in received] == list(range(40))


def test_a_full_socket_keeps_the_rest_and_sends_it_later() -> None:
    """A TCP socket stands for a full UDP socket: it takes any address and says EAGAIN when full."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        full = socket.create_connection(server.getsockname())
        served, _ = server.accept()
    with full, served:
        full.setblocking(False)
        filler = bytes(1 << 20)
        sent = 0
        try:
            while True:
                sent += full.send(filler)
        except BlockingIOError:
            pass
        core = make_core(1)
        core.receive([(alive("p", "127.0.0.1", 9), b"\x7f\0\0\x01", 1)], 0)
        core.send(b"p", b"waits", False, 0)
        core.events()
        endpoint = Endpoint(full.fileno(), False, core)
        assert endpoint.flush() == BLOCKED
        assert endpoint.stats()["packets_sent"] == 0
        served.settimeout(10)
        while sent:
            sent -= len(served.recv(1 << 20))
        assert endpoint.flush() == 0
        assert endpoint.stats()["packets_sent"] == 1
        assert served.recv(2000)[-5:] == b"waits"


def test_a_detached_endpoint_does_nothing() -> None:
    core = make_core(1)
    endpoint = Endpoint(0, False, core)
    endpoint.detach()
    assert endpoint.on_readable() == endpoint.tick() == endpoint.flush() == 0


async def test_a_flood_of_garbage_is_counted_and_the_node_goes_on() -> None:
    async with node("a") as a, node("b", a) as b:
        with stranger() as bare:
            for _ in range(200):
                bare.sendto(os.urandom(100), a.address)
            bare.sendto(b"", a.address)
            assert await b.ping("a") > 0
        stats = a.stats()
        assert stats.packets_received > 200
        assert sum(stats.dropped.values()) > 100
        assert {member.name for member in a.members()} == {"a", "b"}


async def test_a_bad_stream_dies_alone() -> None:
    async with node("a") as a, node("b") as b:
        reader, writer = await asyncio.open_connection(*a.address)
        writer.write(b"\xff" * 100)
        assert (await b.join(str(a.address))).reached == 1
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert a.stats().core["streams_failed"] == 1


async def test_a_stream_that_is_silent_ends_in_time() -> None:
    async with node("a", tcp_timeout=0.1) as a:
        reader, writer = await asyncio.open_connection(*a.address)
        writer.write(b"\x06")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert a.stats().core["streams_failed"] == 1


async def test_only_so_many_finished_streams_may_wait_for_their_peers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossip._io.bounds.LINGERING_MAX", 2)
    monkeypatch.setattr("gossip._io.bounds.LINGER_SECONDS", 3600.0)
    async with node("a") as a:
        opened = [await asyncio.open_connection(*a.address) for _ in range(4)]
        for reader, writer in opened:
            writer.write(b"\xff")
            assert await reader.read() == b""
        assert a._driver is not None
        assert len(a._driver._streams._connections) == 2
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()


async def test_a_stream_that_its_peer_reset_can_still_be_ended() -> None:
    """What the loop has not seen yet: an error there would stop the rest of what is to be done."""
    async with node("a") as a, node("b", a) as b:
        assert a._driver is not None
        connections = a._driver._streams._connections
        while connections:
            await asyncio.sleep(0)
        with socket.create_connection(a.address) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            while not connections:
                await asyncio.sleep(0)
        (connection,) = connections
        connection.end()
        while connections:
            await b.ping("a")


async def test_a_call_that_is_taken_back_at_once_leaves_nothing_behind() -> None:
    """As when a fallback ping is commanded, and the ack comes in the same turn of the loop."""
    async with node("a") as a, node("b", a) as b:
        assert a._driver is not None
        streams = a._driver._streams
        streams.command(("open", 1 << 30, b"\x7f\0\0\x01", b.address.port))
        streams.command(("close", 1 << 30))
        while streams._dialling:
            await b.ping("a")


STATE_BYTES = 20_000_000
"""A reply larger than all buffers between: the writer is held up."""


async def call_and_read_one_byte(greedy: socket.socket, a: gossip.Memberlist) -> int:
    """Asks for a reply, and reads its beginning only."""
    greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    greedy.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(greedy, a.address)
    header = {"Nodes": 0, "UserStateLen": 0, "Join": False}
    await loop.sock_sendall(greedy, encode_message("pushPull", header))
    return len(await loop.sock_recv(greedy, 1))


async def rest_of(greedy: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    received = 0
    while piece := await loop.sock_recv(greedy, 1 << 20):
        received += len(piece)
    return received


async def test_a_peer_that_does_not_read_its_reply_is_cut_off() -> None:
    async with node("a", enable_compression=False) as a, node("b", a) as b:
        a.set_local_state(os.urandom(STATE_BYTES))
        assert a._driver is not None
        a._driver._streams.tcp_timeout = 0.1  # the rest of it, to ask for the reply, stays long
        with socket.socket() as greedy:
            received = await call_and_read_one_byte(greedy, a)
            while a._driver._streams._connections:
                await b.ping("a")
            assert received + await rest_of(greedy) < STATE_BYTES


async def test_replies_that_nobody_reads_take_up_only_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Room for one: the one that came first is read to its end, the other is cut off."""
    monkeypatch.setattr("gossip._io.bounds.REPLIES_BYTES", STATE_BYTES)
    fields: dict[str, Any] = {"enable_compression": False, "tcp_timeout": 60.0}
    async with node("a", **fields) as a, node("b", a) as b:
        a.set_local_state(os.urandom(STATE_BYTES))
        assert a._driver is not None
        connections = a._driver._streams._connections
        with socket.socket() as first, socket.socket() as second:
            received = await call_and_read_one_byte(first, a)
            while not any(each._ending for each in connections):
                await b.ping("a")
            received_too = await call_and_read_one_byte(second, a)
            while not a.stats().streams_cut_off:
                await b.ping("a")
            with suppress(ConnectionResetError):
                assert received_too + await rest_of(second) < STATE_BYTES
            assert a.stats().streams_cut_off == 1
            assert received + await rest_of(first) > STATE_BYTES


async def test_a_peer_that_reads_its_reply_slowly_gets_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has tcp_timeout for that; what is shorter is the wait for its end after the last byte."""
    monkeypatch.setattr("gossip._io.bounds.LINGER_SECONDS", 0.01)
    async with node("a", enable_compression=False, tcp_timeout=60.0) as a, node("b", a) as b:
        a.set_local_state(os.urandom(STATE_BYTES))
        with socket.socket() as greedy:
            received = await call_and_read_one_byte(greedy, a)
            loop = asyncio.get_running_loop()
            patience = loop.time() + 0.1
            while loop.time() < patience:
                await b.ping("a")
            assert received + await rest_of(greedy) > STATE_BYTES


async def test_a_peer_that_only_knocks_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A health check connects and closes: there is nothing to wait for."""
    monkeypatch.setattr("gossip._io.bounds.LINGER_SECONDS", 3600.0)
    async with node("a") as a:
        reader, writer = await asyncio.open_connection(*a.address)
        writer.write_eof()
        assert await reader.read() == b""
        assert a._driver is not None
        while a._driver._streams._connections:
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()


async def test_another_thread_and_another_loop_are_refused() -> None:
    async with node("a") as a:
        caught: list[BaseException] = []

        def elsewhere() -> None:
            for call in (a.members, lambda: asyncio.run(a.join("127.0.0.1:1"))):
                try:
                    call()
                except gossip.WrongLoopError as error:
                    caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(caught) == 2
        assert "run_coroutine_threadsafe" in str(caught[0])


def lines_of_a(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.getMessage().startswith("a: ")]


async def test_each_change_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gossip")
    async with node("a") as a:
        updates, leaves = a.events(gossip.MemberUpdated), a.events(gossip.MemberLeft)
        async with node("b", a) as b:
            place = b.address
            await b.update_meta(b"new")
            await next_of(updates, gossip.MemberUpdated)
        await next_of(leaves, gossip.MemberLeft)
    lines = lines_of_a(caplog)
    assert lines[0].startswith("a: started at 127.0.0.1:")
    about_b = [line for line in lines if line.startswith("a: b ")]
    assert about_b == [f"a: b joined, at {place}", "a: b changed its metadata", "a: b left"]


async def test_a_failure_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gossip")
    async with node("a", **QUICK) as a:
        failures = a.events(gossip.MemberFailed)
        b = await node("b", a, **QUICK).start()
        place = b.address
        await b.close()
        await next_of(failures, gossip.MemberFailed)
    lines = lines_of_a(caplog)
    # Under load a quick node may be suspected for a moment before; in the end b was, for good.
    about_b = [line for line in lines if line.startswith("a: b ")]
    assert about_b[0] == f"a: b joined, at {place}"
    assert "a: b is suspected by a" in about_b
    assert about_b[-1].startswith("a: b failed: suspected by a ")
    assert about_b[-1].endswith(" s ago, confirmed by 0 more")
    record = next(each for each in caplog.records if "failed" in each.getMessage())
    assert (record.levelno, record.gossip_event) == (logging.WARNING, "failed")  # type: ignore


async def test_a_peer_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gossip")
    async with node("a") as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            for number in range(300):
                bare.sendto(alive(f"n{number}", "127.0.0.1", 9), a.address)
                if number % 16 == 0:
                    await asyncio.sleep(0)
            await next_of(events, gossip.MemberJoined, member="n299")
        written = [each for each in caplog.records if "joined, at" in each.getMessage()]
        assert 50 <= len(written) < 100
        assert a.stats().log_lines_suppressed == 300 - len(written)


async def test_what_a_peer_chose_cannot_break_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gossip")
    async with node("a") as a:
        events = a.events(gossip.MemberJoined)
        with stranger() as bare:
            packet = alive("bad?", "127.0.0.1", 9).replace(b"bad?", b"bad\xff")
            bare.sendto(packet, a.address)
            joined = await next_of(events, gossip.MemberJoined)
        assert joined.member.name == "bad\udcff"
        assert a.member("bad\udcff") == joined.member
    assert "a: bad\\udcff joined, at 127.0.0.1:9" in caplog.text
    assert printable("one\nline\x1b[0m") == "one\\nline\\x1b[0m"


def test_a_bucket_gives_a_burst_and_then_a_rate() -> None:
    bucket = Bucket(3, 2.0)
    assert [bucket.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take_refused() == 2
    assert bucket.take_refused() == 0
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_the_recent_is_remembered_for_its_interval_and_number() -> None:
    recent = Recent(60.0, 2)
    assert recent.first("a", 0.0)
    assert not recent.first("a", 59.0)
    assert recent.first("a", 60.0)
    assert recent.first("b", 60.0)
    assert recent.first("c", 60.0)
    assert recent.first("a", 61.0), "only two are remembered"
    assert not recent.first("c", 61.0)


async def test_send_errors_are_named_as_the_system_names_them() -> None:
    async with node("a") as a:
        with stranger() as bare:
            bare.sendto(alive("far", "255.255.255.255", 9), a.address)
            events = a.events(gossip.MemberJoined)
            await next_of(events, gossip.MemberJoined, member="far")
        await a.send("far", b"x")
        assert a.stats().send_errors == {errno.errorcode[errno.EACCES]: 1}
