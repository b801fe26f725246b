"""The keys of a pool of running `Node`s, and their keyring files."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

import gossip
from gossip._serf.keys import format_keyring

from .nodes import SECONDS_MAX, serf_node

ONE, TWO = bytes(range(32)), bytes(range(1, 17))
LONG: dict[str, Any] = {"timeout": SECONDS_MAX}


def keyring_file(folder: Path, name: str, *keys: bytes) -> Path:
    path = folder / f"{name}.keyring"
    path.write_text(format_keyring(keys))
    return path


async def test_keys_are_rotated_in_the_whole_pool_and_kept_in_files(tmp_path: Path) -> None:
    file = keyring_file(tmp_path, "a", ONE)
    async with (
        serf_node("a", keyring_file=file) as a,
        serf_node("b", a, key=ONE) as b,
    ):
        first, second = gossip.encode_key(ONE), gossip.encode_key(TWO)
        listed = await b.keys.list(**LONG)
        assert listed.keys == listed.primary_keys == {first: 2}
        installed = await b.keys.install(TWO, **LONG)
        assert installed.answered == {"a", "b"}
        assert file.read_text() == format_keyring([ONE, TWO])
        assert (await a.keys.list(**LONG)).keys == {first: 2, second: 2}
        await a.keys.use(second, **LONG)
        assert [*a.keyring] == [*b.keyring] == [TWO, ONE]
        assert file.read_text() == format_keyring([TWO, ONE])
        await b.keys.remove(ONE, **LONG)
        assert (await a.keys.list(**LONG)).primary_keys == {second: 2}
        assert [*a.keyring] == [TWO]
        assert file.read_text() == format_keyring([TWO])
        assert list(tmp_path.iterdir()) == [file]
        assert a.stats().encrypted


async def test_the_report_says_which_nodes_failed() -> None:
    async with serf_node("a", key=ONE) as a, serf_node("b", a, key=ONE) as b:
        b.keyring.add(TWO)
        with pytest.raises(gossip.KeyQueryError) as caught:
            await a.keys.use(TWO, timeout=5)  # b seals its answer with the new key
        assert caught.value.report.errors == {"a": "requested key is not in the keyring"}
        assert "1/2 nodes reported failure" in str(caught.value)
        a.keyring.add(TWO)  # they understand each other again
        with pytest.raises(gossip.KeyringError, match="key size"):
            await a.keys.install(b"short", **LONG)
        with pytest.raises(gossip.KeyringError, match="not base64"):
            await a.keys.install("!", **LONG)


async def test_a_pool_without_keys_says_so() -> None:
    async with serf_node("a") as a:
        with pytest.raises(gossip.KeyQueryError, match="No keyring to modify"):
            await a.keys.install(ONE, **LONG)
        with pytest.raises(gossip.KeyQueryError, match="Keyring is empty"):
            await a.keys.list(**LONG)


async def test_a_key_that_cannot_be_kept_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    file = keyring_file(folder, "a", ONE)
    async with serf_node("a", keyring_file=file) as a:
        file.unlink()
        folder.rmdir()
        with pytest.raises(gossip.KeyQueryError, match="the keyring file: No such file"):
            await a.keys.install(TWO, **LONG)
        assert a.keyring.keys == (ONE,)


async def test_a_list_longer_than_an_answer_is_cut_with_a_note() -> None:
    async with serf_node("a", key=ONE) as a:
        for number in range(31):
            a.keyring.add(bytes([number, 77]) * 16)
        report = await a.keys.list(**LONG)
        assert 10 < len(report.keys) < 32
        assert report.notes["a"].startswith("truncated key list response, showing first 1")


def test_a_keyring_file_and_a_key_exclude_each_other(tmp_path: Path) -> None:
    file = keyring_file(tmp_path, "a", ONE)
    with pytest.raises(gossip.ConfigError, match="keyring_file: give either"):
        gossip.Node("a", keyring_file=file, key=TWO)
    with pytest.raises(gossip.ConfigError, match=r"keyring_file: .*No such file"):
        gossip.Node("a", keyring_file=tmp_path / "none")


async def test_a_keyring_file_keeps_its_permissions(tmp_path: Path) -> None:
    file = keyring_file(tmp_path, "a", ONE)
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    async with serf_node("a", keyring_file=link) as a:
        await a.keys.install(TWO, **LONG)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert gossip.parse_keys(link.read_text()) == (ONE, TWO)
