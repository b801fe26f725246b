"""Tags in metadata (Serf §2, vectors: serf_tags)."""

from __future__ import annotations

import pytest

from gossip._core import pack
from gossip._serf.tags import decode_tags, encode_tags
from gossip.errors import ArgumentError

from .vectors import Vector, ids, load

VECTORS = load("serf_tags")


@pytest.mark.parametrize("entry", VECTORS, ids=ids)
def test_tags_read_as_the_real_agent_reads_them(entry: Vector) -> None:
    assert decode_tags(bytes.fromhex(entry["hex"])) == (entry["decoded"] or {})


@pytest.mark.parametrize("entry", VECTORS, ids=ids)
def test_tags_are_written_as_the_real_agent_writes_them(entry: Vector) -> None:
    if entry["decoded"] is None:
        return  # we always have tags
    meta, protocol = bytes.fromhex(entry["hex"]), entry["context"]["serf_protocol"]
    written = encode_tags(entry["decoded"], protocol)
    assert len(written) == len(meta)  # the order of several tags is arbitrary
    assert written == meta or len(entry["decoded"]) > 1
    assert decode_tags(written) == entry["decoded"]


def test_empty_metadata_is_an_empty_role() -> None:
    assert decode_tags(b"") == {"role": ""}
    assert decode_tags(b"web") == {"role": "web"}


def test_what_stands_before_a_fault_counts() -> None:
    whole = b"\xff\x82\xa1a\xa11\xa1b\xa12"
    assert decode_tags(whole) == {"a": "1", "b": "2"}
    assert decode_tags(whole + b"behind it") == {"a": "1", "b": "2"}
    for end in range(2, 8):
        assert decode_tags(whole[:end]) == ({"a": "1"} if end >= 6 else {})
    assert decode_tags(b"\xff\x82\xa1a\xa11\xa1b\x07") == {"a": "1"}
    for nothing in (b"\xff", b"\xff\xc0", b"\xff\x93", b"\xff\xdf\xff\xff\xff\xff", b"\xff\xc1"):
        assert decode_tags(nothing) == {}


def test_strings_are_read_in_every_form_a_library_may_write() -> None:
    assert decode_tags(b"\xff\x81\xd9\x01a\xc4\x011") == {"a": "1"}
    assert decode_tags(b"\xff\x81\x91\x61\xc0") == {"a": ""}


def test_tags_that_do_not_fit_are_refused_with_serf_s_words() -> None:
    fits = "x" * (512 - len(b"\xff" + pack({"k": ""})) - 2)
    assert len(encode_tags({"k": fits})) == 512
    with pytest.raises(ArgumentError, match="tags exceeds limit of 512 bytes"):
        encode_tags({"k": fits + "x"})
    with pytest.raises(ArgumentError, match="exceeds limit"):
        encode_tags({"k": "x" * 70_000})
    with pytest.raises(ArgumentError, match="exceeds limit"):
        encode_tags({"role": "x" * 513}, serf_protocol=2)


def test_tags_that_are_no_texts_are_refused() -> None:
    with pytest.raises(ArgumentError, match="a text with a text"):
        encode_tags({"port": 80})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match="UTF-8"):
        encode_tags({"k": "\ud800"})
