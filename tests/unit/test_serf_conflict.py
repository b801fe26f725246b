"""The vote about a name that two nodes use (Serf §13)."""

from __future__ import annotations

import pytest

from gossip._serf.conflict import Verdict, count_votes
from gossip._serf.messages import ConflictResponse, encode_conflict_response
from gossip.members import Address

OWN = Address("10.0.0.1", 7946)


def vote(addr: bytes = b"\x0a\x00\x00\x01", port: int = 7946) -> bytes:
    return encode_conflict_response(ConflictResponse("n", addr, port, {}, 1, (1, 5, 2, 2, 5, 5)))


YES, NO, UNKNOWN = vote(), vote(port=7947), encode_conflict_response(None)


@pytest.mark.parametrize(
    ("votes", "stay"),
    [
        ([], False),
        ([YES], True),
        ([NO], False),
        ([UNKNOWN], False),
        ([YES, NO], False),
        ([YES, YES, NO], True),
        ([YES, NO, UNKNOWN], False),
        ([YES, YES, NO, NO], False),
        ([YES, YES, YES, NO], True),
    ],
)
def test_a_majority_of_all_answers_decides(votes: list[bytes], stay: bool) -> None:
    assert count_votes(votes, OWN).stay is stay


def test_a_v4_address_in_v6_form_is_the_same_address() -> None:
    mapped = bytes(10) + b"\xff\xff\x0a\x00\x00\x01"
    assert count_votes([vote(mapped)], OWN) == Verdict(1, 1)


def test_an_answer_that_cannot_be_read_does_not_count() -> None:
    assert count_votes([YES, b"", b"\x08\xc0", b"\x06\x05", vote(b"\x01")], OWN) == Verdict(2, 1)
