"""Answers to the internal queries of others: who has a name, and this node's keys (Serf §12)."""

from __future__ import annotations

from gossip._core import Serf
from gossip._serf import conflict, keys
from gossip._serf.messages import (
    ConflictResponse,
    encode_conflict_response,
    encode_key_response,
)
from gossip._serf.tags import decode_tags
from gossip.keyring import Keyring
from gossip.members import decode_name

CHANGES = (keys.INSTALL, keys.USE, keys.REMOVE)
"""The queries that change the keyring: whoever runs the node carries them out."""


class Answers:
    """The answers of one node that take no more than a look."""

    def __init__(self, name: str, serf: Serf, ring: Keyring, limit: int) -> None:
        self._name = name
        self._serf = serf
        self._ring = ring
        self._limit = limit

    def answer(self, ltime: int, number: int, name: str, payload: bytes) -> bytes | None:
        """None: the query is not known, or not for this node to answer."""
        if name == conflict.QUERY and decode_name(payload) != self._name:
            return self._record_of(payload)
        if name == keys.LIST:
            return encode_key_response(
                keys.list_keys(
                    self._ring,
                    self._limit,
                    lambda size: keys.response_size(ltime, number, self._name, size),
                )
            )
        return None

    def _record_of(self, name: bytes) -> bytes:
        found = self._serf.member(name)
        if found is None:
            return encode_conflict_response(None)
        low, high, current, delegate_low, delegate_high, delegate_current = found[4]
        return encode_conflict_response(
            ConflictResponse(
                decode_name(name),
                found[1],
                found[2],
                decode_tags(found[3]),
                found[5],
                (low, high, current, delegate_low, delegate_high, delegate_current),
            )
        )
