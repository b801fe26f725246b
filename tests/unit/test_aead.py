"""Every implementation of AES-GCM gives what the wire needs, and only sound ones are taken."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gossip import _aead
from gossip._aead import Backend
from gossip._core import (
    Cipher,
    Envelope,
    NonceSource,
    Swim,
    decode_packet,
    decode_stream,
    encode_stream,
)
from gossip._evp import EvpCipher, Library, SystemNonces
from tests.sim.solo import Solo

from . import vectors
from .test_vectors_packets import comparable, encoded, whole
from .test_vectors_streams import DIALOGUES, plain_of, side_of
from .vectors import Vector

KEY, NONCE = bytes(range(32)), bytes(range(12))
CANDIDATES = (_aead.of_the_ssl_module, _aead.of_the_system, _aead.of_cryptography)


def usable() -> list[Any]:
    """The implementations of this machine; one that it does not have is skipped, and says why."""
    found = []
    for candidate in CANDIDATES:
        try:
            backend = candidate()
        except _aead.UnusableError as error:
            found.append(pytest.param(None, marks=pytest.mark.skip(reason=str(error))))
        else:
            found.append(pytest.param(backend, id=backend.name))
    return found


every_backend = pytest.mark.parametrize("backend", usable())

SEALED = [entry for entry in vectors.load("memberlist_encrypted") if entry["context"]["keys"]]
SEALED_DIALOGUES = [
    pytest.param(*each.values, id=each.id)
    for each in DIALOGUES
    if isinstance(each.values[0], dict) and each.values[0]["context"].get("keys")
]


@every_backend
@pytest.mark.parametrize("entry", SEALED, ids=vectors.ids)
def test_a_sealed_packet_decodes_and_is_written_back(backend: Backend, entry: Vector) -> None:
    context, decoded, label = entry["context"], entry["decoded"], vectors.label_of(entry["context"])
    keys = vectors.keys_of(context, cipher=backend.cipher)
    assert comparable(decode_packet(bytes.fromhex(entry["hex"]), keys=keys, label=label)) == (
        comparable(decoded)
    )
    if "error" in decoded or not whole(decoded["message"]):
        return
    nonce = bytes.fromhex(decoded["encryption"]["nonce"])
    envelope = Envelope(
        keys=keys[::-1] if "secondkey" in entry["name"] else keys,
        label=label,
        seal_version=decoded["encryption"]["version"],
        refill=lambda n: (nonce * n)[:n],
    )
    packet = envelope.encode(encoded(decoded["message"]), crc=decoded["crc32"] is not None)
    assert packet.hex() == entry["hex"]


@every_backend
@pytest.mark.parametrize(("entry", "side"), SEALED_DIALOGUES)
def test_a_sealed_stream_decodes_and_is_written_back(
    backend: Backend, entry: Vector, side: str
) -> None:
    data, decoded = side_of(entry, side)
    label = vectors.label_of(entry["context"])
    keys = vectors.keys_of(entry["context"], cipher=backend.cipher)
    assert decode_stream(data, keys=keys, label=label, reply=side == "reply") == decoded
    nonce = bytes.fromhex(decoded["encryption"]["nonce"])
    envelope = Envelope(
        keys=keys,
        label=label,
        compression=decoded["compressed"],
        seal_version=decoded["encryption"]["version"],
        refill=lambda n: (nonce * n)[:n],
    )
    assert encode_stream(envelope, plain_of(decoded), reply=side == "reply") == data


@every_backend
def test_a_changed_packet_opens_with_no_key(backend: Backend) -> None:
    envelope = Envelope(keys=[backend.cipher(KEY)], refill=backend.nonces, label=b"pool")
    packet = bytearray(envelope.encode(b"\x08hello"))
    assert "error" not in envelope.decode(bytes(packet))
    for place in range(len(b"\xf4\x04pool") + 1, len(packet)):
        packet[place] ^= 1
        assert "error" in envelope.decode(bytes(packet)), place
        packet[place] ^= 1


@every_backend
def test_the_right_key_opens_wherever_it_stands_in_the_ring(backend: Backend) -> None:
    sealed = Envelope(keys=[backend.cipher(KEY)], refill=backend.nonces).encode(b"\x08hello")
    others = [backend.cipher(bytes([n]) * 16) for n in range(5)]
    for place in range(6):
        ring = [*others[:place], backend.cipher(KEY), *others[place:]]
        assert "error" not in Envelope(keys=ring).decode(sealed)


@every_backend
def test_no_nonce_comes_twice(backend: Backend) -> None:
    envelope = Envelope(keys=[backend.cipher(KEY)], refill=backend.nonces)
    nonces = {envelope.encode(b"\x08")[1:13] for _ in range(1_000)}
    assert len(nonces) == 1_000


def test_all_implementations_open_what_each_seals() -> None:
    backends = [each.values[0] for each in usable() if isinstance(each.values[0], Backend)]
    for size in (16, 24, 32):
        for one in backends:
            sealed = Envelope(keys=[one.cipher(KEY[:size])], refill=one.nonces).encode(b"\x08hi")
            for other in backends:
                assert "error" not in Envelope(keys=[other.cipher(KEY[:size])]).decode(sealed)


@pytest.mark.parametrize("ring", [[KEY], [KEY[:16], KEY[:24], KEY]])
def test_a_long_stream_that_goes_through_in_pieces_opens_anywhere(ring: list[bytes]) -> None:
    backends = [each.values[0] for each in usable() if isinstance(each.values[0], Backend)]
    message = b"\x08" + b"\x81\xaaUserMsgLen\xce" + (400_001).to_bytes(4, "big") + bytes(400_001)
    for one in backends:
        envelope = Envelope(keys=[one.cipher(KEY)], refill=one.nonces, label=b"pool")
        sealed = encode_stream(envelope, message)
        changed = bytearray(sealed)
        changed[-100_000] ^= 1
        for other in backends:
            keys = [other.cipher(key) for key in ring]
            assert "error" not in decode_stream(sealed, keys=keys, label=b"pool")
            error = decode_stream(bytes(changed), keys=keys, label=b"pool")["error"]
            assert error == "no installed keys could decrypt the message"


def test_only_what_calls_python_needs_the_gil() -> None:
    swim = Solo.start().swim
    for candidate in usable():
        backend = candidate.values[0]
        if isinstance(backend, Backend):
            swim.set_keys([backend.cipher(KEY)], backend.nonces)
            assert swim.needs_gil == backend.needs_gil
            swim.set_keys([backend.cipher(KEY)], os.urandom)
            assert swim.needs_gil, "the nonces are Python's"
    swim.set_keys([], os.urandom)
    assert not swim.needs_gil, "nothing is sealed"


def test_a_cipher_that_was_not_filled_in_is_refused_and_the_ring_stays() -> None:
    solo = Solo.start(keys=[KEY])
    swim: Swim = solo.swim
    with pytest.raises(ValueError, match="filled in"):
        swim.set_keys([Cipher()], os.urandom)
    with pytest.raises(ValueError, match="filled in"):
        swim.set_keys([], NonceSource())
    assert swim.needs_gil, "the ring is what it was"


def test_an_evp_cipher_has_one_key_of_a_sound_size() -> None:
    library = of_this_machine()
    for size in (0, 15, 17, 33):
        with pytest.raises(ValueError, match=r"^key size must be 16, 24 or 32 bytes$"):
            EvpCipher(library, bytes(size))


def of_this_machine() -> Library:
    for path in (sys.modules["_ssl"].__file__ or "", _aead.SYSTEM_LIBRARY):
        try:
            return Library(path)
        except (OSError, LookupError):
            continue
    pytest.skip("neither the ssl module nor the system has an OpenSSL that can be called")


def test_a_library_without_the_functions_or_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        Library(str(tmp_path / "nowhere.so"))
    with pytest.raises(OSError, match=r".+"):
        Library(str(tmp_path / "nowhere.so"), loaded=True)
    with pytest.raises(LookupError, match="OpenSSL_version"):
        Library("libm.so.6")


def test_a_library_that_calls_itself_otherwise_is_refused() -> None:
    of_this_machine()
    with pytest.raises(_aead.UnusableError, match=r"what answers there is \w+"):
        _aead.load("evp:other", _aead.SYSTEM_LIBRARY, loaded=False, trusted=lambda _: False)


def test_a_cipher_with_a_wrong_answer_is_told() -> None:
    cipher = EvpCipher(of_this_machine(), KEY)
    assert not cipher.answers(NONCE, b"", b"plain", bytes(21))
    assert not cipher.answers(NONCE, b"", b"plain", bytes(20))


def test_system_nonces_are_bytes_of_the_length_asked_for() -> None:
    nonces = SystemNonces()
    assert [len(nonces(n)) for n in (0, 1, 12, 5_000)] == [0, 1, 12, 5_000]
    assert nonces(32) != nonces(32)
    assert bytes(1) == b"\0", "no shared object was written to"


def test_what_is_wanted_is_what_is_chosen() -> None:
    assert _aead.choose("cryptography").name == "cryptography"
    assert _aead.choose("auto").name in ("evp:ssl", "evp:system", "cryptography")


def test_without_an_openssl_evp_says_why_and_auto_takes_cryptography(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Backend:
        raise _aead.UnusableError("no such thing")

    monkeypatch.setattr(_aead, "of_the_ssl_module", missing)
    monkeypatch.setattr(_aead, "of_the_system", missing)
    assert _aead.choose("auto").name == "cryptography"
    with pytest.raises(_aead.UnusableError, match="no such thing; no such thing"):
        _aead.choose("evp")
