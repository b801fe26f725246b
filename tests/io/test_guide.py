"""docs/guide.md and examples/ hold what they promise: every snippet and every program is run."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

import pytest

import gossip
from gossip._core import suspicion_k, suspicion_min_ns

from .nodes import next_of, node

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guide.md").read_text()
PATIENCE = 20.0


@dataclass(frozen=True)
class Snippet:
    """A block of the guide, and the line it begins at."""

    language: str
    line: int
    text: str


def snippets() -> Iterator[Snippet]:
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", GUIDE, re.M | re.S):
        yield Snippet(found[1], GUIDE[: found.start()].count("\n") + 2, found[2])


def of(language: str) -> list[pytest.ParameterSet]:
    return [
        pytest.param(each, id=f"line {each.line}")
        for each in snippets()
        if each.language == language
    ]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `gossip` is the command under test."""
    command = tmp_path / "bin" / "gossip"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom gossip.agent.main import main\nmain()\n")
    command.chmod(0o755)
    return os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("snippet", of("sh"))
def test_a_shell_snippet_of_the_guide_runs(
    snippet: Snippet, shell: dict[str, str], tmp_path: Path
) -> None:
    subprocess.run(["sh", "-e"], input=snippet.text, text=True, env=shell, cwd=tmp_path, check=True)
    assert list(tmp_path.glob("*.key"))


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The library's logger, afterwards as it was."""
    found = logging.getLogger("gossip")
    level = found.level
    yield found
    found.setLevel(level)


@pytest.mark.usefixtures("logger")
@pytest.mark.parametrize("snippet", of("python"))
async def test_a_snippet_of_the_guide_runs(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gossip.key").write_text(gossip.encode_key(gossip.generate_key()))
    async with node("web-1") as web, node("web-2", web) as other:
        await next_of(web.events(gossip.MemberJoined), gossip.MembersSnapshot)
        names = {"gossip": gossip, "asyncio": asyncio, "node": web, "other": other}
        await run(snippet, names)
        for made in names.values():
            if isinstance(made, gossip.Memberlist):
                await made.close()
            elif isinstance(made, contextlib.ExitStack):
                await asyncio.to_thread(made.close)


async def run(snippet: Snippet, names: dict[str, object]) -> None:
    """As `python -m asyncio` would; its lines are numbered as in the guide."""
    text = "\n" * (snippet.line - 1) + snippet.text
    code = compile(text, "guide.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if "blocking" in snippet.text:
        await asyncio.to_thread(FunctionType(code, names))
        return
    done = FunctionType(code, names)()
    if inspect.isawaitable(done):
        async with asyncio.timeout(PATIENCE):
            await done


def test_the_table_of_suspicions_holds_the_formulas() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) s \| ([\d.]+) s \|$", GUIDE, re.M)
    assert len(rows) == 4
    lan = gossip.Config.lan()
    for members, low, high in rows:
        n = int(members)
        shortest = suspicion_min_ns(lan.suspicion_mult, n, round(lan.probe_interval * 1e9)) / 1e9
        confirmable = suspicion_k(lan.suspicion_mult, n) > 0
        longest = shortest * (lan.suspicion_max_timeout_mult if confirmable else 1)
        assert (float(low), float(high)) == (round(shortest, 1), round(longest, 1))


def test_the_guide_names_every_event_and_every_status() -> None:
    for name in (kind.__name__ for kind in gossip.Event.__args__):
        assert re.search(rf"^\| {name} \|", GUIDE, re.M), name
    for status in gossip.Status:
        assert re.search(rf"^\| {status} \|", GUIDE, re.M), status


# The programs.


class Program:
    """An example that runs until it is told to end."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-u", str(path_of(module)), *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def until(self, text: str) -> str:
        """Reads on to a line that has the text."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}")

    def end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        out, _ = self._process.communicate(timeout=PATIENCE)
        assert (self._process.returncode, out.splitlines()[-1]) == (0, "left")


def path_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def output_of(module: str) -> list[str]:
    command = [sys.executable, str(path_of(module))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_two_nodes_join_talk_and_part() -> None:
    lines = [re.sub(r":\d+$", "", line) for line in output_of("examples.two_nodes")]
    assert lines[0] == "web-1: db-1 joined at 127.0.0.1"
    assert sorted(lines[1:3]) == ["web-1: db-1 is now 'role=db'", "web-1: message 'hello'"]
    assert lines[3:] == ["web-1: db-1 left"]


def test_a_refresh_reaches_every_cache() -> None:
    assert output_of("examples.cache_refresh") == ["user:7 is gone from all 4 caches"]


def test_watching_members_shows_who_comes_and_who_goes() -> None:
    one = Program("examples.watch_members", "n1", "127.0.0.1:0")
    address = one.until("n1 at ").split()[-1]
    two = Program("examples.watch_members", "n2", "127.0.0.1:0", address)
    two.until("here: n1, n2")
    one.until("here: n1, n2")
    two.end(signal.SIGINT)
    one.until("- n2 left")
    one.end(signal.SIGINT)


def test_a_service_leaves_the_pool_when_it_ends() -> None:
    service = Program("examples.service_lifespan", "0", "127.0.0.1:0")
    url, address = re.findall(r"http://[^,]+|127.0.0.1:\d+$", service.until("http://").strip())
    watcher = Program("examples.watch_members", "n1", "127.0.0.1:0", address)
    watcher.until("here: ")
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert b'"health_score": 0' in answer.read()
    service.end(signal.SIGTERM)
    watcher.until("left")
    watcher.end(signal.SIGINT)


def test_a_script_without_asyncio_follows_the_pool_and_leaves_it() -> None:
    one = Program("examples.blocking_script", "n1", "127.0.0.1:0")
    address = one.until("n1 at ").split()[-1]
    two = Program("examples.blocking_script", "n2", "127.0.0.1:0", address)
    two.until("here: ")
    one.until("+ n2")
    two.end(signal.SIGINT)
    one.until("- n2 left")
    one.end(signal.SIGTERM)
