"""How long one entry of the core may hold its thread, in CPU time, with very many members.

Times are told in a loop of pure Python that takes about 200 us on a 2.6 GHz core, so that slow
machines may be slow. What else runs on the machine makes single entries longer: a few in a hundred
may be, and none by much; and of five runs, which all do the same, one has to be as it should.
`GOSSIP_MEMBERS=100000` is the largest table that is promised.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gossip import _aead
from gossip._core import Envelope, Swim, encode_stream
from gossip._udp import UNDONE, Endpoint
from tests.sim import wire
from tests.sim.settings import EPOCH, lan

MEMBERS = int(os.environ.get("GOSSIP_MEMBERS", "30000"))
PIECE = 65536
KEY = bytes(range(32))
SOURCE = (bytes((192, 0, 2, 1)), 4000)
QUIET = {"gossip_interval_ns": 0, "push_pull_interval_ns": 0}


def reference_ns() -> int:
    def once() -> int:
        start = time.thread_time_ns()
        sum(range(13_000))
        return time.thread_time_ns() - start

    return min(once() for _ in range(30))


class Entries:
    """Calls a core and keeps the CPU time of each call."""

    def __init__(self, **changes: Any) -> None:
        self.swim = Swim(
            lan(max_members=1 << 20, **changes), name=b"self", address=bytes((10, 0, 0, 1)),
            port=7946, seed=1,
        )  # fmt: skip
        self.swim.start(EPOCH)
        self.taken: list[int] = []

    def call(self, entry: Callable[..., Any], *arguments: Any) -> Any:
        start = time.thread_time_ns()
        result = entry(*arguments)
        self.taken.append(time.thread_time_ns() - start)
        return result

    def exchange(self, request: bytes) -> bytes:
        """Serve one push/pull that comes in pieces; the reply."""
        written = []
        stream = self.swim.accept_stream(*SOURCE, EPOCH)
        for at in range(0, len(request), PIECE):
            self.call(self.swim.stream_received, stream, request[at : at + PIECE], EPOCH)
            while (deadline := self.swim.next_deadline()) and deadline[1] == "work":
                self.call(self.swim.tick, EPOCH)
                written += [command[2] for command in self.swim.commands() if command[0] == "write"]
                self.swim.events()
        return b"".join(written)

    def due(self) -> int:
        deadline = self.swim.next_deadline()
        assert deadline is not None
        return deadline[0]

    def tick_through(self, now: int) -> None:
        """Ticks until nothing is due."""
        while self.due() <= now:
            self.call(self.swim.tick, now)
            self.swim.events()
            self.swim.transmits()
            self.swim.commands()

    def end_suspicions(self) -> int:
        """Lets time pass until none is left; the time then."""
        while self.swim.stats()["suspicions_running"]:
            now = self.due()
            self.tick_through(now)
        return now

    def fault(self) -> str:
        unit = reference_ns()
        slow = sorted(taken for taken in self.taken if taken > unit)
        if len(slow) > max(8, len(self.taken) // 50) or max(self.taken) > 10 * unit:
            return f"{len(slow)} of {len(self.taken)} entries above {unit} ns: {slow[-5:]}"
        return ""


def check(run: Callable[[], list[Entries]]) -> None:
    """One of five runs of the same has short entries only."""
    faults = []
    for _ in range(5):
        fault = "; ".join(filter(None, (each.fault() for each in run())))
        if not fault:
            return
        faults.append(fault)
    pytest.fail("\n".join(faults))


def address(number: int) -> bytes:
    return bytes((10, *(number + 1).to_bytes(3, "big")))


@pytest.fixture(scope="module")
def request_of_all() -> bytes:
    nodes = [wire.push_node(b"node-%d" % n, address(n), 7946, 1) for n in range(MEMBERS)]
    return wire.push_pull(nodes, join=True)


def knowing_all(request: bytes, **changes: Any) -> Entries:
    """A node that has merged them, and whose calls are timed from now on."""
    entries = Entries(**changes)
    entries.exchange(request)
    assert entries.swim.member_count == MEMBERS + 1
    entries.taken.clear()
    return entries


def hand_key_to(entries: Entries) -> Envelope:
    """Lets a node seal as it does by default, and gives what seals for it."""
    backend = _aead.choose("auto")
    entries.swim.set_keys([backend.cipher(KEY)], backend.nonces)
    return Envelope(keys=[backend.cipher(KEY)], refill=backend.nonces, compression=False)


@pytest.mark.parametrize(("compression", "sealed"), [(0, False), (1, False), (0, True)])
def test_a_push_pull_with_very_many_members_on_both_sides(
    request_of_all: bytes, compression: int, sealed: bool
) -> None:
    if sealed and _aead.choose("auto").needs_gil:
        pytest.skip("no EVP here: a cipher of Python takes every text in one go")

    def run() -> list[Entries]:
        entries, again = Entries(enable_compression=compression), Entries()
        requests = [request_of_all] * 2
        if sealed:
            hand_key_to(again)
            envelope = hand_key_to(entries)
            requests = [encode_stream(envelope, request) for request in requests]
        entries.exchange(requests[0])
        assert entries.swim.member_count == MEMBERS + 1
        again.exchange(entries.exchange(requests[1]))
        assert again.swim.member_count == MEMBERS + 1
        return [entries, again]

    check(run)


def test_growing_member_by_member_and_probing_them_all() -> None:
    def run() -> list[Entries]:
        entries = Entries(push_pull_interval_ns=0, gossip_interval_ns=0, disable_tcp_pings=1)
        swim = entries.swim
        for number in range(MEMBERS):
            alive = wire.alive(b"node-%d" % number, address(number), 7946, 1)
            entries.call(swim.receive, [(alive, *SOURCE)], EPOCH)
            if number % 64 == 0:
                swim.events()
        assert swim.member_count == MEMBERS + 1
        probed: set[bytes] = set()
        deadline = swim.next_deadline()
        while deadline is not None and len(probed) < MEMBERS:
            entries.call(swim.tick, deadline[0])
            for data, ip, port in swim.transmits():
                for message in wire.read(data):
                    if message.kind == "ping":
                        probed.add(ip)
                        swim.receive([(wire.ack(message["SeqNo"]), ip, port)], deadline[0])
            deadline = swim.next_deadline()
        return [entries]

    check(run)


def accuse_all(entries: Entries) -> None:
    """Somebody suspects every member at the same time."""
    for first in range(0, MEMBERS, 32):
        names = range(first, min(MEMBERS, first + 32))
        claims = [wire.suspect(b"node-%d" % n, 1, b"node-0") for n in names]
        entries.swim.receive([(wire.compound(claims), *SOURCE)], EPOCH)
        entries.swim.events()
    assert entries.swim.stats()["suspicions_running"] == MEMBERS


def test_all_suspicions_that_end_in_one_moment(request_of_all: bytes) -> None:
    def run() -> list[Entries]:
        entries = knowing_all(request_of_all, **QUIET)
        accuse_all(entries)
        entries.end_suspicions()
        assert len(entries.taken) > MEMBERS // 100
        return [entries]

    check(run)


def test_a_stall_while_everybody_is_suspected(request_of_all: bytes) -> None:
    """And all of them get their time to refute."""

    def run() -> list[Entries]:
        entries = knowing_all(request_of_all, **QUIET)
        accuse_all(entries)
        late = EPOCH + 3600 * 10**9
        entries.tick_through(late)
        stats = entries.swim.stats()
        assert (stats["stalls"], stats["suspicions_running"]) == (1, MEMBERS)
        return [entries]

    check(run)


def test_nobody_to_choose_among_very_many(request_of_all: bytes) -> None:
    """All are dead, and neither a helper nor somebody to synchronise with is found."""

    def run() -> list[Entries]:
        entries = knowing_all(request_of_all, gossip_interval_ns=0)
        accuse_all(entries)
        end = entries.end_suspicions() + 300 * 10**9
        entries.taken.clear()
        while (now := entries.due()) < end:
            entries.tick_through(now)
        return [entries]

    check(run)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 << 20)
        for each in (ours, theirs):
            each.bind(("127.0.0.1", 0))
        yield ours, theirs


@pytest.mark.parametrize("kind", ["new names", "accusations"])
def test_one_wake_up_with_datagrams_full_of_changes(
    request_of_all: bytes, kind: str, sockets: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = sockets
    each = 32
    if kind == "accusations":
        claims = [wire.suspect(b"node-%d" % n, 1, b"node-0") for n in range(48 * each)]
    else:
        claims = [wire.alive(b"other-%d" % n, address(n), 7946, 1) for n in range(48 * each)]
    datagrams = [wire.compound(claims[at : at + each]) for at in range(0, len(claims), each)]

    def run() -> list[Entries]:
        entries = knowing_all(request_of_all, **QUIET)
        endpoint = Endpoint(ours.fileno(), False, entries.swim)
        for datagram in datagrams:
            theirs.sendto(datagram, ours.getsockname())
        while entries.call(endpoint.on_readable) & UNDONE or (
            entries.swim.stats()["packets_received"] < len(datagrams)
        ):
            entries.swim.events()
        stats = entries.swim.stats()
        changed = stats["suspicions_running"] or entries.swim.member_count - MEMBERS - 1
        assert changed == len(claims)
        assert len(entries.taken) > 48
        return [entries]

    check(run)
