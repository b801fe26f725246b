"""What a decoder must accept and refuse (protocol §2.2), and what an encoder writes (§2.1)."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import decode_packet, encode_message

# A ping whose SeqNo, or Node, is given as raw msgpack.
SEQ_NO = "0081a5" + b"SeqNo".hex()
NODE = "0081a4" + b"Node".hex()


def body_of(packet: str) -> dict[str, Any] | None:
    """The body of a message; None when it was refused."""
    message = decode_packet(bytes.fromhex(packet))["message"]
    body: dict[str, Any] | None = message.get("body")
    assert (body is None) == ("error" in message)
    return body


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("00", 0),
        ("7f", 127),
        ("cc05", 5),
        ("cd0005", 5),
        ("ce00000005", 5),
        ("cf0000000000000005", 5),
        ("d005", 5),
        ("d10005", 5),
        ("d200000005", 5),
        ("d30000000000000005", 5),
        ("ceffffffff", 2**32 - 1),
        ("cf00000000ffffffff", 2**32 - 1),
        ("c0", 0),
    ],
)
def test_an_integer_may_come_in_any_width_and_signedness(value: str, number: int) -> None:
    assert body_of(SEQ_NO + value) == {"SeqNo": number}


@pytest.mark.parametrize(
    "value",
    [
        *("ff", "e0", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"),  # negative
        *("cf0000000100000000", "d30000000100000000"),  # over 32 bits
        *("ca3f800000", "cb3ff0000000000000", "c2", "c3", "a135", "80", "90", "d40001", "c1"),
        *("cc", "cd00", "ce000000", "cf00000000000000", "d0", ""),  # cut short
    ],
)
def test_anything_else_for_an_unsigned_number_rejects_the_message(value: str) -> None:
    assert body_of(SEQ_NO + value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a0", ""),
        ("a161", "a"),
        ("d90161", "a"),
        ("da000161", "a"),
        ("db0000000161", "a"),
        ("c40161", "a"),
        ("c5000161", "a"),
        ("c60000000161", "a"),
        ("92616a", "aj"),
        ("92cc61cd006a", "aj"),
        ("dc0002d06161", "aa"),
        ("dd0000000161", "a"),
        ("90", ""),
        ("c0", ""),
    ],
)
def test_a_string_may_come_in_any_form_an_array_of_octets_included(value: str, text: str) -> None:
    assert body_of(NODE + value) == {"Node": text}


@pytest.mark.parametrize(
    "value",
    [
        *("05", "ff", "c2", "c3", "cb3ff0000000000000", "81a16101", "d40001", "c1"),
        *("91cd0100", "91ff", "91c0", "91a161"),  # arrays of something else than octets
        *("a261", "92", "dd0000ffff00", ""),  # cut short
    ],
)
def test_anything_else_for_a_string_rejects_the_message(value: str) -> None:
    assert body_of(NODE + value) is None


@pytest.mark.parametrize("octets", [4096, 4097])
def test_a_string_of_octets_has_a_limit(octets: int) -> None:
    array = "dc" + octets.to_bytes(2, "big").hex() + "61" * octets
    assert (body_of(NODE + array) is not None) == (octets <= 4096)


NACK_OF = "0181a4" + b"Nack".hex()


@pytest.mark.parametrize(
    ("value", "truth"), [("c2", False), ("c3", True), ("00", False), ("01", True), ("c0", False)]
)
def test_a_bool_may_be_zero_or_one_or_nil(value: str, truth: bool) -> None:
    assert body_of(NACK_OF + value) == {"Nack": truth}


@pytest.mark.parametrize("value", ["02", "cc01", "ff", "a161", "cb3ff0000000000000", ""])
def test_anything_else_for_a_bool_rejects_the_message(value: str) -> None:
    assert body_of(NACK_OF + value) is None


@pytest.mark.parametrize("key", ["c0", "05", "a0", "d900", "90", "c2", "81a16101"])
def test_a_key_that_is_no_string_or_empty_rejects_the_message(key: str) -> None:
    assert body_of("0081" + key + "05") is None


@pytest.mark.parametrize("head", ["a5", "d905", "da0005", "c405", "95", "dc0005"])
def test_a_key_may_come_in_any_form_of_a_string(head: str) -> None:
    assert body_of("0081" + head + b"SeqNo".hex() + "05") == {"SeqNo": 5}


def test_keys_are_case_sensitive_and_unknown_ones_are_passed_over() -> None:
    unknown = "a5" + b"seqno".hex()
    ext = ("c7020501ff", "d405aa", "d805" + "00" * 16)
    for value in ("05", "c0", "a161", "93c2c3c0", "81a161920102", *ext):
        assert body_of("0082" + unknown + value + SEQ_NO[4:] + "07") == {"SeqNo": 7}


def test_the_last_of_duplicate_keys_wins() -> None:
    assert body_of("0082" + SEQ_NO[4:] + "05" + SEQ_NO[4:] + "06") == {"SeqNo": 6}


def test_keys_may_come_in_any_order() -> None:
    assert body_of("0082" + SEQ_NO[4:] + "05" + NODE[4:] + "a16e") == {"SeqNo": 5, "Node": "n"}


@pytest.mark.parametrize("head", ["82", "de0002", "df00000002"])
def test_the_head_of_a_map_may_have_any_width(head: str) -> None:
    assert body_of("00" + head + SEQ_NO[4:] + "05" + NODE[4:] + "a16e") is not None


def test_a_struct_may_come_as_an_array_in_declaration_order() -> None:
    everything = {"SeqNo": 5, "Node": "n", "SourceAddr": {"$hex": "0a000001"}, "SourcePort": 9}
    array = "05a16ec4040a00000109"
    assert body_of("0094" + array) == everything
    assert body_of("0096" + array + "a16d" + "93010203") == everything | {"SourceNode": "m"}
    assert body_of("00dc0002" + "05a16e") == {"SeqNo": 5, "Node": "n"}
    assert body_of("0090") == {}


def test_the_elements_an_array_has_too_many_must_be_there() -> None:
    assert body_of("0096" + "05a16ec0c0c0") is None


@pytest.mark.parametrize(
    "body", ["", "05", "c2", "a161", "81", "82a161", "df7fffffff", "c1", "ddff"]
)
def test_a_body_that_is_no_struct_or_ends_early_is_refused(body: str) -> None:
    assert body_of("00" + body) is None


@pytest.mark.parametrize(("depth", "accepted"), [(1000, True), (1100, False)])
def test_unknown_values_may_nest_but_not_without_end(depth: int, accepted: bool) -> None:
    body = body_of("0081a178" + "91" * depth + "c0")
    assert (body is not None) == accepted


def test_a_length_beyond_the_packet_is_refused_without_reading_it() -> None:
    for head in ("daffff", "dbffffffff", "c6ffffffff", "ddffffffff", "dcffff"):
        assert body_of(NODE + head + "61") is None
        assert body_of("0081a178" + head + "61") is None


UNSIGNED = {
    0: "00",
    127: "7f",
    128: "cc80",
    255: "ccff",
    256: "cd0100",
    65535: "cdffff",
    65536: "ce00010000",
    2**32 - 1: "ceffffffff",
}
SIGNED = {
    0: "00",
    127: "7f",
    128: "d10080",
    151: "d10097",
    -1: "ff",
    -32: "e0",
    -33: "d0df",
    -128: "d080",
    -129: "d1ff7f",
    32767: "d17fff",
    32768: "d200008000",
    -32769: "d2ffff7fff",
    2**31 - 1: "d27fffffff",
    2**31: "d30000000080000000",
    -(2**63): "d38000000000000000",
    2**63 - 1: "d37fffffffffffffff",
}


@pytest.mark.parametrize(("number", "encoded"), UNSIGNED.items())
def test_an_unsigned_number_is_written_in_its_shortest_form(number: int, encoded: str) -> None:
    assert encode_message("nackResp", {"SeqNo": number}).hex() == "0b" + SEQ_NO[2:] + encoded


@pytest.mark.parametrize(("number", "encoded"), SIGNED.items())
def test_a_signed_number_is_written_in_its_shortest_signed_form(number: int, encoded: str) -> None:
    written = encode_message("userHeader", {"UserMsgLen": number})
    assert written.hex() == "0881aa" + b"UserMsgLen".hex() + encoded


@pytest.mark.parametrize(
    ("length", "head"),
    [(0, "a0"), (31, "bf"), (32, "da0020"), (255, "da00ff"), (65536, "db00010000")],
)
def test_a_string_is_written_raw_whatever_its_length(length: int, head: str) -> None:
    written = encode_message("err", {"Error": "x" * length})
    assert written.hex() == "0d81a5" + b"Error".hex() + head + "78" * length


def test_only_the_source_fields_are_left_out_when_empty() -> None:
    assert encode_message("ping", {}).hex() == "0082a4" + b"Node".hex() + "a0" + SEQ_NO[4:] + "00"
    assert encode_message("ackResp", {})[:3].hex() == "0282a7"
    assert len(encode_message("indirectPing", {})) == len(bytes.fromhex("0185")) + sum(
        len(name) + 2 for name in ("Nack", "Node", "Port", "SeqNo", "Target")
    )


def test_wrong_arguments_to_the_encoder_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="no message 'gossip'"):
        encode_message("gossip", {})
    with pytest.raises(ValueError, match="ping has no field 'Nodes'"):
        encode_message("ping", {"Nodes": 1})
    with pytest.raises(OverflowError):
        encode_message("ping", {"SeqNo": 2**32})
    with pytest.raises(OverflowError):
        encode_message("ping", {"SourcePort": 65536})
    with pytest.raises(TypeError, match="bytes or str"):
        encode_message("ping", {"Node": 5})
