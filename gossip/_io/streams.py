"""TCP streams: what the core's stream commands mean, and what the core is told about streams.

Every stream dies alone: whatever goes wrong on one is told to the core as that stream's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol, cast

from gossip._io import bounds, forks


class StreamCore(Protocol):
    """The part of `Swim` that streams need."""

    def accept_stream(self, ip: bytes, port: int, now: int) -> int: ...
    def stream_opened(self, stream: int, now: int) -> None: ...
    def stream_received(self, stream: int, data: bytes, now: int) -> None: ...
    def stream_ended(self, stream: int, now: int) -> None: ...
    def stream_failed(self, stream: int, text: str, now: int) -> None: ...


class Connection(asyncio.Protocol):
    """One stream. Writes piece by piece, as fast as the peer reads; then ends.

    stream: the core's number for it; None until the core has accepted an inbound one.
    """

    def __init__(self, streams: Streams, stream: int | None) -> None:
        self.stream = stream
        self._streams = streams
        self._inbound = stream is None
        self._transport: asyncio.Transport | None = None
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._paused = False
        self._peer_ended = False
        self._ending = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def reply_bytes(self) -> int:
        """What it holds of a reply that its peer has not read; of our own requests, nothing."""
        return self._unsent_bytes if self._inbound else 0

    @property
    def writing(self) -> bool:
        """Whether the system does not have all that is to be written yet."""
        return bool(self._unsent) or self._paused

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have its methods but not its class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # not paused: the system has it all
        self._streams.made(self, transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        if not self._ending:
            self._streams.received(self, bytes(data))

    def eof_received(self) -> bool:
        """Keeps the sending side open for a reply; closes when there is none to come."""
        self._peer_ended = True
        if self._ending and not self.writing:
            return False
        self._streams.ended(self)
        return True

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._feed()

    def connection_lost(self, error: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._unsent.clear()
        self._unsent_bytes = 0
        self._streams.lost(self, error)

    # What the core commands.

    def write(self, data: bytes) -> None:
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        self._feed()
        if not self._streams.may_hold(self):
            self._cut_off()

    def end(self) -> None:
        """Ends the stream after what waits was sent, or when the peer takes too long for it."""
        if self._ending:
            return
        self._ending = True
        self._feed()
        if not self.writing:
            return
        if self._inbound and not self._streams.may_linger(self):
            self._cut_off()
        else:
            self._after(self._streams.tcp_timeout, self._cut_off)

    def descriptor(self) -> int:
        """The number of its socket; -1 when it has none, or none any more."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _cut_off(self) -> None:
        """Ends it at once; what the peer has not read is thrown away."""
        if self._transport is not None and not self._transport.is_closing():
            self._streams.cut_off += 1
            self.abort()

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, call)

    def _feed(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        while self._unsent and not self._paused:
            piece = self._unsent[0][: bounds.WRITE_PIECE_BYTES]
            rest = self._unsent[0][len(piece) :]
            if rest:
                self._unsent[0] = rest
            else:
                self._unsent.popleft()
            self._unsent_bytes -= len(piece)
            transport.write(piece)
        if self._ending and not self.writing:
            self._finish(transport)

    def _finish(self, transport: asyncio.Transport) -> None:
        """The system has the last byte. A peer that dialled us shall see the end of our reply.

        To close while its own bytes still come in would reset the connection under our reply, so
        only the sending side is closed, and the rest when the peer closes or the time is up.
        """
        waits = self._inbound and not self._peer_ended and transport.can_write_eof()
        if waits and self._streams.may_linger(self):
            self._after(bounds.LINGER_SECONDS, self.abort)
            with contextlib.suppress(OSError):  # reset by the peer; the loop hears of it later
                transport.write_eof()
        else:
            transport.close()


class Streams:
    """All streams of a node, in both directions, by the core's numbers.

    tcp_timeout: seconds that a peer may take for the last of what we write (protocol §10).
    cut_off: streams that ended before their peers had read what was written to them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        core: StreamCore,
        pump: Callable[[], None],
        tcp_timeout: float,
    ) -> None:
        self.tcp_timeout = tcp_timeout
        self.cut_off = 0
        self._loop = loop
        self._core = core
        self._pump = pump
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._by_stream: dict[int, Connection] = {}
        self._dialling: dict[int, asyncio.Task[None]] = {}
        self._dialled: set[socket.socket] = set()  # until they are connections, or failed
        self._lingering: set[Connection] = set()
        self._empty: asyncio.Future[None] | None = None
        self._closed = False

    async def listen(self, listener: socket.socket) -> None:
        """Accepts streams from now on; the listener belongs to the streams then."""
        self._server = await self._loop.create_server(
            lambda: Connection(self, None), sock=listener, backlog=bounds.LISTEN_BACKLOG
        )

    def command(self, command: tuple[Any, ...]) -> None:
        """Carries out `open` (stream, ip, port), `write` (stream, data) or `close` (stream)."""
        match command:
            case ("open", stream, ip, port):
                task = self._loop.create_task(self._dial(stream, ip, port))
                self._dialling[stream] = task
                # Not by the task itself: one that is cancelled before its first step has none.
                task.add_done_callback(lambda _: self._dialling.pop(stream, None))
            case ("write", stream, data) if stream in self._by_stream:
                self._by_stream[stream].write(data)
            case ("close", stream):
                self._end(stream)

    def forked(self) -> None:
        """In a child: the sockets are the parent's, whatever this loop still runs."""
        if self._closed:  # none is left, and what were their numbers may be others'
            return
        self.silence()
        listening = self._server.sockets if self._server is not None else ()
        streams = [connection.descriptor() for connection in self._connections]
        streams += [sock.fileno() for sock in self._dialled]
        forks.deaden(
            [listener.fileno() for listener in listening], [each for each in streams if each >= 0]
        )

    def silence(self) -> None:
        """From now on the core is told nothing."""
        self._closed = True

    async def close(self) -> None:
        """Ends everything at once, without a word; returns when all is released."""
        self.silence()
        if self._server is not None:
            self._server.close()
        tasks = list(self._dialling.values())
        for task in tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.abort()
        if tasks:
            await asyncio.wait(tasks)
        if self._connections:
            self._empty = self._loop.create_future()
            await self._empty

    # What connections report.

    def made(self, connection: Connection, peer: Any) -> None:
        self._connections.add(connection)
        now = time.monotonic_ns()
        if self._closed:
            connection.abort()
        elif connection.stream is not None:
            self._by_stream[connection.stream] = connection
            self._core.stream_opened(connection.stream, now)
            self._pump()
        else:
            stream = self._accept(peer, now)
            if stream < 0:
                connection.abort()
                return
            connection.stream = stream
            self._by_stream[stream] = connection
            self._pump()

    def may_linger(self, connection: Connection) -> bool:
        """Whether a finished stream may wait for its peer: only so many at once, who would hold
        descriptors that the core no longer counts."""
        if len(self._lingering) < bounds.LINGERING_MAX:
            self._lingering.add(connection)
        return connection in self._lingering

    def may_hold(self, connection: Connection) -> bool:
        """Whether a reply may wait for its peer to read it: a little always, more as long as there
        is room for it."""
        if connection.reply_bytes <= bounds.REPLY_GRANT_BYTES:
            return True
        return sum(each.reply_bytes for each in self._connections) <= bounds.REPLIES_BYTES

    def received(self, connection: Connection, data: bytes) -> None:
        if connection.stream is not None and not self._closed:
            self._core.stream_received(connection.stream, data, time.monotonic_ns())
            self._pump()

    def ended(self, connection: Connection) -> None:
        if connection.stream is None or self._closed:
            return
        self._pump()  # the core may have more to write than the connection knows yet
        now = time.monotonic_ns()
        if connection.writing:
            self._core.stream_failed(connection.stream, "the peer did not read all of it", now)
        else:
            self._core.stream_ended(connection.stream, now)
        self._pump()

    def lost(self, connection: Connection, error: Exception | None) -> None:
        self._connections.discard(connection)
        self._lingering.discard(connection)
        if self._empty is not None and not self._connections and not self._empty.done():
            self._empty.set_result(None)
        if connection.stream is None or self._by_stream.pop(connection.stream, None) is None:
            return
        if self._closed:
            return
        now = time.monotonic_ns()
        if error is None:
            self._core.stream_ended(connection.stream, now)
        else:
            self._core.stream_failed(connection.stream, reason_of(error), now)
        self._pump()

    def _accept(self, peer: Any, now: int) -> int:
        """The core's number for an inbound stream; -1: it takes no more, or the peer is gone."""
        if not peer:
            return -1
        ip = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        return self._core.accept_stream(unmapped(ip).packed, peer[1], now)

    # Dialling.

    async def _dial(self, stream: int, ip: bytes, port: int) -> None:
        if self._closed:
            return
        try:
            await self._connect(stream, ip, port)
        except Exception as error:
            if not self._closed:
                self._core.stream_failed(stream, reason_of(error), time.monotonic_ns())
                self._pump()

    async def _connect(self, stream: int, ip: bytes, port: int) -> None:
        """As `create_connection` does by itself, but a child of a fork can find the socket."""
        family = socket.AF_INET6 if len(ip) == 16 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        self._dialled.add(sock)
        try:
            sock.setblocking(False)
            await connected(self._loop, sock, (str(ipaddress.ip_address(ip)), port))
            await self._loop.create_connection(lambda: Connection(self, stream), sock=sock)
        except BaseException:
            sock.close()
            raise
        finally:
            self._dialled.discard(sock)

    def _end(self, stream: int) -> None:
        connection = self._by_stream.get(stream)
        if connection is not None:
            connection.end()
        elif stream in self._dialling:
            self._dialling[stream].cancel()


async def connected(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, address: tuple[str, int]
) -> None:
    """Connects to an IP address. uvloop's `sock_connect` would look it up on a thread, and a child
    of a fork could take the answer."""
    try:
        sock.connect(address)
    except BlockingIOError:
        writable = asyncio.Event()
        loop.add_writer(sock, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error)) from None


def unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """IPv4 seen through an IPv6 socket is IPv4."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def reason_of(error: Exception) -> str:
    """Why a stream failed, in a few words."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
