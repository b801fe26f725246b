"""The transmit-limited queue (protocol §14): its rules one by one, and a sorted list beside it."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossip._core import BroadcastQueue

NO_LIMIT = 10**6


def test_the_longest_that_fits_goes_first_and_among_equals_the_newest() -> None:
    queue = BroadcastQueue()
    for payload in (b"old", b"longer", b"new"):
        queue.add(payload)
    assert queue.take(0, 100, 9) == [b"longer", b"new", b"old"]


def test_what_was_sent_less_often_goes_first() -> None:
    queue = BroadcastQueue()
    queue.add(b"a long one")
    queue.take(0, 100, 9)
    queue.add(b"short")
    assert queue.take(0, 100, 9) == [b"short", b"a long one"]


def test_one_packet_never_takes_an_item_twice() -> None:
    queue = BroadcastQueue()
    queue.add(b"once")
    assert queue.take(0, NO_LIMIT, 9) == [b"once"]


def test_a_payload_of_exactly_the_room_that_is_left_fits() -> None:
    queue = BroadcastQueue()
    queue.add(b"12345")
    assert queue.take(2, 6, 9) == []
    assert queue.take(2, 7, 9) == [b"12345"]


def test_an_item_is_finished_at_the_transmit_limit_and_sent_once_even_at_zero() -> None:
    queue = BroadcastQueue()
    queue.add(b"x", notify=1)
    assert queue.take(0, 9, 0) == [b"x"]
    assert (queue.finished(), len(queue)) == ([1], 0)
    queue.add(b"y", notify=2)
    assert [queue.take(0, 9, 3) for _ in range(4)] == [[b"y"], [b"y"], [b"y"], []]
    assert queue.finished() == [2]


def test_a_claim_displaces_the_queued_claim_of_the_same_name() -> None:
    queue = BroadcastQueue()
    queue.add(b"alive", b"node", notify=1)
    queue.add(b"dead", b"node", notify=2)
    assert queue.finished() == [1]
    assert queue.take(0, 99, 9) == [b"dead"]


def test_a_refutation_named_otherwise_does_not_displace_the_queued_claim() -> None:
    queue = BroadcastQueue()
    queue.add(b"suspect", b"node")
    queue.add(b"alive", b"10.0.0.1")
    assert sorted(queue.take(0, 99, 9)) == [b"alive", b"suspect"]


def test_plain_items_displace_nothing() -> None:
    queue = BroadcastQueue()
    queue.add(b"same")
    queue.add(b"same")
    assert len(queue) == 2


def test_a_displaced_item_may_have_been_sent_already() -> None:
    queue = BroadcastQueue()
    queue.add(b"v1", b"node", notify=1)
    queue.take(0, 99, 9)
    queue.add(b"v2", b"node", notify=2)
    assert queue.take(0, 99, 9) == [b"v2"]
    assert queue.finished() == [1]


def test_a_finished_name_is_free_again() -> None:
    queue = BroadcastQueue()
    queue.add(b"v1", b"node", notify=1)
    queue.take(0, 99, 1)
    queue.add(b"v2", b"node", notify=2)
    assert queue.finished() == [1]


def test_pruning_takes_the_most_sent_then_the_shortest_then_the_oldest() -> None:
    queue = BroadcastQueue()
    queue.add(b"sent already", notify=1)
    queue.take(0, 99, 9)
    for notify, payload in enumerate((b"ab", b"cd", b"longer"), 2):
        queue.add(payload, notify=notify)
    queue.prune(0)
    assert queue.finished() == [1, 2, 3, 4]


def test_a_payload_longer_than_the_queue_takes_is_refused_and_changes_nothing() -> None:
    queue = BroadcastQueue(max_length=5)
    assert queue.add(b"12345", b"node", notify=1)
    assert not queue.add(b"123456", b"node", notify=2)
    assert not queue.add(b"1", b"n" * 256)
    assert queue.finished() == []
    assert queue.take(0, 9, 9) == [b"12345"]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 4095, 4096, 65_535])
def test_every_length_up_to_the_longest_is_found_again(length: int) -> None:
    queue = BroadcastQueue(max_length=65_535)
    assert queue.add(bytes(length))
    assert queue.take(1, NO_LIMIT, 9) == [bytes(length)]


def test_an_item_sent_ever_so_often_goes_on_being_sent() -> None:
    queue = BroadcastQueue()
    queue.add(b"x", notify=1)
    assert all(queue.take(0, 9, 1000) == [b"x"] for _ in range(999))
    assert queue.finished() == []
    queue.prune(0)
    assert queue.finished() == [1]


class Item(NamedTuple):
    transmits: int
    shorter: int  # -length, so that items sort in the order of the queue
    older: int  # -id
    name: bytes
    payload: bytes


class NaiveQueue:
    """Protocol §14 word for word, on a list that is sorted at each step."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.finished: list[int] = []
        self.ids = 0

    def finish(self, item: Item) -> None:
        self.items.remove(item)
        self.finished.append(-item.older)

    def add(self, payload: bytes, name: bytes) -> int:
        self.ids += 1
        for item in [item for item in self.items if name and item.name == name]:
            self.finish(item)
        self.items.append(Item(0, -len(payload), -self.ids, name, payload))
        return self.ids

    def take(self, overhead: int, limit: int, transmit_limit: int) -> list[bytes]:
        taken: list[bytes] = []
        aside: list[Item] = []
        used = 0
        tiers = sorted(item.transmits for item in self.items) or [0]
        tier = tiers[0]
        while tier <= tiers[-1]:
            free = limit - used - overhead
            if free <= 0:
                break
            fitting = sorted(
                item for item in self.items if item.transmits == tier and -item.shorter <= free
            )
            if not fitting:
                tier += 1
                continue
            item = fitting[0]
            taken.append(item.payload)
            used += overhead + len(item.payload)
            if tier + 1 >= transmit_limit:
                self.finish(item)
            else:
                self.items.remove(item)
                aside.append(item._replace(transmits=tier + 1))
        self.items += aside
        return taken

    def prune(self, k: int) -> None:
        while len(self.items) > k:
            self.finish(max(self.items))


LENGTHS = st.sampled_from([0, 1, 2, 5, 5, 5, 63, 64, 64, 65, 128, 200])


class QueueBesideASortedList(RuleBasedStateMachine):
    """The same calls on the queue and on the naive one, packet budgets checked on the way."""

    @initialize(transmit_limit=st.integers(0, 6))
    def begin(self, transmit_limit: int) -> None:
        self.queue = BroadcastQueue(max_length=200, seed=5)
        self.naive = NaiveQueue()
        self.transmit_limit = transmit_limit

    @rule(length=LENGTHS, name=st.sampled_from([b"", b"", b"a", b"b", b"c", b"d" * 255]))
    def add(self, length: int, name: bytes) -> None:
        payload = (b"%d " % self.naive.ids).ljust(length)[:length]
        assert self.queue.add(payload, name, notify=self.naive.add(payload, name))

    @rule(lengths=st.lists(LENGTHS, max_size=30))
    def add_many(self, lengths: list[int]) -> None:
        for length in lengths:
            self.add(length, b"")

    @rule(overhead=st.integers(0, 3), limit=st.integers(0, 400))
    def take(self, overhead: int, limit: int) -> None:
        taken = self.queue.take(overhead, limit, self.transmit_limit)
        assert sum(len(payload) + overhead for payload in taken) <= limit
        assert taken == self.naive.take(overhead, limit, self.transmit_limit)

    @rule(k=st.integers(0, 40))
    def prune(self, k: int) -> None:
        self.queue.prune(k)
        self.naive.prune(k)

    @rule(transmit_limit=st.integers(0, 6))
    def pool_grows_or_shrinks(self, transmit_limit: int) -> None:
        self.transmit_limit = transmit_limit

    @invariant()
    def agrees(self) -> None:
        assert self.queue.finished() == self.naive.finished
        self.naive.finished.clear()
        assert len(self.queue) == len(self.naive.items)

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.prune(0)
            self.agrees()


TestQueueBesideASortedList = QueueBesideASortedList.TestCase


def test_a_long_life_of_few_lengths_keeps_the_order() -> None:
    """Runs of reinsertions into the middle of long buckets, where the finger works."""
    draw = random.Random(3)
    queue, naive = BroadcastQueue(seed=1), NaiveQueue()
    for _ in range(300):
        for _ in range(draw.choice((0, 0, 1, 8))):
            payload = b"%04d".ljust(draw.choice((20, 20, 21))) % naive.ids
            queue.add(payload, notify=naive.add(payload, b""))
        limit = draw.choice((50, 100, 200))
        assert queue.take(2, limit, 12) == naive.take(2, limit, 12)
        assert queue.finished() == naive.finished
        naive.finished.clear()
    assert len(queue) > 100


def test_a_full_queue_loses_the_last_in_order_not_the_new_one() -> None:
    queue, full = BroadcastQueue(), 1 << 20
    for number in range(full + 3):
        queue.add(b"same", notify=number + 1)
    assert len(queue) == full
    assert queue.finished() == [1, 2, 3]
