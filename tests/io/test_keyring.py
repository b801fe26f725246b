"""The keyring: its rules and exact texts are protocol §9.1."""

from __future__ import annotations

import json

import pytest

import gossip

OLD, NEW, OTHER = b"o" * 16, b"n" * 24, b"x" * 32


def test_the_first_key_becomes_the_primary_and_a_second_add_changes_nothing() -> None:
    assert gossip.Keyring().primary is None
    ring = gossip.Keyring()
    ring.add(OLD)
    ring.add(NEW)
    ring.add(OLD)
    assert ring.keys == (OLD, NEW)
    assert ring.primary == OLD
    assert len(ring) == 2
    assert NEW in ring


def test_use_moves_a_key_to_the_front() -> None:
    ring = gossip.Keyring([OLD, NEW, OTHER])
    ring.use(OTHER)
    assert ring.keys == (OTHER, OLD, NEW)
    with pytest.raises(gossip.KeyringError, match=r"^requested key is not in the keyring$"):
        ring.use(b"?" * 16)
    assert ring.primary == OTHER


def test_the_primary_cannot_be_removed_and_an_unknown_key_is_no_matter() -> None:
    ring = gossip.Keyring([OLD, NEW])
    with pytest.raises(gossip.KeyringError, match=r"^removing the primary key is not allowed$"):
        ring.remove(OLD)
    ring.remove(OTHER)
    ring.remove(NEW)
    assert ring.keys == (OLD,)
    gossip.Keyring().remove(OLD)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(gossip.KeyringError, match=r"^key size must be 16, 24 or 32 bytes$"):
        gossip.Keyring([b"k" * 20])


def test_a_listener_that_refuses_takes_the_change_back() -> None:
    ring = gossip.Keyring([OLD])
    seen: list[int] = []
    ring.listen(lambda: seen.append(len(ring)))
    ring.add(NEW)
    assert seen == [2]

    def refuse() -> None:
        raise gossip.ClosedError("the node is closed")

    ring.listen(refuse)
    with pytest.raises(gossip.ClosedError):
        ring.use(NEW)
    assert ring.primary == OLD


def test_a_generated_key_goes_through_its_text() -> None:
    for size in (16, 24, 32):
        key = gossip.generate_key(size)
        assert len(key) == size
        assert gossip.parse_key(gossip.encode_key(key) + "\n") == key
    with pytest.raises(gossip.KeyringError):
        gossip.generate_key(20)


def test_a_key_file_is_lines_or_the_keyring_of_serf() -> None:
    texts = [gossip.encode_key(OLD), gossip.encode_key(NEW)]
    assert gossip.parse_keys(f"# pool a\n{texts[0]}\n\n{texts[1]}\n") == (OLD, NEW)
    assert gossip.parse_keys(json.dumps(texts, indent=2)) == (OLD, NEW)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "[1]", "[", "nonsense!", "c2hvcnQ="])
def test_a_key_file_without_sound_keys_is_refused(text: str) -> None:
    with pytest.raises(gossip.KeyringError):
        gossip.parse_keys(text)


def test_a_ring_does_not_show_its_keys() -> None:
    assert "ooo" not in repr(gossip.Keyring([OLD]))
