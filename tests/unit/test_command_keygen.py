"""`gossip keygen`, and what holds for every `gossip` command."""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner

from gossip.agent.main import main


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keygen_prints_one_fresh_base64_key_of_the_asked_length(size: int) -> None:
    keys = set()
    for _ in range(3):
        result = CliRunner().invoke(main, ["keygen", "--bytes", str(size)])
        assert result.exit_code == 0
        (line,) = result.stdout.splitlines()
        assert len(base64.b64decode(line, validate=True)) == size
        keys.add(line)
    assert len(keys) == 3


def test_keygen_makes_an_aes_256_key_when_not_asked_otherwise() -> None:
    assert len(base64.b64decode(CliRunner().invoke(main, ["keygen"]).stdout)) == 32


def test_keygen_prints_json_for_machines() -> None:
    result = CliRunner().invoke(main, ["keygen", "--json"])
    assert len(base64.b64decode(json.loads(result.stdout)["key"])) == 32


@pytest.mark.parametrize("arguments", [["keygen", "--bytes", "20"], ["keygen", "x"], ["nothing"]])
def test_wrong_usage_exits_2_and_says_so_on_stderr(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr
    assert "Error: " in result.stderr


def test_the_command_knows_its_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("gossip, version ")
