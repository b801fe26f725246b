"""README.md and docs/hashicorp.md hold what they promise: each program runs as it stands there.

Only addresses are others: a loopback address of this process's own stands for 127.0.0.1, so that
the ports may be those of the page.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import gossip
from gossip.agent.main import main

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def own_loopback() -> str:
    number = os.getpid()
    return f"127.{64 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


class Running:
    """A block of a page as a program; killed after a while, so that reading it ends."""

    def __init__(self, text: str, folder: Path, name: str) -> None:
        path = folder / f"{name}.py"
        path.write_text(text.replace("127.0.0.1", own_loopback()))
        self._lines: list[str] = []
        command = [sys.executable, "-u", str(path)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._alarm = threading.Timer(PATIENCE, self._process.kill)
        self._alarm.start()

    def until(self, text: str) -> None:
        """Reads on to a line with this text, if none had it yet."""
        assert self._process.stdout is not None
        while not any(text in line for line in self._lines):
            line = self._process.stdout.readline()
            assert line, f"it ended without {text!r}: {self._lines}"
            self._lines.append(line)

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        self._alarm.cancel()
        self._process.kill()
        self._process.communicate()


@contextmanager
def running(text: str, folder: Path, name: str) -> Iterator[Running]:
    program = Running(text, folder, name)
    try:
        yield program
    finally:
        program.close()


def test_the_two_processes_of_the_readme_find_each_other_talk_and_part(tmp_path: Path) -> None:
    first, second, *_ = blocks("README.md", "python")
    with running(first, tmp_path, "first") as web_1:
        web_1.until("members: web-1")
        with running(second, tmp_path, "second") as web_2:
            web_1.until("web-2 joined at")
            web_1.until("message: b'cache-refresh'")
            web_2.end()
            web_1.until("web-2 left")


@pytest.mark.parametrize("extra", ["with google-re2", "without"])
def test_events_and_queries_of_the_readme_come_back(extra: str, tmp_path: Path) -> None:
    program = blocks("README.md", "python")[2]
    if extra == "without":
        program = "import sys\nsys.modules['re2'] = None\n" + program
    with running(program, tmp_path, "node") as node:
        node.until("drop b'user:7'")
        node.until("{'web-3': b'7'}")


def test_a_node_beyond_loopback_is_made_with_the_key_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gossip.key").write_text(gossip.encode_key(gossip.generate_key()))
    (text,) = [each for each in blocks("README.md", "python") if "key_file" in each]
    made = eval(text, {"gossip": gossip})
    assert made.keyring.primary


COMMANDS = [
    line.split("#")[0].strip()
    for page in ("README.md", "docs/guide.md", "docs/performance.md")
    for block in blocks(page, "sh")
    for line in re.findall(r"\bgossip [a-z][^>)\n]*", block)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_pages_has_the_options_it_is_given(line: str) -> None:
    words = shlex.split(line.split("<")[0])[1:]
    done = CliRunner().invoke(main, [*words, "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("number", range(3))
def test_the_configurations_of_the_page_for_pools_of_go_hold(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = gossip.encode_key(gossip.generate_key())
    Path("gossip.key").write_text(key)
    Path("keyring.json").write_text(f'["{key}"]')
    text = blocks("docs/hashicorp.md", "python")[number]
    text = text.replace("/etc/serf/", "").replace("/var/lib/", "")
    names: dict[str, object] = {"gossip": gossip}
    if "asyncio.run" in text:  # its node would bind an address of another machine
        text = text.replace("10.0.0.7:7946", f"{own_loopback()}:0").replace('"10.0.0.5"', "")
    exec(text, names)
    assert "asyncio" in names or isinstance(names["config"], gossip.NodeConfig)
