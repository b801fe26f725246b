"""Which implementation of AES-GCM seals a node's messages. None of them is ours.

Preferred is the OpenSSL that the interpreter's own `ssl` module uses, called without the GIL; then
the system's; then the `cryptography` package, which needs the GIL for every packet.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gossip._core import Cipher, NonceSource
from gossip._evp import EvpCipher, Library, SystemNonces
from gossip.config import AeadChoice

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SYSTEM_LIBRARY = "libcrypto.so.3"


@dataclass(frozen=True, slots=True)
class Backend:
    """One implementation of AES-GCM, and the source of its nonces.

    cipher: makes what the core seals and opens with from a key; for one core each.
    needs_gil: whether Python is called for every packet.
    """

    name: str
    cipher: Callable[[bytes], Cipher | AESGCM]
    nonces: NonceSource | Callable[[int], bytes]
    needs_gil: bool


class UnusableError(Exception):
    """Why an implementation is not taken."""


def choose(wanted: AeadChoice) -> Backend:
    """The best implementation of those wanted; raises UnusableError with every reason."""
    if wanted == "cryptography":
        return of_cryptography()
    reasons = []
    for candidate in (of_the_ssl_module, of_the_system):
        try:
            return candidate()
        except UnusableError as error:
            reasons.append(str(error))
    if wanted == "auto":
        return of_cryptography()
    raise UnusableError("; ".join(reasons))


@cache
def of_the_ssl_module() -> Backend:
    """The libcrypto that `ssl` has loaded, whichever else there may be in the process."""
    try:
        import _ssl  # an interpreter may have been built without it
    except ImportError as error:
        raise UnusableError(f"there is no ssl module: {error}") from None
    path = getattr(_ssl, "__file__", "")  # "": built into the program
    return load("evp:ssl", path, loaded=True, trusted=lambda it: it == _ssl.OPENSSL_VERSION)


@cache
def of_the_system() -> Backend:
    """The system's OpenSSL 3, where the interpreter brings one that cannot be called."""
    return load(
        "evp:system", SYSTEM_LIBRARY, loaded=False, trusted=lambda it: it.startswith("OpenSSL 3.")
    )


def load(name: str, path: str, *, loaded: bool, trusted: Callable[[str], bool]) -> Backend:
    try:
        library = Library(path, loaded=loaded)
        if not trusted(library.version):
            raise UnusableError(f"{name}: what answers there is {library.version}")
        for key, sealed in _KNOWN_ANSWERS:
            if not EvpCipher(library, key).answers(_NONCE, _AAD, _PLAIN, sealed):
                raise UnusableError(f"{name}: {library.version} gives a wrong answer")
    except (OSError, LookupError, RuntimeError) as error:
        raise UnusableError(f"{name}: {error}") from None
    return Backend(name, lambda key: EvpCipher(library, key), SystemNonces(), needs_gil=False)


@cache
def of_cryptography() -> Backend:
    # Here, because importing it takes long and it is seldom needed.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return Backend("cryptography", AESGCM, os.urandom, needs_gil=True)


# Test cases 4, 10 and 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega): one key of
# each size, the same nonce, associated data and plain text.
_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_KNOWN_ANSWERS = tuple(
    (_KEY[:size], bytes.fromhex(sealed))
    for size, sealed in (
        (
            16,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc"
            "3221a5db94fae95ae7121a47",
        ),
        (
            24,
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
            "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda27102519498e"
            "80f1478f37ba55bd6d27618c",
        ),
        (
            32,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece"
            "0f4e1768cddf8853bb2d551b",
        ),
    )
)
