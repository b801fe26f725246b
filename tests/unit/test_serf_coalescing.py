"""Coalescing (Serf §17), with the clock as an argument."""

from __future__ import annotations

from gossip._serf import bounds
from gossip._serf.coalescing import MemberCoalescer, MemberEvent, NamedEvent, UserCoalescer


def member(kind: str, name: str, what: object = None) -> MemberEvent[object]:
    return MemberEvent(f"member_{kind}", name, what or (kind, name))


def user(name: str, ltime: int, coalesce: bool = True) -> NamedEvent[object]:
    return NamedEvent(name, ltime, coalesce, (name, ltime))


def test_the_newest_event_of_a_member_comes_after_the_quiet_time() -> None:
    members = MemberCoalescer[object](3.0, 1.0)
    assert members.add(member("join", "a"), 10.0) == []
    assert members.add(member("leave", "a"), 10.5) == []
    assert members.add(member("join", "b"), 10.7) == []
    assert members.deadline == 11.7
    assert members.flush(11.6) == []
    assert members.flush(11.7) == [("leave", "a"), ("join", "b")]
    assert members.flush(99.0) == []


def test_the_period_ends_a_burst_that_never_becomes_quiet() -> None:
    members = MemberCoalescer[object](3.0, 1.0)
    for tenth in range(30):
        members.add(member("update", "a", tenth), 5.0 + tenth / 10)
    assert members.deadline == 8.0
    assert members.flush(8.0) == [29]
    members.add(member("update", "a", 30), 8.1)
    assert members.deadline == 9.1


def test_what_was_delivered_last_is_not_delivered_again_but_for_updates() -> None:
    members = MemberCoalescer[object](3.0, 1.0)
    members.add(member("join", "a"), 0.0)
    assert members.flush(1.0) == [("join", "a")]
    members.add(member("failed", "a"), 2.0)
    members.add(member("join", "a"), 2.1)
    members.add(member("update", "b"), 2.1)
    assert members.flush(4.0) == [("update", "b")]
    members.add(member("update", "b"), 5.0)
    assert members.flush(6.0) == [("update", "b")]
    members.add(member("failed", "a"), 7.0)
    assert members.flush(8.0) == [("failed", "a")]


def test_events_come_grouped_by_their_kind() -> None:
    members = MemberCoalescer[object](3.0, 1.0)
    for kind, name in (("join", "a"), ("leave", "b"), ("join", "c")):
        members.add(member(kind, name), 0.0)
    assert members.flush(1.0) == [("join", "a"), ("join", "c"), ("leave", "b")]


def test_only_user_events_that_may_be_merged_wait() -> None:
    users = UserCoalescer[object](3.0, 1.0)
    assert users.add(user("deploy", 1, coalesce=False), 0.0) == [("deploy", 1)]
    assert users.deadline is None
    assert users.add(user("deploy", 2), 0.0) == []
    assert users.deadline == 1.0


def test_of_one_name_the_highest_lamport_time_wins_and_its_equals_stay() -> None:
    users = UserCoalescer[object](3.0, 1.0)
    for name, ltime in (("x", 2), ("x", 1), ("y", 5), ("x", 3), ("x", 3), ("x", 2)):
        users.add(user(name, ltime), 0.0)
    assert users.flush(1.0) == [("x", 3), ("x", 3), ("y", 5)]
    users.add(user("x", 1), 2.0)
    assert users.flush(3.0) == [("x", 1)]


def test_a_flood_of_names_is_passed_on_before_it_fills_the_memory() -> None:
    users, members = UserCoalescer[object](3.0, 1.0), MemberCoalescer[object](3.0, 1.0)
    told = 0
    for number in range(10_000):
        told += len(users.add(user(f"name-{number}", 1), 0.0))
        told += len(members.add(member("join", f"name-{number}"), 0.0))
    assert told == 2 * 2 * bounds.COALESCED_MAX
    assert len(users.flush(9.0)) == len(members.flush(9.0)) == 10_000 - told // 2
