"""Large push/pulls are read, written and merged in slices: what the slices add up to."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import lzw_compress, lzw_decompress
from tests.sim import wire
from tests.sim.settings import SECOND
from tests.sim.solo import Solo

MANY = 2000
STRANGER = (bytes((192, 0, 2, 1)), 50_000)


def entry(number: int) -> dict[str, object]:
    return wire.push_node(b"node-%d" % number, bytes((10, 1, *number.to_bytes(2, "big"))), 7946, 1)


def table(count: int = MANY) -> bytes:
    return wire.push_pull([entry(number) for number in range(count)], join=True)


def large(**changes: Any) -> Solo:
    """A node that knows many members."""
    solo = Solo.start(push_pull_interval_ns=0, **changes)
    solo.dial(table())
    assert solo.swim.member_count == MANY + 1
    return solo


class Slices:
    """One inbound stream, driven tick by tick."""

    def __init__(self, solo: Solo) -> None:
        self.solo, self.swim = solo, solo.swim
        self.stream = self.swim.accept_stream(*STRANGER, solo.now)
        self.written = b""
        self.closed = False

    def feed(self, data: bytes) -> None:
        self.swim.stream_received(self.stream, data, self.solo.now)
        self.take()

    def take(self) -> None:
        for command in self.swim.commands():
            if command[:2] == ("write", self.stream):
                self.written += command[2]
            if command[:2] == ("close", self.stream):
                self.closed = True

    @property
    def waits(self) -> bool:
        deadline = self.swim.next_deadline()
        return deadline is not None and deadline[1] == "work"

    def tick(self) -> None:
        self.swim.tick(self.solo.now)
        self.take()

    def finish(self) -> int:
        ticks = 0
        while self.waits:
            self.tick()
            ticks += 1
        return ticks


def test_a_small_push_pull_is_done_with_at_once() -> None:
    slices = Slices(Solo.start())
    slices.feed(table(3))
    assert slices.closed
    assert not slices.waits


def test_a_large_one_is_answered_in_many_ticks_and_merged_after_the_answer() -> None:
    slices = Slices(Solo.start())
    slices.feed(table())
    ticks = 0
    while slices.waits:
        assert slices.written or slices.swim.member_count == 1
        slices.tick()
        ticks += 1
    assert ticks > 20
    assert slices.closed
    assert slices.swim.member_count == MANY + 1
    assert wire.read_stream(slices.written, reply=True)["header"]["Nodes"] == 1


def test_a_large_table_is_written_whole_each_row_once() -> None:
    slices = Slices(large())
    slices.feed(wire.push_pull([]))
    assert slices.finish() > 5
    sent = wire.read_stream(slices.written, reply=True)
    names = [node["Name"] for node in sent["nodes"]]
    assert sent["header"]["Nodes"] == len(names) == len(set(names)) == MANY + 1


@pytest.mark.parametrize("compression", [0, 1])
def test_a_large_user_state_is_copied_in_slices(compression: int) -> None:
    solo = Solo.start(enable_compression=compression)
    solo.swim.set_local_state(bytes(1 << 20))
    slices = Slices(solo)
    slices.feed(wire.push_pull([]))
    ticks = 0
    while not slices.written:
        slices.tick()
        ticks += 1
    assert ticks > 5
    slices.finish()
    assert wire.read_stream(slices.written, reply=True)["user_state"] == bytes(1 << 20)


def test_what_is_compressed_in_slices_is_what_compressing_at_once_gives() -> None:
    slices = Slices(large(enable_compression=1))
    slices.feed(wire.push_pull([]))
    slices.finish()
    at = slices.written.index(b"Buf") + 3
    packed = slices.written[at + {0xDA: 3, 0xDB: 5}[slices.written[at]] :]
    plain = lzw_decompress(packed)
    assert len(plain) > 100_000
    assert lzw_compress(plain) == packed


def test_what_a_label_and_a_key_go_around_is_read_again() -> None:
    key = bytes(range(16))
    solo = large(keys=[key], label=b"blue", gossip_verify_incoming=0, skip_inbound_label_check=1)
    slices = Slices(solo)
    slices.feed(wire.push_pull([]))
    slices.finish()
    sent = wire.read_stream(slices.written, [key], b"blue", reply=True)
    assert sent["encryption"]
    assert len(sent["nodes"]) == MANY + 1


def test_a_table_that_shrinks_under_its_writer_keeps_its_promise() -> None:
    solo = large(gossip_to_the_dead_time_ns=1, disable_tcp_pings=1)
    for first in range(100, MANY, 100):
        solo.hear(*(wire.dead(b"node-%d" % n, 1, b"x") for n in range(first, first + 100)))
    slices = Slices(solo)
    slices.feed(wire.push_pull([]))
    before = solo.swim.member_count
    for _ in range(4):
        solo.now += SECOND
        slices.tick()
    assert solo.swim.member_count < before, "the old dead were not dropped meanwhile"
    slices.finish()
    sent = wire.read_stream(slices.written, reply=True)
    names = [node["Name"] for node in sent["nodes"] if node["Name"] != "self"]
    assert sent["header"]["Nodes"] == len(sent["nodes"]) == MANY + 1
    assert len(names) == len(set(names)) < MANY


def test_a_table_that_grows_under_its_writer_keeps_its_promise() -> None:
    slices = Slices(large())
    slices.feed(wire.push_pull([]))
    for number in range(50):
        newcomer = wire.alive(b"late-%d" % number, bytes((10, 9, 0, number)), 7946, 1)
        slices.swim.receive([(newcomer, *STRANGER)], slices.solo.now)
    slices.finish()
    sent = wire.read_stream(slices.written, reply=True)
    names = {node["Name"] for node in sent["nodes"]}
    assert sent["header"]["Nodes"] == len(sent["nodes"]) == len(names) == MANY + 1


def test_the_end_of_a_stream_does_not_stop_what_it_brought() -> None:
    slices = Slices(Solo.start())
    slices.feed(table())
    slices.swim.stream_ended(slices.stream, slices.solo.now)
    slices.finish()
    assert slices.swim.member_count == MANY + 1


def test_a_deadline_in_the_middle_of_the_work_ends_it() -> None:
    slices = Slices(Solo.start())
    slices.feed(table())
    slices.tick()
    assert slices.waits
    slices.solo.now += 11 * SECOND
    slices.tick()
    assert slices.closed
    slices.finish()
    assert slices.swim.stats()["streams_open"] == 0


def test_a_stream_that_breaks_in_the_middle_of_the_work_ends_it() -> None:
    slices = Slices(large())
    slices.feed(wire.push_pull([]))
    assert slices.waits
    slices.swim.stream_failed(slices.stream, "connection reset", slices.solo.now)
    slices.take()
    assert slices.closed
    slices.finish()
    assert slices.swim.stats()["streams_open"] == 0


def test_streams_take_turns() -> None:
    solo = large()
    several = [Slices(solo) for _ in range(4)]
    for slices in several:
        slices.swim.stream_received(slices.stream, wire.push_pull([]), solo.now)
    closed = []
    while several[0].waits:
        solo.swim.tick(solo.now)
        closed += [command[1] for command in solo.swim.commands() if command[0] == "close"]
    assert closed == [slices.stream for slices in several]


def test_a_core_may_end_in_the_middle_of_its_work() -> None:
    solo = large()
    for _ in range(3):
        Slices(solo).feed(table())
    del solo
