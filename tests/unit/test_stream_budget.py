"""What streams of others may take of a node: of its memory, and of its places for streams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from gossip._core import encode_message
from tests.sim import wire
from tests.sim.settings import SECOND
from tests.sim.solo import Solo

MIB = 1 << 20
GRANT = MIB // 4
BUDGET = 128 * MIB
ONE_ADDRESS = 48 * MIB
SEALED = b"\x0a" + (20 * MIB).to_bytes(4, "big")
"""The head of a request that shows who sent it when all of it has come."""

BUSY = "the streams of others hold too many bytes; try again"


class Line:
    """One stream to the node, from an address of the documentation's network."""

    def __init__(self, dialled: Dialled, stream: int) -> None:
        self._dialled, self.stream = dialled, stream
        self.sent = 0
        self.written = b""  # the first piece
        self.replied = 0
        self.closed = False

    def send(self, data: bytes) -> None:
        swim, solo = self._dialled.swim, self._dialled.solo
        swim.stream_received(self.stream, data, solo.now)
        self._dialled.take()
        self.sent += len(data)

    def send_junk(self, size: int) -> None:
        """A sealed request without its end."""
        self.send(SEALED)
        while self.sent < size and not self.closed:
            self.send(bytes(MIB // 2))


class Dialled:
    """All streams to one node."""

    def __init__(self, solo: Solo) -> None:
        self.solo, self.swim = solo, solo.swim
        self.lines: dict[int, Line] = {}
        self._ports: Iterator[int] = count(40_000)

    def connect(self, number: int) -> Line | None:
        """From address `number`; None when the node takes no more."""
        place = bytes((192, 0, 2, number)), next(self._ports)
        stream = self.swim.accept_stream(*place, self.solo.now)
        return self.lines.setdefault(stream, Line(self, stream)) if stream >= 0 else None

    def connected(self, number: int) -> Line:
        line = self.connect(number)
        assert line is not None
        return line

    def take(self) -> None:
        for command in self.swim.commands():
            line = self.lines[command[1]]
            if command[0] == "write" and not line.written:
                line.written = command[2]
            if command[0] == "write":
                line.replied += len(command[2])
            if command[0] == "close":
                line.closed = True

    def work(self) -> None:
        """All that waits to be done."""
        while (deadline := self.swim.next_deadline()) and deadline[1] == "work":
            for _ in range(100):
                self.swim.tick(self.solo.now)
            self.take()

    def wait(self, seconds: int) -> None:
        self.solo.now += seconds * SECOND
        self.swim.tick(self.solo.now)
        self.work()


def junk(dialled: Dialled, addresses: int, each: int) -> list[Line]:
    """Many requests of 15 MiB that never come to their end."""
    lines = [dialled.connected(10 + n) for n in range(addresses) for _ in range(each)]
    for line in lines:
        line.send_junk(15 * MIB)
    return lines


def error_of(line: Line) -> str:
    """What the node told the peer."""
    return str(wire.read_stream(line.written, reply=True)["body"]["Error"])


def encrypted() -> Dialled:
    return Dialled(Solo.start(keys=[bytes(32)]))


def test_strangers_hold_no_more_than_the_budget_and_their_grants() -> None:
    dialled = encrypted()
    lines = junk(dialled, addresses=20, each=4)
    held = sum(line.sent for line in lines if not line.closed)
    assert BUDGET * 3 // 4 < held <= BUDGET + len(lines) * GRANT
    failed = sum(line.closed for line in lines)
    assert failed > 60
    stats = dialled.swim.stats()
    assert stats["streams_over_budget"] == stats["streams_failed"] == failed
    assert stats["streams_refused"] == 0


def test_one_address_holds_no_more_than_its_share() -> None:
    dialled = encrypted()
    lines = junk(dialled, addresses=1, each=20)
    held = sum(line.sent for line in lines if not line.closed)
    assert ONE_ADDRESS * 3 // 4 < held <= ONE_ADDRESS + len(lines) * GRANT
    another = dialled.connected(200)
    another.send_junk(15 * MIB)
    assert not another.closed


def test_what_a_stream_held_is_free_when_it_is_over() -> None:
    dialled = encrypted()
    first = junk(dialled, addresses=20, each=1)
    assert not dialled.connected(200).closed
    assert any(line.closed for line in first)
    dialled.wait(10)
    assert all(line.closed for line in first)
    again = junk(dialled, addresses=8, each=1)
    assert [line.closed for line in again] == [False] * 8


def test_a_small_request_is_served_whatever_others_hold() -> None:
    dialled = Dialled(Solo.start())
    for line in [dialled.connected(10 + n) for n in range(20)]:
        line.send(wire.user_message(b"", length=20 * MIB))
        while not line.closed and line.sent < 15 * MIB:
            line.send(bytes(MIB // 2))
    node = wire.push_node(b"late", bytes((10, 0, 1, 1)), 7946, 1)
    honest = dialled.connected(200)
    honest.send(wire.push_pull([node], join=True))
    dialled.work()
    assert wire.read_stream(honest.written, reply=True)["type_name"] == "pushPull"
    assert dialled.swim.member(b"late") is not None


def test_a_peer_whose_bytes_do_not_fit_is_told_why() -> None:
    dialled = Dialled(Solo.start())
    lines = [dialled.connected(10) for _ in range(5)]
    for line in lines:
        line.send(wire.user_message(b"", length=20 * MIB))
        while not line.closed and line.sent < 15 * MIB:
            line.send(bytes(MIB // 2))
    assert [line.closed for line in lines] == [False, False, False, True, True]
    assert error_of(lines[3]) == BUSY


def test_replies_that_are_made_are_held_to_the_budget_too() -> None:
    dialled = Dialled(Solo.start(enable_compression=0))
    dialled.swim.set_local_state(bytes(20 * MIB))
    asking = encode_message("pushPull", {"Nodes": 0, "UserStateLen": 0, "Join": False})
    lines = [dialled.connected(10 + n) for n in range(10)]
    for line in lines:
        line.send(asking)
    dialled.work()
    whole = [line for line in lines if line.replied > 20 * MIB]
    refused = [line for line in lines if line.replied < MIB]
    assert len(whole) + len(refused) == 10
    assert 5 <= len(whole) <= 7
    assert {error_of(line) for line in refused} == {BUSY}


def test_one_address_does_not_get_the_last_places() -> None:
    dialled = Dialled(Solo.start())
    assert sum(dialled.connect(1) is not None for _ in range(200)) == 112
    assert sum(dialled.connect(2) is not None for _ in range(200)) == 4
    assert [dialled.connect(3 + n) is not None for n in range(12)] == [True] * 11 + [False]
    assert dialled.swim.stats()["streams_refused"] == 88 + 196 + 1
