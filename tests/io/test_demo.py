"""`gossip demo` as a user runs it: real clusters, in processes of their own, side by side."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner

import gossip
from gossip.agent import demo_scenario
from gossip.agent.main import main

PATIENT = """
from gossip.agent import demo_scenario as scenario
from gossip.agent.main import main

def step(key, aim, limit, run, real=scenario.Step):
    return real(key, aim, 4 * limit, run)

scenario.SECONDS_MAX *= 4
scenario.Step = step
main(prog_name="gossip")
"""
"""The command, given four times as long for each step and for all: the machine may be busy."""

PROGRAM = [sys.executable, "-c", PATIENT]
STEPS = ["start", "join", "update", "event", "query", "fail", "leave"]
SECONDS_MAX = 130.0


@dataclass(frozen=True)
class Run:
    """What a process wrote and how it ended; on a terminal all is in `out`."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["event"] == event]


def start(*options: str, **given: Any) -> subprocess.Popen[str]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, "demo", *options], text=True, **(streams | given))


def piped(*options: str, **given: Any) -> Run:
    process = start(*options, **given)
    out, err = process.communicate(timeout=2 * SECONDS_MAX)
    return Run(process.returncode, out, err)


def on_terminal(*options: str, rows: int, **environment: str) -> Run:
    """Runs it on a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
    ambient = {name: os.environ[name] for name in os.environ.keys() - {"NO_COLOR", "COLUMNS"}}
    ambient |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment
    process = start(*options, stdin=theirs, stdout=theirs, stderr=theirs, env=ambient)
    os.close(theirs)
    written = b""
    while piece := read_terminal(ours):
        written += piece
    os.close(ours)
    code = process.wait(timeout=SECONDS_MAX)
    return Run(code, written.decode(), "")


def read_terminal(terminal: int) -> bytes:
    """What is there; nothing when the last process has closed its side."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def with_a_reader_that_goes() -> Run:
    process = start("--nodes", "3")
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    return Run(process.wait(timeout=SECONDS_MAX), first, err)


def interrupted(*options: str) -> Run:
    """SIGINT comes when the first step is told."""
    process = start(*options)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("start"):
            process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS_MAX)
    return Run(process.returncode, "".join(lines), err)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


KINDS: dict[str, Callable[[], Run]] = {
    "hundred": lambda: piped("--nodes", "100", "--json"),
    "json": lambda: piped("--json"),
    "lines": lambda: piped("--nodes", "3"),
    "terminal": lambda: on_terminal(rows=50),
    "ascii": lambda: on_terminal("--nodes", "4", rows=20, PYTHONIOENCODING="ascii"),
    "reader gone": with_a_reader_that_goes,
    "interrupted": lambda: interrupted("--nodes", "3"),
    "few files": lambda: piped("--nodes", "60", preexec_fn=few_files),
}


@pytest.fixture(scope="module")
def runs() -> dict[str, Future[Run]]:
    """All at once: they mostly wait."""
    with ThreadPoolExecutor(len(KINDS)) as pool:
        return {kind: pool.submit(run) for kind, run in KINDS.items()}


@pytest.fixture
def run(runs: dict[str, Future[Run]]) -> Callable[[str], Run]:
    return lambda kind: runs[kind].result()


@pytest.mark.parametrize("kind", ["hundred", "json", "lines", "terminal", "ascii"])
def test_it_ends_by_itself_with_0(run: Callable[[str], Run], kind: str) -> None:
    assert run(kind).code == 0, run(kind)
    assert run(kind).err == ""


def test_it_takes_less_than_30_seconds_or_says_which_step_did() -> None:
    assert demo_scenario.SECONDS_MAX < 30


@pytest.mark.parametrize("kind", ["hundred", "json"])
def test_every_step_is_measured_and_told_in_order(run: Callable[[str], Run], kind: str) -> None:
    done = run(kind).of("step_done")
    assert [record["step"] for record in done] == STEPS
    assert all(0 < record["seconds"] <= record["time"] for record in done)
    assert all(one["time"] <= other["time"] for one, other in pairwise(run(kind).records))
    (last,) = run(kind).of("done")
    assert last == run(kind).records[-1]
    assert last["nodes"] == {"hundred": 100, "json": 10}[kind]


def test_each_node_has_a_port_of_its_own(run: Callable[[str], Run]) -> None:
    ports = run("hundred").of("step_done")[0]["ports"]
    assert len(ports) == len(set(ports.values())) == 100


def test_the_timers_told_are_the_stock_ones(run: Callable[[str], Run]) -> None:
    told, stock = run("json").records[0], gossip.Config.lan()
    assert told["event"] == "began"
    for name in ("probe_interval", "probe_timeout", "gossip_interval", "push_pull_interval"):
        assert told[name] == getattr(stock, name)
    assert told["gossip_nodes"] == stock.gossip_nodes
    assert (told["suspicion_min"], told["suspicion_max"], told["confirmations"]) == (4.0, 24.0, 2)


@pytest.mark.parametrize("kind", ["hundred", "json"])
def test_the_failure_is_told_with_who_suspected_who_confirmed_and_who_held_it_failed(
    run: Callable[[str], Run], kind: str
) -> None:
    count = run(kind).records[0]["nodes"]
    notes = [record for record in run(kind).of("noted") if record["step"] == "fail"]
    victim = notes[0]["node"]
    verbs = [note.get("verb") for note in notes]
    assert {note["node"] for note in notes} == {victim}
    assert verbs[1] == "suspects"
    accusers = [note["by"] for note in notes if "verb" in note]
    assert len(set(accusers)) == len(accusers)
    assert victim not in accusers
    first = next(note for note in notes if "suspect_for" in note)
    assert len(accusers) >= 1 + first["confirmations"]
    assert first["suspect_for"] >= run(kind).records[0]["suspicion_min"] - 0.01
    assert len(notes[-1]["failed_at"]) == count - 1
    assert victim not in notes[-1]["failed_at"]


def test_lines_in_a_pipe_are_plain_ascii_with_a_line_a_step(run: Callable[[str], Run]) -> None:
    out = run("lines").out
    assert out.isascii()
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == "gossip demo: 3 nodes on 127.0.0.1, stock LAN timers"
    told = [line.split()[0] for line in lines if re.match(r"\w+ +\d+\.\d\d s  ", line)]
    assert told == [*STEPS, "ok"]
    assert "suspicion 4 s" in lines[1], "three nodes need no confirmation"


def test_a_terminal_shows_who_holds_whom_to_be_what(run: Callable[[str], Run]) -> None:
    out = run("terminal").out
    assert "\N{BULLET}" in out
    assert "\N{MULTIPLICATION SIGN}" in out
    assert "Traceback" not in out
    frames = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out)
    first = r"node-01 127\.0\.0\.1:\d+"
    assert re.search(first + r"( +\N{BULLET}){10}\r", frames)
    assert re.search(first + r"( +\N{BULLET}){9} +\?", frames)
    assert re.search(first + r"( +\N{BULLET}){8} +- +\N{MULTIPLICATION SIGN}", frames)
    assert re.search(r"node-10 killed", frames)
    assert re.search(r"ok +\d+\.\d\d s  all 7 steps", frames)


def test_a_terminal_without_utf8_gets_ascii(run: Callable[[str], Run]) -> None:
    assert run("ascii").out.isascii()
    assert "Traceback" not in run("ascii").out
    assert "x 4" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", run("ascii").out)


def test_a_reader_that_goes_away_ends_it_without_a_word(run: Callable[[str], Run]) -> None:
    assert run("reader gone").out.startswith("gossip demo: ")
    assert run("reader gone").code == 1
    assert run("reader gone").err == ""


def test_an_interrupt_ends_it_cleanly(run: Callable[[str], Run]) -> None:
    assert run("interrupted").code == 130
    assert run("interrupted").err == ""
    assert run("interrupted").out.splitlines()[-1].endswith("interrupted in step 'join'")


def test_a_step_that_cannot_be_done_is_named_with_its_cause(run: Callable[[str], Run]) -> None:
    assert run("few files").code == 1
    assert run("few files").err == ""
    last = run("few files").out.splitlines()[-1]
    assert re.match(r"FAILED +\d+\.\d\d s  step 'start' failed: .*too many open files", last)


def test_a_step_that_does_not_come_to_pass_is_named_with_who_was_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossip.agent.demo_scenario.SECONDS_MAX", 3.0)
    result = CliRunner().invoke(main, ["demo", "--nodes", "3", "--json"])
    assert result.exit_code == 1
    *_, step, last = map(json.loads, result.stdout.splitlines())
    assert (step["event"], step["step"]) == ("step_failed", "fail")
    assert step["waited_for"] == ["node-1", "node-2"]
    assert (last["event"], last["failed_step"]) == ("failed", "fail")
    assert "not within" in last["text"]


@pytest.mark.parametrize("nodes", ["2", "101", "x"])
def test_the_number_of_nodes_is_checked(nodes: str) -> None:
    assert CliRunner().invoke(main, ["demo", "--nodes", nodes]).exit_code == 2
