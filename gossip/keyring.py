"""The gossip keys of a node: an ordered ring (protocol §9.1). Reads no file and no environment."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Iterable, Iterator

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip.errors import KeyringError

KEY_SIZES = (16, 24, 32)
KEYS_MAX = 32


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
    return _checked(key)


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


def _checked(key: bytes) -> bytes:
    if not isinstance(key, bytes | bytearray | memoryview):
        raise KeyringError(f"a key is bytes, not {type(key).__name__}; see gossip.parse_key")
    if len(key) not in KEY_SIZES:
        raise KeyringError("key size must be 16, 24 or 32 bytes")
    return bytes(key)


class Keyring:
    """An ordered set of keys. The first is the primary: it alone seals; each of them may open.

    To rotate without losing a member: `add` the new key on every node, then `use` it on every node,
    then `remove` the old one on every node. The ring of a running node takes effect at once.
    """

    __slots__ = ("_aeads", "_keys", "_listener")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys: list[bytes] = []
        self._aeads: dict[bytes, AESGCM] = {}
        self._listener: Callable[[], None] | None = None
        for key in keys:
            self.add(key)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys in ring order, the primary first."""
        return tuple(self._keys)

    @property
    def primary(self) -> bytes | None:
        """The key that seals; None when the ring is empty and nothing is encrypted."""
        return self._keys[0] if self._keys else None

    def add(self, key: bytes) -> None:
        """Append a key; nothing happens if it is there. The first key becomes the primary."""
        key = _checked(key)
        if key in self._keys:
            return
        if len(self._keys) == KEYS_MAX:
            raise KeyringError(f"a keyring holds at most {KEYS_MAX} keys; remove an old one first")
        self._aeads[key] = AESGCM(key)
        self._change([*self._keys, key])

    def use(self, key: bytes) -> None:
        """Make a key of the ring the primary."""
        if key not in self._keys:
            raise KeyringError("requested key is not in the keyring")
        self._change([key, *(other for other in self._keys if other != key)])

    def remove(self, key: bytes) -> None:
        """Take a key out; nothing happens if it is not there. The primary cannot be removed."""
        if self._keys and key == self._keys[0]:
            raise KeyringError("removing the primary key is not allowed")
        if key in self._keys:
            self._change([other for other in self._keys if other != key])
            del self._aeads[key]

    def aeads(self) -> tuple[AESGCM, ...]:
        """One AES-GCM object a key, in ring order, for the core."""
        return tuple(self._aeads[key] for key in self._keys)

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have one listener called after each change; if it raises, the change is taken back."""
        self._listener = listener

    def _change(self, keys: list[bytes]) -> None:
        before, self._keys = self._keys, keys
        try:
            if self._listener is not None:
                self._listener()
        except BaseException:
            self._keys = before
            raise

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)} keys>"
