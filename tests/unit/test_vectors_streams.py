"""Golden vectors of stream dialogues, whole and byte by byte, and the exact error texts (§10.1)."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import Envelope, StreamReader, decode_stream, encode_message, encode_stream

from . import vectors
from .vectors import Vector

DIALOGUES = [
    pytest.param(entry, side, id=f"{entry['name']}:{side}")
    for name in ("stream_pushpull", "stream_tcpping", "stream_user")
    for entry in vectors.load(name)
    for side in ("request", "reply")
    if side == "request" or entry["reply_hex"]
]


def side_of(entry: Vector, side: str) -> tuple[bytes, dict[str, Any]]:
    """The bytes one side wrote, and what they mean."""
    prefix = "reply_" if side == "reply" else ""
    return bytes.fromhex(entry[prefix + "hex"]), entry[prefix + "decoded"]


def envelope_of(context: Vector, **more: Any) -> Envelope:
    return Envelope(keys=vectors.keys_of(context), label=vectors.label_of(context), **more)


@pytest.mark.parametrize(("entry", "side"), DIALOGUES)
def test_a_dialogue_decodes_as_the_library_decodes_it(entry: Vector, side: str) -> None:
    data, decoded = side_of(entry, side)
    got = decode_stream(
        data,
        keys=vectors.keys_of(entry["context"]),
        label=vectors.label_of(entry["context"]),
        reply=side == "reply",
    )
    assert got == decoded


@pytest.mark.parametrize(("entry", "side"), DIALOGUES)
def test_bytes_that_come_one_by_one_make_no_difference(entry: Vector, side: str) -> None:
    data, decoded = side_of(entry, side)
    reader = StreamReader(envelope_of(entry["context"]), reply=side == "reply")
    for place in range(len(data) - 1):
        assert reader.feed(data[place : place + 1]) == "more"
    assert reader.feed(data[-1:]) == "ready"
    assert reader.feed(b"ignored") == "ready"
    assert reader.end() == "ready"
    assert reader.decoded() == decoded


def plain_of(decoded: dict[str, Any]) -> bytes:
    """The message of one side written again, without envelopes."""
    if decoded["type_name"] == "pushPull":
        nodes = [encode_message("pushNode", node) for node in decoded["nodes"]]
        start = encode_message("pushPull", decoded["header"])
        return start + b"".join(nodes) + bytes.fromhex(decoded["user_state"]["$hex"])
    if decoded["type_name"] == "user":
        start = encode_message("userHeader", decoded["header"])
        return start + bytes.fromhex(decoded["user_msg"]["$hex"])
    return encode_message(decoded["type_name"], decoded["body"])


@pytest.mark.parametrize(("entry", "side"), DIALOGUES)
def test_a_dialogue_is_written_back_byte_for_byte(entry: Vector, side: str) -> None:
    data, decoded = side_of(entry, side)
    seal = decoded["encryption"]
    nonce = bytes.fromhex(seal["nonce"]) if seal else b""
    envelope = envelope_of(
        entry["context"],
        compression=decoded["compressed"],
        seal_version=seal["version"] if seal else 1,
        refill=lambda n: (nonce * n)[:n],
    )
    written = encode_stream(envelope, plain_of(decoded), reply=side == "reply")
    assert written.hex() == data.hex()


ERRORS = vectors.load("stream_errors")


def server_of(entry: Vector) -> StreamReader:
    """The server's reader after the dialler wrote all it had to say."""
    context = entry["context"]
    reader = StreamReader(
        Envelope(
            keys=vectors.keys_of(context, "server_keys"),
            label=vectors.label_of(context, "server_label"),
        )
    )
    reader.feed(bytes.fromhex(entry["hex"]))
    if context["half_closed"]:
        reader.end()
    return reader


@pytest.mark.parametrize("entry", ERRORS, ids=vectors.ids)
def test_a_bad_request_is_answered_with_the_library_s_text_or_not_at_all(entry: Vector) -> None:
    reader = server_of(entry)
    reply = entry["reply_decoded"]
    if reply.get("type_name") == "err":
        assert reader.reply_error == reply["body"]["Error"]
    elif reply.get("empty"):
        assert reader.reply_error is None
        assert "error" in reader.decoded()
    else:
        assert "error" not in reader.decoded()


@pytest.mark.parametrize(
    "entry", [e for e in ERRORS if e["reply_decoded"].get("type_name") == "err"], ids=vectors.ids
)
def test_an_error_reply_is_written_byte_for_byte(entry: Vector) -> None:
    decoded, context = entry["reply_decoded"], entry["context"]
    seal = decoded["encryption"]
    nonce = bytes.fromhex(seal["nonce"]) if seal else b""
    server = Envelope(
        keys=vectors.keys_of(context, "server_keys"),
        label=vectors.label_of(context, "server_label"),
        compression=context["compression"],
        refill=lambda n: (nonce * n)[:n],
    )
    message = encode_message("err", decoded["body"])
    assert encode_stream(server, message, reply=True).hex() == entry["reply_hex"]


@pytest.mark.parametrize(
    ("request_hex", "text"),
    [
        ("0a00000000", "cannot decrypt empty payload"),
        ("0a0000000102", "unsupported encryption version 2"),
        ("0a000000020100", "payload is too small to decrypt: 2"),
        ("0a0000001d" + "00" * 29, "payload is too small to decrypt: 29"),
        ("0a01400001", "remote node state is larger than limit (20971521)"),
        ("0680", "encryption is configured but remote state is not encrypted"),
    ],
)
def test_a_server_with_keys_says_what_is_wrong_with_a_seal(request_hex: str, text: str) -> None:
    reader = StreamReader(Envelope(keys=[bytes(16)]))
    assert reader.feed(bytes.fromhex(request_hex)) == "failed"
    assert reader.reply_error == text


@pytest.mark.parametrize(
    ("request_hex", "text"),
    [
        ("0a", "remote state is encrypted and encryption is not configured"),
        ("0982a4416c676f01a3427566a0", "cannot decompress unknown algorithm 1"),
        ("0982a4416c676f00a3427566a3000302", "decompressed message is empty"),
        ("0982a4416c676f00a3427566a20003", "unexpected EOF"),
        ("0982a4416c676f00a3427566a3000502", "lzw: invalid code"),
    ],
)
def test_a_plain_server_says_what_is_wrong_with_an_envelope(request_hex: str, text: str) -> None:
    reader = StreamReader(Envelope())
    assert reader.feed(bytes.fromhex(request_hex)) == "failed"
    assert reader.reply_error == text


@pytest.mark.parametrize(
    "request_hex",
    ["", "f4", "0a000000", "06", "0682a4", "0982a4416c67", "0881aa557365724d73674c656e0568656c"],
)
def test_a_connection_that_ends_early_is_closed_without_a_reply(request_hex: str) -> None:
    label = b"x" if request_hex == "f4" else b""
    keys = [bytes(16)] if request_hex.startswith("0a") else []
    reader = StreamReader(Envelope(label=label, keys=keys))
    assert reader.feed(bytes.fromhex(request_hex)) == "more"
    assert reader.end() == "failed"
    assert reader.reply_error is None


@pytest.mark.parametrize(
    ("length", "kind"), [(-1, "pushPull"), (20971521, "pushPull"), (-1, "user"), (20971521, "user")]
)
def test_a_length_outside_its_limits_fails_before_the_bytes_come(length: int, kind: str) -> None:
    if kind == "pushPull":
        start = encode_message("pushPull", {"UserStateLen": length})
    else:
        start = encode_message("userHeader", {"UserMsgLen": length})
    reader = StreamReader(Envelope())
    assert reader.feed(start) == "failed"
    assert reader.reply_error is None


@pytest.mark.parametrize(
    ("nodes", "result"), [(1048576, "more"), (1048577, "failed"), (-1, "failed")]
)
def test_the_number_of_nodes_is_limited(nodes: int, result: str) -> None:
    assert StreamReader(Envelope()).feed(encode_message("pushPull", {"Nodes": nodes})) == result


def test_a_decompressed_message_over_the_limit_is_refused_with_its_limit() -> None:
    message = encode_message("userHeader", {"UserMsgLen": 5000}) + bytes(5000)
    packed = encode_stream(Envelope(compression=True), message)
    assert StreamReader(Envelope(), limit=len(message)).feed(packed) == "ready"
    reader = StreamReader(Envelope(), limit=len(message) - 1)
    assert reader.feed(packed) == "failed"
    assert reader.reply_error == f"decompressed message is larger than limit ({len(message) - 1})"


def test_a_stream_of_more_bytes_than_its_limit_is_closed_without_a_reply() -> None:
    reader = StreamReader(Envelope(), limit=100)
    start = encode_message("userHeader", {"UserMsgLen": 5000})
    assert reader.feed(start) == "more"
    assert reader.feed(bytes(100)) == "failed"
    assert reader.reply_error is None


def test_a_nested_envelope_is_closed_without_a_reply() -> None:
    compressing = Envelope(compression=True)
    message = encode_message("ping", {"Node": "n", "SeqNo": 1})
    twice = encode_stream(compressing, encode_stream(compressing, message))
    reader = StreamReader(Envelope())
    assert reader.feed(twice) == "failed"
    assert reader.reply_error is None
