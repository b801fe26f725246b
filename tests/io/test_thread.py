"""The thread driver: what it answers while the interpreter cannot, and how it ends.

That it is otherwise the same object, the other tests of this folder show: they run on it, too.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import select
import threading
import warnings

import pytest

import gossip
from gossip._core import Identities, Swim, decode_packet, encode_message
from gossip._udp import Endpoint
from gossip._worker import Worker

from .nodes import SECONDS_MAX, alive, next_of, node, stranger
from .processes import process


def ping(seq: int) -> bytes:
    return encode_message("ping", {"SeqNo": seq, "Node": "stalled"})


def test_pings_are_answered_while_no_other_python_can_run() -> None:
    with process("stall") as child, stranger() as peer:
        peer.settimeout(SECONDS_MAX)
        for seq in range(100):
            peer.sendto(ping(seq), child.address)
            ack = decode_packet(peer.recv(2000))["message"]
            assert (ack["type_name"], ack["body"]["SeqNo"]) == ("ackResp", seq)
        # Not a byte was read so far: the child held the GIL all the time.
        child.go_on()
        assert int(child.line()) == 100
        child.go_on()
        assert child.process.wait(SECONDS_MAX) == 0


@pytest.mark.parametrize(
    ("how", "code", "last"),
    [("exit", 0, "stalled"), ("raise", 3, ""), ("forget", 0, "[]"), ("fork", 0, "4")],
)
def test_a_process_ends_whose_node_was_never_closed(how: str, code: int, last: str) -> None:
    """Under a flood: its thread is at work. `forget`: that ends with the last reference."""
    with process(how) as child, stranger() as peer:
        for number in range(2000):
            peer.sendto(alive(f"n{number}", "127.0.0.1", 9), child.address)
        assert child.rest() == (last, "")
        assert child.process.wait(SECONDS_MAX) == code


def packet_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("gossip packets")]


async def test_the_thread_lives_from_start_to_close() -> None:
    async with node("a", driver="thread") as a:
        assert [thread.name for thread in packet_threads()] == ["gossip packets of a"]
        assert all(thread.daemon for thread in packet_threads())
        assert a.local_member.name == "a"
    assert packet_threads() == []


async def test_children_may_end_while_the_thread_is_at_work() -> None:
    async with node("a", driver="thread") as a, node("b", a) as b:
        with stranger() as bare, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for number in range(20):
                for name in range(50):
                    bare.sendto(alive(f"n{number}-{name}", "127.0.0.1", 9), a.address)
                child = os.fork()
                if child == 0:
                    os._exit(_in_child(a))
                assert os.waitpid(child, 0)[1] == 0
        assert await b.ping("a") > 0


def _in_child(a: gossip.Memberlist) -> int:
    try:
        a.members()
    except gossip.ForkedError:
        a._driver = None
        gc.collect()
        return 0
    return 1


async def test_calls_and_packets_may_come_at_the_same_time() -> None:
    key, other = gossip.generate_key(), gossip.generate_key()
    async with node("a", driver="thread", key=key) as a, node("b", a, key=key) as b:
        b.keyring.add(other)
        events = a.events(gossip.MemberUpdated)
        asked = [b.ping("a") for _ in range(200)]
        answered = asyncio.gather(*asked)
        for number in range(200):
            assert {member.name for member in a.members()} == {"a", "b"}
            assert a.stats().members["alive"] == 2
            a.set_local_state(bytes(number))
            a.broadcast(b"x" * number, name="x")
            if number % 10 == 0:
                a.keyring.add(other)
                a.keyring.remove(other)
                await b.update_meta(b"%d" % number)
                await next_of(events, gossip.MemberUpdated, member="b")
        assert all(seconds > 0 for seconds in await answered)


async def test_a_consumer_that_raises_harms_nobody() -> None:
    async def consume() -> None:
        async for event in events:
            raise ZeroDivisionError(event)

    async with node("a", driver="thread") as a:
        events = a.events()
        with pytest.raises(ZeroDivisionError):
            await consume()
        async with node("b", a) as b:
            assert await b.ping("a") > 0


async def test_python_that_seals_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gossip")
    key = gossip.generate_key()
    async with (
        node("a", driver="thread", key=key, aead="cryptography") as a,
        node("b", a, key=key) as b,
    ):
        assert await b.ping("a") > 0
        assert await a.ping("b") > 0
    assert "a: packets are sealed by cryptography, which needs the GIL" in caplog.text


def shared_core(port: int) -> Swim:
    core = Swim(gossip.Config().settings(), name=b"x", address=b"\x7f\0\0\x01", port=port, seed=1)
    core.share()
    core.start(0)
    return core


def test_the_loop_is_told_once_for_whatever_waits() -> None:
    with stranger() as mine, stranger() as peer:
        core = shared_core(mine.getsockname()[1])
        assert len(core.events()) == 1, "its own"
        worker = Worker(Endpoint(mine.fileno(), False, core, apart=True))
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        for number in range(50):
            peer.sendto(alive(f"n{number}", "127.0.0.1", 9), mine.getsockname())
        while core.stats()["packets_received"] < 50:
            pass
        assert select.select([worker], [], [], SECONDS_MAX)[0]
        assert os.eventfd_read(worker.fileno()) == 1
        worker.heard()
        assert len(core.events()) == 50
        peer.sendto(alive("late", "127.0.0.1", 9), mine.getsockname())
        assert select.select([worker], [], [], SECONDS_MAX)[0], "it is told again"
        worker.stop()
        worker.stop()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()


def test_a_thread_is_not_let_into_a_core_without_a_lock() -> None:
    core = Swim(gossip.Config().settings(), name=b"x", address=bytes(4), port=1, seed=1)
    with stranger() as mine, pytest.raises(ValueError, match="not shared"):
        Worker(Endpoint(mine.fileno(), False, core, apart=True))


def test_a_thread_is_not_let_into_a_core_whose_identities_others_may_use() -> None:
    common = Identities()
    settings = gossip.Config().settings()
    core = Swim(settings, name=b"x", address=bytes(4), port=1, seed=1, identities=common)
    with pytest.raises(ValueError, match="without `identities`"):
        core.share()
    with stranger() as mine, pytest.raises(ValueError, match="not shared"):
        Worker(Endpoint(mine.fileno(), False, core, apart=True))
