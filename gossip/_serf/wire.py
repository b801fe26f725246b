"""Reading msgpack that peers wrote, as liberally as Go's library reads it (protocol §2.2).

For what only Python looks at. A struct may come as a map, as an array in the order of its
declaration, or as nil; unknown keys are passed over, missing ones are zero, and what stands behind
the value is ignored. Anything else is a `WireError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgpack

from gossip.members import decode_name

Read: TypeAlias = Callable[[Any], Any]


class WireError(ValueError):
    """A peer's bytes are not what they should be."""


def unpacker(data: bytes) -> msgpack.Unpacker:
    """Reads values one after the other; text and bytes alike come as bytes."""
    reader = msgpack.Unpacker(raw=True, strict_map_key=False, max_buffer_size=len(data) or 1)
    reader.feed(data)
    return reader


def unpack(data: bytes) -> Any:
    """The first value. Raises WireError."""
    try:
        return unpacker(data).unpack()
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"msgpack decode error: {error or type(error).__name__}") from None


def read_struct(data: bytes, fields: Mapping[str, Read]) -> dict[str, Any]:
    """The fields of a struct, each through its reader. `fields` stand in declaration order."""
    value = unpack(data)
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        found = {_key(key): each for key, each in value.items()}
    elif isinstance(value, list):
        found = dict(zip(fields, value, strict=False))
    elif value is not None:
        raise WireError("a struct is a map, an array or nil")
    return {name: read(found.get(name)) for name, read in fields.items()}


def _key(key: object) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else repr(key)


def octets(value: object) -> bytes:
    """A string or byte string, also as an array of numbers; nil is empty."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list):
        try:
            return bytes(value)
        except (TypeError, ValueError):
            pass
    raise WireError("a string was expected")


def text(value: object) -> str:
    """The same as text; what is not UTF-8 becomes surrogate escapes."""
    return decode_name(octets(value))


def number(highest: int) -> Read:
    """A reader of integers from 0; nil is 0."""

    def read(value: object) -> int:
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
            raise WireError(f"a number from 0 to {highest} was expected")
        return value

    return read


def real(value: object) -> float:
    """A floating point number; nil is 0."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("a floating point number was expected")
    return float(value)


def switch(value: object) -> bool:
    """True or false, also as 1 and 0; nil is false."""
    if value is None or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise WireError("true or false was expected")


def sequence(read: Read) -> Read:
    """A reader of lists; nil is empty."""

    def read_all(value: object) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise WireError("a list was expected")
        return [read(each) for each in value]

    return read_all


def texts(value: object) -> dict[str, str]:
    """A map from text to text; nil is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireError("a map was expected")
    return {text(key): text(each) for key, each in value.items()}
