"""`gossip decode` gives every golden vector's `decoded`, and says which line held no packet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gossip.agent.main import main

from .vectors import load

FILES = (
    "memberlist_messages",
    "memberlist_compound",
    "memberlist_envelopes",
    "memberlist_encrypted",
    "memberlist_malformed",
    "live_packets",
)
PING = "0082a44e6f6465a5616c706861a55365714e6f00"
PING_DECODED = {
    "crc32": None,
    "encryption": None,
    "label": None,
    "message": {"body": {"Node": "alpha", "SeqNo": 0}, "type": 0, "type_name": "ping"},
}


def vectors(name: str) -> list[dict[str, Any]]:
    """The packets of a vector file; the err messages among them travel on streams only."""
    return [entry for entry in load(name) if "label" in entry["decoded"]]


def decode(*lines: str) -> Result:
    return CliRunner().invoke(main, ["decode"], input="".join(f"{line}\n" for line in lines))


def comparable(value: Any) -> Any:
    """Without what the vectors tell beyond a packet: the texts of errors, and Serf's payloads."""
    if isinstance(value, dict):
        known = {key: comparable(item) for key, item in value.items() if key != "serf"}
        return known | {"error": True} if "error" in known else known
    return [comparable(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FILES)
def test_every_golden_packet_is_decoded_in_the_form_of_the_vectors(name: str) -> None:
    entries = vectors(name)
    assert entries
    result = decode(*(json.dumps(entry) for entry in entries))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == len(entries)
    for entry, line in zip(entries, lines, strict=True):
        assert comparable(json.loads(line)) == comparable(entry["decoded"]), entry["name"]


def test_a_bare_hexadecimal_line_is_a_packet_without_key_and_label() -> None:
    result = decode(PING, "", f"  {PING.upper()} ")
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == [PING_DECODED] * 2


@pytest.mark.parametrize(
    "line",
    [
        "xyz",
        "0",
        "{",
        "{}",
        '{"hex":' * 100_000,
        '{"hex": 3}',
        '{"hex": "zz"}',
        f'{{"hex": "{PING}", "context": []}}',
        f'{{"hex": "{PING}", "context": {{"keys": ["00"]}}}}',
        f'{{"hex": "{PING}", "context": {{"keys": [3]}}}}',
        f'{{"hex": "{PING}", "context": {{"label": 3}}}}',
        f'{{"hex": "{PING}", "context": {{"label": "{"x" * 256}"}}}}',
    ],
)
def test_a_line_without_a_packet_is_told_in_its_place_and_makes_the_exit_code_1(line: str) -> None:
    result = decode(PING, line, PING)
    assert result.exit_code == 1
    first, fault, last = map(json.loads, result.stdout.splitlines())
    assert first == last == PING_DECODED
    assert list(fault) == ["error"]
    assert result.stderr == ""


def test_what_the_node_rejects_is_a_result_and_no_failure() -> None:
    result = decode("0702")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["message"]["error"]
