"""What a fork does to running nodes: the child is refused, stays silent, and takes nothing."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import warnings
from typing import Any

import gossip
import gossip.blocking
from gossip._core import encode_message
from gossip._io.thread import ThreadDriver

from .nodes import SECONDS_MAX, next_of, node, stranger


async def test_a_forked_child_is_refused_and_stays_silent() -> None:
    async with node("a") as a, node("b", a) as b:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of forks beside threads; this child only asks and exits.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.write(writing, _in_child(a).encode())
            os._exit(0)
        os.close(writing)
        said = await asyncio.to_thread(_read_all, reading)
        os.waitpid(child, 0)
        assert said == "members ForkedError; ping ForkedError; close ForkedError; reader 0"
        assert await b.ping("a") > 0
        assert await a.ping("b") > 0


async def test_a_child_that_keeps_its_loop_takes_no_stream_from_its_parent() -> None:
    """The two have the same sockets and hear of the same events; here the child hears first."""
    async with node("a") as a, node("b", a) as b:
        news = a.events(gossip.MessageReceived)
        with _dialled(a) as before, socket.socket() as after, stranger() as bare:
            before.sendall(_STREAM_PING[:5])
            while not a.stats().core["streams_open"]:
                await a.ping("b")  # the loop turns, until a holds that stream
            child, ask, turned = await _child_that_turns()
            before.sendall(_STREAM_PING[5:])
            after.connect((a.address.host, a.address.port))
            after.sendall(_STREAM_PING)
            bare.sendto(b"\x08news", a.address)
            if isinstance(a._driver, ThreadDriver):
                told = a._driver._worker.fileno()
                assert select.select([told], [], [], SECONDS_MAX)[0], "the thread has news"
            os.write(ask, b".")
            assert select.select([turned], [], [], SECONDS_MAX)[0], "the child turns its loop"
            for stream in (before, after):
                stream.setblocking(False)
                async with asyncio.timeout(SECONDS_MAX):
                    assert await asyncio.get_running_loop().sock_recv(stream, 100)
            assert (await next_of(news, gossip.MessageReceived)).payload == b"news"
            assert 0 < await a.ping("b") < 1
            os.close(ask)
            await asyncio.to_thread(os.waitpid, child, 0)
        assert 0 < await b.ping("a") < 1


async def test_a_child_that_keeps_its_loop_takes_no_dial_from_its_parent() -> None:
    """The dial is under way at the fork, and the child hears first that it is through."""
    async with node("b") as b, node("a", retry_join=0) as a:
        joining = asyncio.create_task(a.join(str(b.address)))
        assert a._driver is not None
        while not a._driver._streams._dialling:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # its first step, which calls; the loop has not looked since
        child, ask, turned = await _child_that_turns()
        try:
            os.write(ask, b".")
            assert select.select([turned], [], [], SECONDS_MAX)[0], "the child turns its loop"
            assert (await joining).reached == 1
        finally:
            os.close(ask)
            await asyncio.to_thread(os.waitpid, child, 0)
        assert 0 < await b.ping("a") < 1


_STREAM_PING = encode_message("ping", {"SeqNo": 7, "Node": "a"})


def _dialled(node_: gossip.Memberlist) -> socket.socket:
    return socket.create_connection((node_.address.host, node_.address.port))


async def _child_that_turns() -> tuple[int, int, int]:
    """A child that turns its loop for each byte written to the first pipe, and then says so in the
    second one; its number, and those."""
    asked, ask = os.pipe()
    turned, say = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(ask)
        await _turn(asked, say)
    os.close(say)
    return child, ask, turned


async def _turn(asked: int, say: int) -> None:
    """The child's: turns its loop when it is asked to, until nobody can ask any more."""
    try:
        while os.read(asked, 1):
            for _ in range(20):
                await asyncio.sleep(0)
            os.write(say, b".")
    finally:
        os._exit(0)


def _in_child(node_: gossip.Memberlist) -> str:
    said = []
    for name, call in (
        ("members", node_.members),
        ("ping", lambda: _step(node_.ping("b"))),
        ("close", lambda: _step(node_.close())),
    ):
        try:
            call()
            said.append(f"{name} worked")
        except Exception as error:
            said.append(f"{name} {type(error).__name__}")
    driver = node_._driver
    assert driver is not None
    return "; ".join([*said, f"reader {driver.endpoint.on_readable()}"])


def _step(coroutine: Any) -> None:
    """Runs a coroutine up to its first wait; there is no loop in the child."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


def _read_all(descriptor: int) -> str:
    with os.fdopen(descriptor) as pipe:
        return pipe.read()


async def test_a_node_that_is_closed_already_keeps_no_other_from_falling_silent() -> None:
    def opened_and_closed() -> object:
        with gossip.blocking.Memberlist("closed", bind="127.0.0.1:0") as closed:
            return closed

    kept = await asyncio.to_thread(opened_and_closed)
    async with node("a") as a:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os._exit(0 if a._driver is not None and a._driver.closed else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert kept is not None
