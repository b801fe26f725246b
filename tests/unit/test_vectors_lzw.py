"""LZW in both directions, byte for byte (protocol §6.1)."""

from __future__ import annotations

import zlib

import pytest

from gossip._core import lzw_compress, lzw_decompress

from . import vectors
from .vectors import Vector

LZW = vectors.load("lzw")


def plain_of(entry: Vector) -> bytes:
    """The plaintext of a vector, spelled out or given as a rule."""
    decoded = entry["decoded"]
    if "input" in decoded:
        return bytes.fromhex(decoded["input"]["$hex"])
    rule = decoded["input_rule"]
    return bytes.fromhex(rule["repeat_hex"]) * int(rule["count"])


@pytest.mark.parametrize("entry", LZW, ids=vectors.ids)
def test_compressing_gives_the_bytes_of_the_library(entry: Vector) -> None:
    plain = plain_of(entry)
    assert zlib.crc32(plain) == entry["decoded"]["crc32"]
    assert lzw_compress(plain).hex() == entry["hex"]


@pytest.mark.parametrize("entry", LZW, ids=vectors.ids)
def test_decompressing_gives_the_plaintext(entry: Vector) -> None:
    assert lzw_decompress(bytes.fromhex(entry["hex"])) == plain_of(entry)


@pytest.mark.parametrize("entry", LZW, ids=vectors.ids)
def test_the_limit_is_the_last_length_that_passes(entry: Vector) -> None:
    packed, length = bytes.fromhex(entry["hex"]), entry["decoded"]["length"]
    assert len(lzw_decompress(packed, limit=length)) == length
    if length:
        with pytest.raises(ValueError, match="limit"):
            lzw_decompress(packed, limit=length - 1)


@pytest.mark.parametrize("entry", LZW, ids=vectors.ids)
def test_data_without_its_end_code_is_refused(entry: Vector) -> None:
    packed = bytes.fromhex(entry["hex"])
    for missing in (2, len(packed) // 2, len(packed)):
        with pytest.raises(ValueError, match="unexpected EOF"):
            lzw_decompress(packed[: len(packed) - missing])


def test_bytes_after_the_end_code_are_ignored() -> None:
    assert lzw_decompress(lzw_compress(b"abc") + b"more") == b"abc"


def test_a_first_code_that_is_not_clear_is_tolerated() -> None:
    codes = [ord("a"), ord("b"), 258, 257]
    bits = sum(code << (9 * place) for place, code in enumerate(codes))
    assert lzw_decompress(bits.to_bytes(5, "little")) == b"abab"


def test_a_code_that_was_never_given_out_is_invalid() -> None:
    bits = 256 | 258 << 9
    with pytest.raises(ValueError, match="lzw: invalid code"):
        lzw_decompress(bits.to_bytes(3, "little"))
