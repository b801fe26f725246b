"""Streams of the engine on a bad network: what TCP brings over late, gives up, or resets."""

from __future__ import annotations

from typing import Any

import pytest

from gossip.sim.pool import Pool

from .settings import MILLISECOND, SECOND, lan

HALF_WAY = 50 * MILLISECOND
QUIET = {
    "probe_interval_ns": 100_000 * SECOND,
    "gossip_interval_ns": 100_000 * SECOND,
    "push_pull_interval_ns": 0,
    "heal_interval_ns": 0,
}


class Two(Pool):
    """Two nodes, 50 ms from each other, that know each other and say nothing of themselves. Node 0
    sends messages over streams, node 1 is told of them."""

    def __init__(self, **changes: int) -> None:
        super().__init__(2, lan(**QUIET, **changes), seed=1)
        self.engine.delay("fixed", HALF_WAY)
        self.boot_at_once()
        self.engine.side(1, 1)
        self.told: dict[int, list[tuple[float, tuple[Any, ...]]]] = {0: [], 1: []}
        self.run(SECOND)
        self.began = self.engine.now
        for number in (0, 1):
            self.engine.watch(number, True)

    def run(self, duration_ns: int) -> None:
        end = self.engine.now + duration_ns
        while not self.engine.run(end):
            seconds = round((self.engine.now - self.began) / SECOND, 6)
            for number, swim in enumerate(self.swims):
                self.told[number] += [(seconds, event) for event in swim.events()]

    def cut(self, *ways: tuple[int, int]) -> None:
        """From now on nothing passes from one to the other; where none is named, all does."""
        for source, target in ((0, 1), (1, 0)):
            passes = (source, target) not in ways
            self.engine.cut(source, target, datagrams=not passes, streams=not passes)

    def send(self, payload: bytes = b"hello") -> int:
        request = self.swims[0].send(b"node-1", payload, True, self.engine.clock(0))
        self.engine.touch(0)
        return request

    def messages(self) -> list[tuple[float, bytes]]:
        return [(at, event[1]) for at, event in self.told[1] if event[0] == "message"]

    def answer(self, request: int) -> tuple[float, str | None]:
        """When the request was answered, and its error."""
        ((at, event),) = [each for each in self.told[0] if each[1][:2] == ("done", request)]
        return at, event[2]


BOTH = ((0, 1), (1, 0))


def test_a_message_over_a_good_network_takes_three_ways_and_leaves_nothing_behind() -> None:
    pool = Two()
    request = pool.send()
    pool.run(SECOND)
    assert pool.messages() == [(0.15, b"hello")]  # dialled, accepted, sent
    assert pool.answer(request)[1] is None
    assert pool.engine.streams == 0
    assert pool.engine.counts()["retries"] == 0


def test_a_dial_that_meets_a_short_partition_goes_on_after_it() -> None:
    """Tried again after 1 s, and 2 s after that."""
    pool = Two()
    pool.cut(*BOTH)
    request = pool.send()
    pool.run(2 * SECOND)
    pool.cut()
    pool.run(2 * SECOND)
    assert pool.messages() == [(3.15, b"hello")]
    assert pool.answer(request)[1] is None


def test_bytes_that_meet_a_short_partition_arrive_after_it_in_order() -> None:
    """The dial is through and accepted when the cut comes: 0.2, 0.4 and 0.8 s until it is over."""
    pool = Two()
    pool.send()
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut(*BOTH)
    pool.run(SECOND)
    assert pool.messages() == []
    pool.cut()
    pool.run(SECOND)
    assert pool.messages() == [(1.55, b"hello")]
    assert pool.engine.streams == 0


@pytest.mark.parametrize("how", ["network", "line out", "line in", "link"])
def test_a_moment_in_which_all_is_lost_is_borne_like_a_partition(how: str) -> None:
    pool = Two()
    if how == "network":
        pool.engine.network(loss=1)
    elif how == "link":
        pool.engine.link(0, 1, loss=1)
    else:
        pool.engine.line(0, loss_out=how == "line out", loss_in=how == "line in")
    pool.send()
    pool.run(2 * SECOND)
    assert pool.messages() == []
    pool.engine.network()
    pool.engine.line(0)
    pool.engine.heal()
    pool.run(2 * SECOND)
    assert [payload for _, payload in pool.messages()] == [b"hello"]


def test_a_network_that_loses_all_datagrams_and_no_segment_brings_over_each_write_at_once() -> None:
    pool = Two()
    pool.engine.network(loss=1, stream_loss=0)
    for _ in range(2):
        pool.send()
        pool.run(SECOND)
    assert pool.messages() == [(0.15, b"hello"), (1.15, b"hello")]
    assert pool.engine.counts()["retries"] == 0
    assert pool.engine.streams == 0


def test_a_clogged_link_delays_a_stream_and_breaks_nothing() -> None:
    pool = Two()
    pool.engine.link(0, 1, clog_ns=5 * SECOND)
    pool.send()
    pool.run(6 * SECOND)
    assert pool.messages() == [(5.1, b"hello")]
    assert pool.engine.counts()["retries"] == 0


def test_where_one_direction_is_cut_the_other_one_delivers_once_and_tries_again() -> None:
    """The bytes arrive although no acknowledgement comes back, and are not told of twice."""
    pool = Two(tcp_timeout_ns=2000 * SECOND)
    pool.send()
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut((1, 0))
    pool.run(10 * SECOND)
    assert pool.messages() == [(0.15, b"hello")]
    assert pool.engine.counts()["retries"] >= 5
    assert pool.engine.streams == 1
    pool.cut()
    pool.run(10 * SECOND)
    assert len(pool.messages()) == 1
    assert pool.engine.streams == 0


def test_an_answer_that_is_written_in_a_cut_comes_after_it() -> None:
    """Though the question had got through before: 0.2, 0.4, 0.8 and 1.6 s until it is over."""
    pool = Two()
    request = pool.join(0, 1)
    pool.run(3 * HALF_WAY - MILLISECOND)  # what node 0 said arrives in a moment
    pool.cut((1, 0))
    pool.run(2 * SECOND)
    pool.cut()
    pool.run(5 * SECOND)
    assert pool.answer(request) == (3.2, None)
    assert pool.engine.streams == 0


def test_a_dial_is_given_up_as_linux_does_where_the_core_waits_longer() -> None:
    pool = Two(tcp_timeout_ns=2000 * SECOND)
    pool.cut(*BOTH)
    request = pool.send()
    pool.run(200 * SECOND)
    at, error = pool.answer(request)
    assert at == 127
    assert error is not None
    assert "connection timed out" in error
    assert pool.engine.streams == 0
    assert pool.engine.counts()["retries"] == 6


def test_bytes_are_given_up_after_a_quarter_of_an_hour() -> None:
    """An open stream's: node 0 waits for the answer to its state, which node 1 never hears."""
    pool = Two(tcp_timeout_ns=5000 * SECOND)
    request = pool.join(0, 1)
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut(*BOTH)
    pool.run(2000 * SECOND)
    at, error = pool.answer(request)
    assert at == 924.7
    assert error is not None
    assert "connection timed out" in error
    assert pool.engine.counts()["retries"] == 15


def test_the_time_outs_of_the_core_come_first_and_what_is_left_is_given_up_soon() -> None:
    pool = Two()
    request = pool.join(0, 1)
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut(*BOTH)
    pool.run(11 * SECOND)
    at, error = pool.answer(request)
    assert 10 <= at < 11
    assert error is not None
    assert "timed out" in error
    assert pool.engine.streams == 1  # the systems still try
    pool.run(110 * SECOND)
    assert pool.engine.streams == 0


def test_a_dial_that_the_core_gave_up_is_never_heard_of() -> None:
    pool = Two()
    pool.cut(*BOTH)
    pool.send()
    pool.run(11 * SECOND)
    pool.cut()
    pool.run(20 * SECOND)
    assert pool.messages() == []
    assert pool.swims[1].stats()["streams_failed"] == 0
    assert pool.engine.streams == 0


def crashed_amid_a_join() -> tuple[Two, int]:
    """Node 1 dies in a cut, so that its reset is lost; node 0 goes on waiting for it."""
    pool = Two(tcp_timeout_ns=2000 * SECOND)
    request = pool.join(0, 1)
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut(*BOTH)
    pool.engine.crash(1)
    return pool, request


def test_a_peer_that_died_in_the_cut_resets_the_stream_when_a_segment_reaches_its_system() -> None:
    pool, request = crashed_amid_a_join()
    pool.start(1)
    pool.run(SECOND)
    pool.cut()
    pool.run(SECOND)
    at, error = pool.answer(request)
    assert at == 1.6
    assert error is not None
    assert "reset" in error
    pool.run(SECOND)
    assert pool.engine.streams == 0


def test_nobody_answers_at_an_address_that_was_left() -> None:
    pool, request = crashed_amid_a_join()
    pool.addresses[1] = pool.engine.new_address()
    pool.start(1)
    pool.cut()
    pool.run(2000 * SECOND)
    _, error = pool.answer(request)
    assert error is not None
    assert "connection timed out" in error


def test_a_lossy_network_only_makes_streams_late() -> None:
    pool = Two()
    pool.engine.network(loss=0.3)
    for number in range(50):
        pool.send(b"%d" % number)
        pool.run(SECOND)
    pool.run(30 * SECOND)
    arrived = {payload for _, payload in pool.messages()}
    assert len(arrived) > 40  # a dial that is lost three times is given up by the core after 10 s
    assert pool.engine.counts()["retries"] > 10
    pool.engine.network()
    pool.run(200 * SECOND)
    assert pool.engine.streams == 0


def test_streams_tried_again_and_again_take_no_more_than_a_few_happenings_each() -> None:
    """Sixty streams that meet a cut for an hour: each direction tries a bounded number of times."""
    pool = Two()
    for _ in range(60):
        pool.send(b"x" * 10_000)
    pool.run(2 * HALF_WAY - MILLISECOND)
    pool.cut(*BOTH)
    pool.run(3600 * SECOND)
    assert pool.engine.streams == 0
    assert pool.engine.counts()["retries"] <= 60 * 2 * 15
