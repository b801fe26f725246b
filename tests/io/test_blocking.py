"""Nodes without async: what blocks, until when, and from where it may be called.

How processes with such nodes end and fork is in `test_blocking_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest

import gossip
from gossip._io import bounds
from gossip.blocking import Memberlist, Subscription

from .blocking_program import PATIENT
from .nodes import SECONDS_MAX, alive, stranger

E = TypeVar("E", bound=gossip.Event)


def node(name: str, *seeds: Memberlist, **fields: Any) -> Memberlist:
    """A node on a free port of the loopback that joins running ones, and gossips quickly."""
    fields.setdefault("seeds", [str(seed.address) for seed in seeds])
    return Memberlist(name, bind="127.0.0.1:0", **PATIENT, **fields)


def next_of(subscription: Subscription[Any], kind: type[E]) -> E:
    while True:
        event = subscription.get(timeout=SECONDS_MAX)
        if isinstance(event, kind):
            return event


def gossip_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("gossip")]


@pytest.fixture(autouse=True)
def _leaves_no_thread_behind() -> Iterator[None]:
    yield
    gc.collect()
    for thread in gossip_threads():
        thread.join(SECONDS_MAX)
    assert gossip_threads() == []


@contextlib.contextmanager
def pool() -> Iterator[tuple[Memberlist, Memberlist]]:
    with node("a") as a, node("b", a) as b:
        yield a, b


@contextlib.contextmanager
def silent_seed() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of one that accepts calls and never answers; and how to wait for a call."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(SECONDS_MAX)
        host, port = listener.getsockname()

        def called() -> None:
            stack.enter_context(listener.accept()[0])

        yield f"{host}:{port}", called


# What it does.


def test_a_pool_lives_without_async() -> None:
    with node("a", meta=b"first") as a:
        events = a.events()
        assert [member.name for member in next_of(events, gossip.MembersSnapshot).members] == ["a"]
        with node("b", a) as b:
            assert next_of(events, gossip.MemberJoined).member.name == "b"
            assert {member.name for member in b.members()} == {"a", "b"}
            assert b.member("c") is None
            b.update_meta(b"second", timeout=SECONDS_MAX)
            assert next_of(events, gossip.MemberUpdated).member.meta == b"second"
            assert 0 < b.ping("a", timeout=SECONDS_MAX) < SECONDS_MAX
            b.send("a", b"over TCP", reliable=True, timeout=SECONDS_MAX)
            assert next_of(events, gossip.MessageReceived).payload == b"over TCP"
            b.broadcast(b"to some")
            assert next_of(events, gossip.MessageReceived).payload == b"to some"
            assert b.join(str(a.address), timeout=SECONDS_MAX).reached == 1
            assert b.stats().members["alive"] == 2
            assert (b.health_score, b.local_member.name) == (0, "b")
        assert next_of(events, gossip.MemberLeft).member.name == "b"
    assert [event.member.name for event in events if isinstance(event, gossip.MemberLeft)] == ["a"]


def test_local_state_goes_with_a_join() -> None:
    with node("a") as a:
        a.set_local_state(b"what a newcomer should know")
        b = node("b")
        with b:
            events = b.events(gossip.StateReceived)
            b.join(str(a.address), timeout=SECONDS_MAX)
            assert next_of(events, gossip.StateReceived).payload == b"what a newcomer should know"


def test_a_block_that_raises_leaves_the_pool() -> None:
    with node("a") as a:
        events = a.events(gossip.MemberLeft)
        with pytest.raises(ZeroDivisionError), node("b", a):
            raise ZeroDivisionError
        assert next_of(events, gossip.MemberLeft).member.name == "b"


def test_keys_are_changed_by_any_thread_and_none_is_lost() -> None:
    keys = [gossip.generate_key() for _ in range(32)]
    with node("a", key=keys[0]) as a, node("b", a, key=keys[0]) as b:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(a.keyring.add, keys[1:]))
        assert set(a.keyring.keys) == set(keys)
        b.keyring.add(keys[1])
        b.keyring.use(keys[1])
        assert b.ping("a", timeout=SECONDS_MAX) > 0
    with pytest.raises(gossip.ClosedError):
        a.keyring.remove(keys[1])
    assert keys[1] in a.keyring


# Events.


def test_a_loop_over_events_ends_in_silence_and_can_be_entered_again() -> None:
    with pool() as (a, b):
        events = a.events(gossip.MessageReceived, timeout=0.01)
        seen: list[bytes] = []
        for payload in (b"one", b"two"):
            b.send("a", payload, reliable=True, timeout=SECONDS_MAX)
            while payload not in seen:
                seen += [e.payload for e in events if isinstance(e, gossip.MessageReceived)]
        assert seen == [b"one", b"two"]
        assert not events.closed
    assert list(events) == []
    assert events.closed


def test_one_event_is_waited_for_until_a_time() -> None:
    with node("a") as a:
        events = a.events(gossip.MemberLeft)
        assert isinstance(events.get(timeout=SECONDS_MAX), gossip.MembersSnapshot)
        with pytest.raises(gossip.TimeoutExpired, match="no event came within"):
            events.get(timeout=0.01)
        events.close()
        events.close()
        with pytest.raises(gossip.StateError, match="has ended"):
            events.get(timeout=SECONDS_MAX)


def test_what_waited_when_the_node_was_closed_can_be_taken_after() -> None:
    with node("a") as a:
        events, types = a.events(), a.events(gossip.MemberLeft)
    assert [type(event) for event in events] == [gossip.MembersSnapshot, gossip.MemberLeft]
    assert [type(event) for event in types] == [gossip.MembersSnapshot, gossip.MemberLeft]
    assert events.closed


def test_threads_that_share_a_subscription_get_each_event_once() -> None:
    taken: SimpleQueue[int] = SimpleQueue()

    def consume() -> None:
        for event in events:
            if isinstance(event, gossip.MessageReceived):
                taken.put(int(event.payload))

    with ThreadPoolExecutor(4) as threads, pool() as (a, b):
        events = a.events(gossip.MessageReceived)
        consuming = [threads.submit(consume) for _ in range(4)]
        for number in range(200):
            b.send("a", b"%d" % number, reliable=True, timeout=SECONDS_MAX)
        numbers = [taken.get(timeout=SECONDS_MAX) for _ in range(200)]
        assert sorted(numbers) == list(range(200))
        a.close()
        assert [each.result(SECONDS_MAX) for each in consuming] == [None] * 4
    assert taken.empty()


def test_an_event_that_comes_when_the_time_is_up_is_not_lost() -> None:
    with pool() as (a, b):
        events = a.events(gossip.MessageReceived)
        next(events)

        def send() -> None:
            for number in range(100):
                b.send("a", b"%d" % number, reliable=True, timeout=SECONDS_MAX)

        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(send)
            numbers: list[int] = []
            while len(numbers) < 100:
                with contextlib.suppress(gossip.TimeoutExpired):
                    event = events.get(timeout=0.0001)
                    assert isinstance(event, gossip.MessageReceived)
                    numbers.append(int(event.payload))
            sending.result(SECONDS_MAX)
        assert numbers == list(range(100))


def test_a_consumer_that_does_not_read_is_told_what_it_lost() -> None:
    with node("a", event_buffer=16) as a, node("b", a) as b:
        events, seen = a.events(gossip.MessageReceived), a.events(gossip.MessageReceived)
        for number in range(40):
            b.send("a", b"%d" % number, reliable=True, timeout=SECONDS_MAX)
            next_of(seen, gossip.MessageReceived)
        found = [events.get(timeout=SECONDS_MAX) for _ in range(19)]
        assert isinstance(found[0], gossip.MembersSnapshot)
        assert found[1] == gossip.EventsLost(24)
        assert isinstance(found[2], gossip.MembersSnapshot)
        rest = [event.payload for event in found[3:] if isinstance(event, gossip.MessageReceived)]
        assert rest == [b"%d" % number for number in range(24, 40)]


def test_a_node_is_not_forgotten_while_somebody_listens() -> None:
    events = node("a").start().events()
    gc.collect()
    assert isinstance(events.get(timeout=SECONDS_MAX), gossip.MembersSnapshot)
    with pytest.raises(gossip.TimeoutExpired):
        events.get(timeout=0.01)


# Threads.


def test_several_threads_may_call_at_once() -> None:
    with pool() as (a, b):

        def call(number: int) -> bool:
            a.broadcast(b"%d" % number, name=str(number))
            a.set_local_state(b"%d" % number)
            assert a.stats().members["alive"] == len(a.members()) == 2
            if number % 5 == 0:
                a.update_meta(b"%d" % number, timeout=SECONDS_MAX)
            next(a.events())
            return a.ping("b", timeout=SECONDS_MAX) < SECONDS_MAX

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(call, range(100)))
        assert b.local_member.status == "alive"


def test_a_node_closed_by_another_thread_ends_what_waits() -> None:
    with silent_seed() as (seed, called), ThreadPoolExecutor(8) as threads:
        a = node("a").start()
        events, others = a.events(), a.events()
        looping = threads.submit(lambda: [type(event) for event in events])
        getting = threads.submit(lambda: (others.get(), others.get()))
        joining = threads.submit(lambda: a.join(seed))
        called()
        closing = [threads.submit(a.close) for _ in range(4)]
        assert [each.result(SECONDS_MAX) for each in closing] == [None] * 4
        assert looping.result(SECONDS_MAX) == [gossip.MembersSnapshot]
        assert isinstance(joining.exception(SECONDS_MAX), gossip.GossipError)
        assert isinstance(getting.exception(SECONDS_MAX), gossip.StateError)


def test_a_forgotten_node_closes_itself() -> None:
    a = node("a").start()
    address = str(a.address)
    del a
    gc.collect()
    for thread in gossip_threads():
        thread.join(SECONDS_MAX)
    with Memberlist("b", bind=address) as b:
        assert str(b.address) == address


def test_a_finalizer_may_close_a_node_and_use_it() -> None:
    class Owner:
        def __init__(self) -> None:
            self.node = node("a").start()

        def __del__(self) -> None:
            self.node.broadcast(b"farewell")
            self.node.leave(timeout=SECONDS_MAX)
            self.node.close()

    Owner()
    assert gossip_threads() == []


# Where it may not be called.


def test_a_call_where_an_event_loop_runs_says_what_to_use_instead() -> None:
    async def main() -> None:
        for call in (a.leave, lambda: a.ping("b"), lambda: next(a.events()), node("c").start):
            with pytest.raises(gossip.WrongLoopError, match=r"gossip\.Memberlist .*to_thread"):
                call()
        assert {member.name for member in a.members()} == {"a", "b"}
        a.broadcast(b"looking and telling do not wait")
        assert a.stats().members["alive"] == 2
        assert 0 < await asyncio.to_thread(a.ping, "b", timeout=SECONDS_MAX) < SECONDS_MAX

    with pool() as (a, _):
        asyncio.run(main())


def test_a_call_from_the_nodes_own_thread_does_not_wait_for_itself() -> None:
    said: list[object] = []

    async def accept(member: gossip.Member) -> bool:
        said.append([each.name for each in a.members()])
        said.append(a.stats().health_score)
        try:
            a.ping(member.name)
        except gossip.WrongLoopError as error:
            said.append("on its own thread" in str(error))
        return True

    with node("a", accept_member=accept) as a:
        events = a.events(gossip.MemberJoined)
        with node("b", a):
            assert next_of(events, gossip.MemberJoined).member.name == "b"
    assert said == [["a"], 0, True]


def test_calls_say_that_a_node_is_not_started_started_twice_or_closed() -> None:
    a = node("a")
    a.close()
    with pytest.raises(gossip.StateError, match=r"not started: enter its block"):
        a.members()
    with a:
        with pytest.raises(gossip.StateError, match="once"):
            a.start()
        a.close()
        a.close()
        for call in (a.members, a.stats, a.leave, a.events, lambda: a.broadcast(b"")):
            with pytest.raises(gossip.ClosedError, match="is closed"):
                call()
        with pytest.raises(gossip.StateError, match="once"):
            a.start()


def test_the_driver_cannot_be_chosen() -> None:
    with pytest.raises(gossip.ConfigError, match="runs on"):
        Memberlist("a", driver="asyncio")
    assert node("a").config.driver == "thread"
    assert Memberlist.from_config(gossip.Config(name="a")).config.driver == "thread"


def test_wrong_arguments_are_refused_as_ever() -> None:
    with node("a") as a:
        with pytest.raises(gossip.UnknownMemberError):
            a.ping("nobody", timeout=SECONDS_MAX)
        with pytest.raises(gossip.ArgumentError):
            a.join(timeout=SECONDS_MAX)
        with pytest.raises(gossip.ArgumentError, match="a number of seconds"):
            a.leave(timeout="5")  # type: ignore[arg-type]
        with pytest.raises(gossip.ArgumentError, match="by their types"):
            a.events(int)  # type: ignore[type-var]


# Time.


def test_a_start_that_takes_too_long_leaves_nothing_behind() -> None:
    with silent_seed() as (seed, _):
        a = node("a", seeds=[seed], retry_join=0)
        with pytest.raises(gossip.TimeoutExpired, match="the start was not done"):
            a.start(timeout=0.05)
        assert gossip_threads() == []
        with pytest.raises(gossip.ClosedError):
            a.members()


def test_a_start_that_fails_leaves_nothing_behind() -> None:
    with node("a") as a:
        second = Memberlist("second", bind=str(a.address))
        with pytest.raises(gossip.BindError), second:
            pass
        assert len(gossip_threads()) == 2, "those of the other"
    lonely = node("lonely", seeds=["127.0.0.1:1"], retry_join=0)
    with pytest.raises(gossip.JoinError, match="refused"), lonely:
        pass


def test_a_join_is_over_when_its_time_is() -> None:
    with silent_seed() as (seed, _), node("a") as a:
        with pytest.raises(gossip.JoinError, match="not done within"):
            a.join(seed, timeout=0.05)
        assert a.members()


def test_a_call_is_over_when_the_loop_itself_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "CALL_GRACE_SECONDS", 0.05)
    held, goes_on = threading.Event(), threading.Event()

    async def hold_the_loop(_: gossip.Member) -> bool:
        held.set()
        return goes_on.wait(SECONDS_MAX)

    with node("a", accept_member=hold_the_loop) as a, stranger() as bare:
        bare.sendto(alive("b", "127.0.0.1", 9), a.address)
        assert held.wait(SECONDS_MAX)
        with pytest.raises(gossip.TimeoutExpired, match="thread is too busy"):
            a.ping("a", timeout=0)
        goes_on.set()


# Who may join.


def test_accept_member_may_block_and_call_the_node() -> None:
    asked: SimpleQueue[tuple[str, bool]] = SimpleQueue()

    def accept(member: gossip.Member) -> bool:
        itself = a.join(str(a.address), timeout=SECONDS_MAX).reached == 0
        asked.put((member.name, itself and threading.current_thread() is not main))
        return member.name == "welcome"

    main = threading.current_thread()
    with node("a", accept_member=accept) as a:
        events = a.events(gossip.MemberJoined)
        with node("stranger", a), node("welcome", a):
            assert next_of(events, gossip.MemberJoined).member.name == "welcome"
            found = {asked.get(timeout=SECONDS_MAX) for _ in range(2)}
        assert a.member("stranger") is None
    assert found == {("stranger", True), ("welcome", True)}


def test_an_accept_member_that_hangs_refuses_one_and_is_asked_about_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "ADMISSION_SECONDS", 0.05)
    goes_on = threading.Event()

    def accept(member: gossip.Member) -> bool:
        if member.name == "b":
            monkeypatch.setattr(bounds, "ADMISSION_SECONDS", SECONDS_MAX)
            goes_on.wait(SECONDS_MAX)
        return True

    with node("a", accept_member=accept) as a:
        events = a.events(gossip.MemberJoined)
        with node("b", a), node("c", a):
            assert next_of(events, gossip.MemberJoined).member.name == "c"
            assert a.member("b") is None
            goes_on.set()
