"""The gossip keys of a node: an ordered ring (protocol §9.1), usable while the node runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gossip.errors import KeyringError
from gossip.keys import checked_key

KEYS_MAX = 32


class Keyring:
    """An ordered set of keys. The first is the primary: it alone seals; each of them may open.

    To rotate without losing a member: `add` the new key on every node, then `use` it on every node,
    then `remove` the old one on every node. The ring of a running node takes effect at once.
    """

    __slots__ = ("_keys", "_listener")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys: list[bytes] = []
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
        key = checked_key(key)
        if key in self._keys:
            return
        if len(self._keys) == KEYS_MAX:
            raise KeyringError(f"a keyring holds at most {KEYS_MAX} keys; remove an old one first")
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
