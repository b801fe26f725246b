"""Tags in a node's metadata, as Serf writes them (Serf §2)."""

from __future__ import annotations

from collections.abc import Mapping

import msgpack

from gossip._core import pack
from gossip._serf.wire import WireError, text, unpacker
from gossip.errors import ArgumentError
from gossip.members import META_BYTES_MAX, decode_name, encode_name

_MAGIC = b"\xff"
ROLE = "role"
MAP_SINCE = 3
"""The Serf protocol since which tags are a map; before, only the role is told."""


def encode_tags(tags: Mapping[str, str], serf_protocol: int = 5) -> bytes:
    """The metadata that carries these tags. Raises ArgumentError when they are no texts or too
    long together."""
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ArgumentError(f"a tag is a text with a text, not {key!r}: {value!r}")
    try:
        if serf_protocol < MAP_SINCE:
            meta = encode_name(tags.get(ROLE, ""))
        else:
            meta = _MAGIC + pack(dict(sorted(tags.items())))
    except UnicodeEncodeError:
        raise ArgumentError("tags must be texts that UTF-8 can carry") from None
    except ValueError:
        meta = bytes(META_BYTES_MAX + 1)
    if len(meta) > META_BYTES_MAX:
        raise ArgumentError(f"Encoded length of tags exceeds limit of {META_BYTES_MAX} bytes")
    return meta


def decode_tags(meta: bytes) -> dict[str, str]:
    """What metadata says: a map, as far as it can be read, or else the bare value of `role`.

    Empty metadata is a role of no letters, as in Serf.
    """
    if meta[:1] != _MAGIC:
        return {ROLE: decode_name(meta)}
    tags: dict[str, str] = {}
    reader = unpacker(meta[1:])
    try:
        for _ in range(reader.read_map_header()):
            key = text(reader.unpack())
            tags[key] = text(reader.unpack())
    except (WireError, ValueError, TypeError, msgpack.UnpackException):
        pass  # the entries before the fault count
    return tags
