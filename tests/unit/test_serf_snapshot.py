"""Snapshot files (Serf §16, vectors: snapshots)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip._serf import bounds, snapshot
from gossip._serf.snapshot import Replayed, Snapshot, Write, replay
from gossip.members import Address

from .vectors import Vector, ids, load

A, B, C = (Address("10.0.0.1", 7946), Address("2001:db8::2", 7947), Address("10.0.0.3", 1))


class File:
    """A disk that can be full, and that keeps what was written before it was."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.room: int | None = None
        self.synced = 0

    def write(self, write: Write) -> bool:
        before = b"" if write.replace else self.data
        if self.room is not None and len(before) + len(write.data) > self.room:
            if not write.replace:
                self.data = (before + write.data)[: self.room]
            return False
        self.data = before + write.data
        self.synced += write.sync or write.replace
        return True


class Recorder:
    """A snapshot with its file and its clock."""

    def __init__(self, data: bytes = b"", *, rejoin: bool = False) -> None:
        self.file = File(data)
        self.now = 100.0
        self.before = replay(data, rejoin_after_leave=rejoin)
        self.snapshot = Snapshot(self.before, len(data), rejoin_after_leave=rejoin)

    def flush(self, *, at_once: bool = True) -> Write | None:
        write = self.snapshot.take(self.now, at_once=at_once)
        if write is not None:
            self.snapshot.done(self.now, failed=not self.file.write(write))
        return write


def known(found: Replayed) -> tuple[dict[str, Address], int, int, int]:
    return found.alive, found.clock, found.event_clock, found.query_clock


@pytest.mark.parametrize("entry", load("snapshots"), ids=ids)
@pytest.mark.parametrize("rejoin", [False, True])
def test_files_are_replayed_as_the_real_agent_replays_them(entry: Vector, rejoin: bool) -> None:
    expected = entry["decoded"][f"rejoin_after_leave={str(rejoin).lower()}"]
    found = replay(bytes.fromhex(entry["hex"]), rejoin_after_leave=rejoin)
    assert {name: str(address) for name, address in found.alive.items()} == expected["alive"]
    assert found.clock == expected["last_clock"]
    assert found.event_clock == expected["last_event_clock"]
    assert found.query_clock == expected["last_query_clock"]
    assert not found.foreign


def test_what_happens_is_written_a_line_each() -> None:
    node = Recorder()
    node.snapshot.joined("a b", A)
    node.snapshot.joined("six", B)
    node.snapshot.seen("clock", 40)
    node.snapshot.gone("a b")
    node.snapshot.seen("event-clock", 50)
    node.snapshot.seen("event-clock", 50)
    node.snapshot.seen("event-clock", 49)
    node.snapshot.seen("query-clock", 60)
    node.flush()
    assert node.file.data.decode() == (
        "alive: a b 10.0.0.1:7946\nalive: six [2001:db8::2]:7947\nclock: 40\nnot-alive: a b\n"
        "event-clock: 50\nquery-clock: 60\n"
    )


def test_lines_wait_half_a_second_for_each_other() -> None:
    node = Recorder()
    node.snapshot.joined("a", A)
    assert node.flush(at_once=False) is not None
    node.snapshot.joined("b", B)
    node.now += 0.4
    assert node.flush(at_once=False) is None
    node.snapshot.joined("c", C)
    node.now += 0.1
    write = node.flush(at_once=False)
    assert write is not None
    assert write.data.count(b"alive") == 2
    assert not node.snapshot.waiting


def test_one_write_is_under_way_at_a_time() -> None:
    node = Recorder()
    node.snapshot.joined("a", A)
    assert node.snapshot.take(1.0) is not None
    node.snapshot.joined("b", B)
    assert node.snapshot.take(9.0, at_once=True) is None
    node.snapshot.done(9.0)
    assert node.snapshot.take(9.0) is not None


def test_a_leave_is_written_at_once_and_to_the_disk() -> None:
    node = Recorder()
    node.snapshot.joined("a", A)
    node.flush()
    node.snapshot.leave()
    node.snapshot.leave()
    write = node.flush(at_once=False)
    assert write == Write(b"leave\n", sync=True)
    node.snapshot.joined("b", B)
    node.snapshot.gone("a")
    node.snapshot.seen("event-clock", 7)
    node.snapshot.seen("clock", 4)
    node.flush()
    assert node.file.data == b"alive: a 10.0.0.1:7946\nleave\nclock: 4\n"
    assert known(replay(node.file.data, rejoin_after_leave=False)) == ({}, 4, 0, 0)
    assert known(replay(node.file.data, rejoin_after_leave=True)) == ({"a": A}, 4, 0, 0)


def test_a_long_file_is_written_anew_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "COMPACT_BYTES_MIN", 400)
    node = Recorder()
    node.snapshot.joined("a", A)
    replaced = 0
    for ltime in range(1, 200):
        node.snapshot.seen("event-clock", ltime)
        write = node.flush()
        assert write is not None
        replaced += write.replace
        assert len(node.file.data) <= 512
        assert known(replay(node.file.data, rejoin_after_leave=False)) == ({"a": A}, 0, ltime, 0)
    assert replaced > 3


@pytest.mark.parametrize("rejoin", [False, True])
def test_a_file_written_anew_after_a_leave_says_the_same(rejoin: bool) -> None:
    node = Recorder(rejoin=rejoin)
    node.snapshot.joined("a", A)
    node.snapshot.seen("event-clock", 5)
    node.snapshot.leave()
    node.snapshot.seen("clock", 9)
    node.flush()
    appended = replay(node.file.data, rejoin_after_leave=rejoin)
    anew = replay(node.snapshot._whole(), rejoin_after_leave=rejoin)
    assert known(anew) == known(appended)


def story(rejoin: bool) -> list[Callable[[Snapshot], None]]:
    return [
        lambda s: s.joined("a", A),
        lambda s: s.joined("name with spaces", B),
        lambda s: s.seen("clock", 3),
        lambda s: s.seen("event-clock", 12),
        lambda s: s.gone("a"),
        lambda s: s.joined("\udcff", C),
        lambda s: s.seen("query-clock", 1234567),
        lambda s: s.leave() if rejoin else s.seen("clock", 4),
        lambda s: s.seen("clock", 5),
    ]


@pytest.mark.parametrize("rejoin", [False, True])
def test_a_file_cut_off_at_any_byte_says_what_its_whole_lines_say(rejoin: bool) -> None:
    node, states, lengths = Recorder(rejoin=rejoin), [known(Replayed())], [0]
    for step in story(rejoin):
        step(node.snapshot)
        node.flush()
        lengths.append(len(node.file.data))
        states.append(known(replay(node.file.data, rejoin_after_leave=rejoin)))
    for cut in range(len(node.file.data) + 1):
        data = node.file.data[:cut]
        whole = max(i for i, length in enumerate(lengths) if length <= cut)
        found = replay(data, rejoin_after_leave=rejoin)
        assert known(found) == states[whole]
        assert found.skipped == 0
        after = Recorder(data, rejoin=rejoin)
        after.snapshot.joined("new", A)
        after.flush()
        again = replay(after.file.data, rejoin_after_leave=rejoin)
        assert (again.alive, again.skipped) == ({**found.alive, "new": A}, 0)


def test_a_full_disk_is_reported_and_nothing_is_lost_when_there_is_room_again() -> None:
    node = Recorder()
    node.snapshot.joined("a", A)
    node.flush()
    node.file.room = 30
    node.snapshot.joined("b", B)
    node.now += 1
    assert node.flush(at_once=False) is not None
    assert node.file.data == b"alive: a 10.0.0.1:7946\nalive: "
    assert known(replay(node.file.data, rejoin_after_leave=False))[0] == {"a": A}
    node.snapshot.joined("c", C)
    node.now += snapshot.RETRY_SECONDS - 0.1
    assert node.flush(at_once=False) is None
    node.now += 0.1
    write = node.flush(at_once=False)  # still no room: the file stays as it is
    assert write is not None
    assert write.replace
    assert known(replay(node.file.data, rejoin_after_leave=False))[0] == {"a": A}
    node.file.room = None
    node.now += snapshot.RETRY_SECONDS
    assert node.flush(at_once=False) is not None
    assert known(replay(node.file.data, rejoin_after_leave=False))[0] == {"a": A, "b": B, "c": C}


def test_lines_that_wait_for_a_slow_disk_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SNAPSHOT_BUFFER_BYTES", 1000)
    node = Recorder()
    node.snapshot.joined("a", A)
    stuck = node.snapshot.take(node.now)
    assert stuck is not None
    for ltime in range(1, 5000):
        node.snapshot.seen("event-clock", ltime)
        assert node.snapshot._waiting <= 1000 + 30
    node.file.write(stuck)
    node.snapshot.done(node.now)
    node.flush()
    assert known(replay(node.file.data, rejoin_after_leave=False)) == ({"a": A}, 0, 4999, 0)


def test_lines_that_are_no_records_are_counted_and_cost_nothing_else() -> None:
    data = (
        b"alive: noaddr\nclock: abc\nclock: 99999999999999999999\nclock: -1\nclock: \xc2\xb2\n"
        b"clock: 18446744073709551615\nbogus\n\nalive: a nowhere:9\n# note\ncoordinate: {}\n"
        b"alive: a 10.0.0.1:7946\n\xff\xfe\n"
    )
    found = replay(data, rejoin_after_leave=False)
    assert known(found) == ({"a": A}, 0, 0, 0)
    assert (found.skipped, found.known) == (10, 3)


def test_a_file_that_is_no_snapshot_is_told_from_a_damaged_one() -> None:
    assert replay(b"root:x:0:0\n", rejoin_after_leave=False).foreign
    assert replay(b"\x7fELF\x02\n\x00\n", rejoin_after_leave=False).foreign
    assert not replay(b"", rejoin_after_leave=False).foreign
    assert not replay(b"garbage\nclock: 1\n", rejoin_after_leave=False).foreign


def test_a_name_cannot_write_lines_of_its_own() -> None:
    node = Recorder()
    node.snapshot.joined("a\nleave", A)
    node.snapshot.gone("a\nclock: 99")
    assert not node.snapshot.waiting


@given(st.binary(max_size=200))
def test_any_bytes_can_be_replayed(data: bytes) -> None:
    found = replay(data, rejoin_after_leave=False)
    assert found.known + found.skipped == data.count(b"\n")
