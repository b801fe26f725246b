"""The typed face of `_evp.pyx`."""

from typing import final

from gossip._core import Cipher, NonceSource

@final
class SystemNonces(NonceSource):
    def __call__(self, n: int) -> bytes: ...

@final
class Library:
    def __new__(cls, path: str, *, loaded: bool = False) -> Library: ...
    @property
    def version(self) -> str: ...

@final
class EvpCipher(Cipher):
    def __new__(cls, library: Library, key: bytes) -> EvpCipher: ...
    def answers(self, nonce: bytes, aad: bytes, plain: bytes, sealed: bytes) -> bool: ...
