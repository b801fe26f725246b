"""The golden vectors, read from tests/vectors: what the real libraries wrote and accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FOLDER = Path(__file__).parent.parent / "vectors"

Vector = dict[str, Any]


@cache
def load(name: str) -> list[Vector]:
    """All entries of one vector file."""
    entries: list[Vector] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return entries


def ids(entry: Vector) -> str:
    """The name of an entry, for pytest's parametrize."""
    return str(entry["name"])


def keys_of(
    context: Vector, name: str = "keys", cipher: Callable[[bytes], Any] = AESGCM
) -> tuple[Any, ...]:
    """The ciphers of a context's keys, in ring order."""
    return tuple(cipher(bytes.fromhex(key)) for key in context.get(name) or ())


def label_of(context: Vector, name: str = "label") -> bytes:
    """The label bytes of a context."""
    return (context.get(name) or "").encode()
