"""Changing the keys of a whole pool: the answers of a node, and the tally of who asks (Serf §12).

Pure: applying a change to the ring and writing the keyring file is the driver's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from gossip._core import pack
from gossip._serf.messages import (
    KEY_RESPONSE,
    KeyResponse,
    decode_key_request,
    decode_key_response,
    encode_key_response,
)
from gossip._serf.wire import WireError
from gossip.errors import KeyringError
from gossip.keyring import Keyring
from gossip.keys import encode_key
from gossip.reports import KeyReport

INSTALL = "_serf_install-key"
USE = "_serf_use-key"
REMOVE = "_serf_remove-key"
LIST = "_serf_list-keys"

_NOTHING_TO_MODIFY = "No keyring to modify (encryption not enabled)"
_NOTHING_TO_LIST = "Keyring is empty (encryption not enabled)"
_BYTES_A_KEY = 25


def format_keyring(keys: Iterable[bytes]) -> str:
    """The text of Serf's keyring file, the primary key first."""
    return json.dumps([encode_key(key) for key in keys], indent=2)


def change_keyring(ring: Keyring, query: str, payload: bytes) -> KeyResponse:
    """What came of an install, use or remove; the ring is changed if the result is true."""
    try:
        key = decode_key_request(payload)
    except WireError:
        return KeyResponse(False)
    if ring.primary is None:
        return KeyResponse(False, _NOTHING_TO_MODIFY)
    change = {INSTALL: ring.add, USE: ring.use, REMOVE: ring.remove}[query]
    try:
        change(key)
    except KeyringError as error:
        return KeyResponse(False, str(error))
    return KeyResponse(True)


def list_keys(ring: Keyring, room: int, size: Callable[[int], int]) -> KeyResponse:
    """The keys of the ring; as many as fit. `size(n)` is that of an answer with a payload of n
    bytes, which must not exceed `room`."""
    if ring.primary is None:
        return KeyResponse(False, _NOTHING_TO_LIST)
    keys = tuple(encode_key(key) for key in ring.keys)
    for shown in range(min(room // _BYTES_A_KEY, len(keys)), -1, -1):
        note = f"truncated key list response, showing first {shown} of {len(keys)} keys"
        found = KeyResponse(True, "" if shown == len(keys) else note, keys[:shown], keys[0])
        if size(len(encode_key_response(found))) <= room:
            break
    return found


def response_size(ltime: int, query: int, node: str, payload: int) -> int:
    """Bytes of a query response on the wire, its type byte included (Serf §4)."""
    body = {"Flags": 0, "From": node, "ID": query, "LTime": ltime, "Payload": bytes(payload)}
    return 1 + len(pack(body))


class KeyTally:
    """Gathers what the nodes answer to one key query. `nodes`: how many are asked."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._answers: set[str] = set()
        self._errors: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._keys: Counter[str] = Counter()
        self._primary: Counter[str] = Counter()

    def add(self, node: str, payload: bytes) -> None:
        """One node's answer; what cannot be read counts as an error."""
        self._answers.add(node)
        if payload[:1] != bytes([KEY_RESPONSE]):
            self._errors[node] = f"Invalid key query response type: {list(payload[:1])}"
            return
        try:
            answer = decode_key_response(payload)
        except WireError as error:
            self._errors[node] = f"Failed to decode key query response: {error}"
            return
        if not answer.result:
            self._errors[node] = answer.message
            return
        if answer.message:
            self._notes[node] = answer.message
        self._keys.update(answer.listed)
        if answer.primary_key:
            self._primary[answer.primary_key] += 1

    def report(self) -> KeyReport:
        return KeyReport(
            nodes=self._nodes,
            answered=frozenset(self._answers),
            errors=dict(self._errors),
            notes=dict(self._notes),
            keys=dict(self._keys),
            primary_keys=dict(self._primary),
        )
