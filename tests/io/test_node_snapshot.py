"""Snapshots of running `Node`s: what they keep, how they come back, and full disks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import gossip
from gossip._io import files
from gossip._serf import snapshot
from gossip._serf.snapshot import replay

from .nodes import SECONDS_MAX, next_of, serf_node


def known(path: Path, *, rejoin: bool = False) -> set[str]:
    return set(replay(path.read_bytes(), rejoin_after_leave=rejoin).alive)


async def test_a_node_comes_back_through_those_it_knew(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    async with serf_node("a") as a:
        events = a.events()
        b = await serf_node("b", a, snapshot_path=path).start()
        await next_of(events, gossip.MemberJoined, member="b")
        heard = b.events(gossip.UserEvent)
        ltime = a.send_event("before")
        await next_of(heard, gossip.UserEvent)
        address = str(b.address)
        await b.close()
        assert known(path) == {"a", "b"}
        async with serf_node("b", snapshot_path=path, bind=address) as again:
            listening = again.events()
            while again.member("a") is None:
                await next_of(listening, gossip.MemberJoined, member="a")
            assert again.stats().serf["event_clock"] > ltime
            a.send_event("after")
            assert (await next_of(listening, gossip.UserEvent)).name == "after"


async def test_after_a_leave_a_node_comes_back_only_if_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    async with serf_node("a") as a:
        async with serf_node("b", a, snapshot_path=path):
            pass
        assert known(path) == set()
        assert known(path, rejoin=True) == {"a", "b"}
        async with serf_node("b", snapshot_path=path, rejoin_after_leave=True) as again:
            heard = again.events()
            while again.member("a") is None:
                await next_of(heard, gossip.MemberJoined, member="a")
            # Its own leave was known; it says that it lives.
            events = a.events()
            while (seen := a.member("b")) is None or seen.status is not gossip.Status.ALIVE:
                await events.get(timeout=SECONDS_MAX)
        async with serf_node("b", snapshot_path=path) as left:
            assert [member.name for member in left.members()] == ["b"]


async def test_a_full_disk_is_reported_and_the_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(snapshot, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(snapshot, "FLUSH_SECONDS", 0.05)
    path, full = tmp_path / "snapshot", True

    real = files.write_all

    def write_all(descriptor: int, data: bytes) -> None:
        if full:
            real(descriptor, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        real(descriptor, data)

    monkeypatch.setattr(files, "write_all", write_all)
    async with serf_node("a", snapshot_path=path) as a, serf_node("b", a) as b:
        events = b.events(gossip.UserEvent)
        while a.stats().serf["snapshot_failures"] < 2:
            await asyncio.sleep(0)
        a.send_event("still here")
        await next_of(events, gossip.UserEvent)
        assert "cannot be written: No space left on device" in caplog.text
        assert not path.with_name("snapshot.compact").exists()
        full = False
        while not path.exists() or known(path) != {"a", "b"}:
            await asyncio.sleep(0)


async def test_a_file_that_is_no_snapshot_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0\n")
    with pytest.raises(gossip.ConfigError, match="is no snapshot; it was left as it is"):
        await serf_node("a", snapshot_path=path).start()
    assert path.read_text() == "root:x:0:0\n"
    with pytest.raises(gossip.ConfigError, match=r"snapshot_path: .*Is a directory"):
        await serf_node("a", snapshot_path=tmp_path).start()


async def test_damaged_lines_are_reported_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(b"alive: gone 127.0.0.1:9\nclo\x00: 7\nevent-clock: 41\nalive: half 127.0")
    async with serf_node("a", snapshot_path=path) as a:
        assert "1 lines of the snapshot" in caplog.text
        assert a.send_event("x") == 42
    found = replay(path.read_bytes(), rejoin_after_leave=True)
    assert (found.skipped, found.event_clock) == (0, 42)
    assert found.alive["a"] == a._driver.address  # type: ignore[union-attr]


async def test_a_snapshot_is_written_while_the_node_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FLUSH_SECONDS", 0.01)
    path = tmp_path / "snapshot"
    quick: dict[str, Any] = {"snapshot_path": path}
    async with serf_node("a", **quick) as a:
        a.send_event("x")
        while not path.exists() or b"event-clock: 1\n" not in path.read_bytes():
            await asyncio.sleep(0)
