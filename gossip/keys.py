"""Gossip keys as bytes and as text: making, writing, reading them. Reads no file."""

from __future__ import annotations

import base64
import binascii
import json
import secrets

from gossip.errors import KeyringError

KEY_SIZES = (16, 24, 32)


def generate_key(size: int = 32) -> bytes:
    """A new random key of 16, 24 or 32 bytes (AES-128, -192, -256)."""
    if size not in KEY_SIZES:
        raise KeyringError("key size must be 16, 24 or 32 bytes")
    return secrets.token_bytes(size)


def encode_key(key: bytes) -> str:
    """The key as the base64 text that key files, Serf and Consul use."""
    return base64.b64encode(key).decode("ascii")


def parse_key(text: str) -> bytes:
    """The key that a base64 text stands for."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyringError(
            f"the key is not base64 ({error}); make one with: gossip keygen"
        ) from None
    return checked_key(key)


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys of a key file, the primary one first.

    Either one base64 key a line, as `gossip keygen` prints them (empty lines and lines that begin
    with `#` are skipped), or Serf's keyring file: a JSON array of base64 keys.
    """
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise KeyringError(f"the keyring file is not JSON: {error}") from None
        if not all(isinstance(entry, str) for entry in entries):
            raise KeyringError("the keyring file must be a JSON array of base64 strings")
    else:
        lines = (line.strip() for line in text.splitlines())
        entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise KeyringError("the key file holds no key; make one with: gossip keygen")
    return tuple(parse_key(entry) for entry in entries)


def checked_key(key: bytes) -> bytes:
    """The key itself; raises KeyringError when it cannot be one."""
    if not isinstance(key, bytes | bytearray | memoryview):
        raise KeyringError(f"a key is bytes, not {type(key).__name__}; see gossip.parse_key")
    if len(key) not in KEY_SIZES:
        raise KeyringError("key size must be 16, 24 or 32 bytes")
    return bytes(key)
