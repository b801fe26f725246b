"""Keys of a whole pool (Serf §12): what a node answers, and what the asker makes of it."""

from __future__ import annotations

import pytest

from gossip._serf import keys
from gossip._serf.keys import KeyTally, change_keyring, format_keyring, list_keys, response_size
from gossip._serf.messages import KeyResponse, encode_key_request, encode_key_response
from gossip.keyring import Keyring
from gossip.keys import encode_key, parse_keys

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))


def test_the_keyring_file_is_serf_s() -> None:
    text = format_keyring([ONE, TWO])
    assert text == f'[\n  "{encode_key(ONE)}",\n  "{encode_key(TWO)}"\n]'
    assert parse_keys(text) == (ONE, TWO)


def test_a_key_is_installed_used_and_removed() -> None:
    ring, rings = Keyring([ONE]), []
    for query, key in ((keys.INSTALL, TWO), (keys.USE, TWO), (keys.REMOVE, ONE)):
        assert change_keyring(ring, query, encode_key_request(key)) == KeyResponse(True)
        rings.append(ring.keys)
    assert rings == [(ONE, TWO), (TWO, ONE), (TWO,)]


@pytest.mark.parametrize(
    ("query", "key", "said"),
    [
        (keys.INSTALL, b"short", "key size must be 16, 24 or 32 bytes"),
        (keys.USE, THREE, "requested key is not in the keyring"),
        (keys.REMOVE, ONE, "removing the primary key is not allowed"),
    ],
)
def test_a_refused_change_says_why_and_changes_nothing(query: str, key: bytes, said: str) -> None:
    ring = Keyring([ONE, TWO])
    assert change_keyring(ring, query, encode_key_request(key)) == KeyResponse(False, said)
    assert ring.keys == (ONE, TWO)


@pytest.mark.parametrize("query", [keys.INSTALL, keys.USE, keys.REMOVE])
def test_requests_without_a_key_fail_without_a_word(query: str) -> None:
    for payload in (b"", b"\x07", b"\x07\x05", b"\x07\x81\xa3Key\x05"):
        assert change_keyring(Keyring([ONE]), query, payload) == KeyResponse(False)


def test_a_node_without_encryption_says_so() -> None:
    answer = change_keyring(Keyring(), keys.INSTALL, encode_key_request(ONE))
    assert answer == KeyResponse(False, "No keyring to modify (encryption not enabled)")
    listed = list_keys(Keyring(), 1024, lambda n: n)
    assert listed == KeyResponse(False, "Keyring is empty (encryption not enabled)")


def listed(count: int, node: str, room: int = 1024) -> KeyResponse:
    ring = Keyring(bytes([number]) * 32 for number in range(count))
    return list_keys(ring, room, lambda n: response_size(7, 1 << 30, node, n))


def test_keys_are_listed_with_the_primary_first() -> None:
    answer = listed(3, "n-1")
    assert answer.keys == tuple(encode_key(bytes([number]) * 32) for number in range(3))
    assert answer.primary_key == encode_key(bytes(32))
    assert (answer.result, answer.message) == (True, "")


def test_a_list_longer_than_an_answer_is_cut_where_serf_cuts_it() -> None:
    assert listed(19, "n-1").message == ""
    cut = listed(20, "n-1")
    assert cut.message == "truncated key list response, showing first 17 of 20 keys"
    assert (cut.result, len(cut.listed)) == (True, 17)
    assert len(listed(32, "n-1").listed) == 17
    assert len(listed(32, "n" * 128).listed) < 17


def test_the_size_of_an_answer_is_that_of_its_bytes() -> None:
    answer = encode_key_response(listed(20, "n-1"))
    assert response_size(7, 1 << 30, "n-1", len(answer)) <= 1024
    assert response_size(7, 1, "n", 0) == len(
        b"\x05\x85\xa5Flags\x00\xa4From\xa1n\xa2ID\x01\xa5LTime\x07\xa7Payload\xa0"
    )


def test_no_room_at_all_lists_no_key_but_answers() -> None:
    assert listed(3, "n-1", room=30).keys == ()


def test_the_report_names_every_node_that_failed() -> None:
    tally = KeyTally(5)
    tally.add("a", encode_key_response(KeyResponse(True, "", ("k1", "k2"), "k1")))
    tally.add("b", encode_key_response(KeyResponse(True, "truncated", ("k1",), "k2")))
    tally.add("c", encode_key_response(KeyResponse(False, "no such key")))
    tally.add("d", b"\x06\xc0")
    tally.add("e", b"\x08\xff")
    report = tally.report()
    assert report.answered == set("abcde")
    assert report.keys == {"k1": 2, "k2": 1}
    assert report.primary_keys == {"k1": 1, "k2": 1}
    assert report.notes == {"b": "truncated"}
    assert report.errors["c"] == "no such key"
    assert set(report.errors) == {"c", "d", "e"}
    assert report.error == "3/5 nodes reported failure"
    assert "  c: no such key" in str(report).splitlines()


def test_missing_answers_are_a_failure_too() -> None:
    tally = KeyTally(3)
    for node in ("a", "b"):
        tally.add(node, encode_key_response(KeyResponse(True)))
    assert tally.report().error == "2/3 nodes reported success"
    tally.add("c", encode_key_response(KeyResponse(True)))
    assert tally.report().error is None
    assert str(tally.report()) == "3/3 nodes reported success"
