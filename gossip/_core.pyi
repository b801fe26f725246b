from collections.abc import Callable, Iterable
from typing import Any, Protocol, final

# codec

class _AEAD(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...

DROP_REASON_NAMES: tuple[str, ...]
TYPE_NAMES: dict[int, str]
ERROR_TEXTS: dict[int, str]

@final
class Envelope:
    def __init__(
        self,
        *,
        keys: Iterable[bytes | _AEAD] = (),
        label: bytes = b"",
        refill: Callable[[int], bytes] | None = None,
        seal_version: int = 1,
        compression: bool = False,
        verify_incoming: bool = True,
        verify_outgoing: bool = True,
        skip_inbound_label_check: bool = False,
        refuse_replays: bool = False,
    ) -> None: ...
    def decode(self, data: bytes) -> dict[str, Any]: ...
    def encode(self, message: bytes, *, crc: bool = False) -> bytes: ...
    def overhead(self, *, gossip: bool) -> int: ...

def decode_packet(
    data: bytes, *, keys: Iterable[bytes | _AEAD] = (), label: bytes = b""
) -> dict[str, Any]: ...
def encode_message(name: str, body: dict[str, Any]) -> bytes: ...
def lzw_compress(data: bytes) -> bytes: ...
def lzw_decompress(data: bytes, *, limit: int = 41943040) -> bytes: ...
