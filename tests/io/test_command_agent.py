"""`gossip agent` as a process: signals, exit codes, what it prints and where."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import gossip

PROGRAM = [sys.executable, "-c", "from gossip.agent.main import main; main(prog_name='gossip')"]
PATIENCE = 30.0


class Agent:
    """One `gossip agent --json`, and what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.address = ""

    async def event(self, name: str) -> dict[str, Any]:
        """Reads on to the next event of that name."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                if event["event"] == name:
                    return event
        raise AssertionError(f"the agent ended without {name}")

    def signal(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            self.process.send_signal(number)

    async def end(self) -> tuple[int, str]:
        """Its exit code and its stderr."""
        async with asyncio.timeout(PATIENCE):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


@asynccontextmanager
async def agent(*arguments: str, **environment: str) -> AsyncIterator[Agent]:
    """A started agent on a port of its own."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *("agent", "--json", "--bind", "127.0.0.1:0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    started = Agent(process)
    try:
        started.address = (await started.event("started"))["member"]["address"]
        yield started
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(*arguments: str) -> tuple[int, str, str]:
    """A `gossip` that ends by itself: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_agent_joins_is_seen_and_leaves_at_a_signal_with_exit_code_0(
    number: signal.Signals,
) -> None:
    async def scenario() -> None:
        async with (
            agent("--name", "a", "--label", "pool") as a,
            agent("--name", "b", "--label", "pool", "--meta", "x", "--join", a.address) as b,
        ):
            joined = (await a.event("member_joined"))["member"]
            assert joined["name"] == "b"
            assert joined["address"] == b.address
            assert joined["meta"] == {"$hex": b"x".hex()}
            b.signal(number)
            await b.event("stopped")
            assert await b.end() == (0, "")
            assert (await a.event("member_left"))["member"]["name"] == "b"
            a.signal(number)
            assert await a.end() == (0, "")

    asyncio.run(scenario())


def test_a_key_from_the_environment_opens_the_pool() -> None:
    async def scenario() -> None:
        code, key, _ = await run("keygen")
        assert code == 0
        async with (
            agent("--name", "a", GOSSIP_KEY=key.strip()) as a,
            agent("--name", "b", "--join", a.address, GOSSIP_KEY=key.strip()),
        ):
            assert (await a.event("member_joined"))["member"]["name"] == "b"

    asyncio.run(scenario())


def test_a_serf_agent_shows_tags_user_events_and_queries(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"

    async def scenario() -> None:
        async with gossip.Node("node", bind="127.0.0.1:0") as node:
            options = ("--tag", "role=web", "--tag", "dc=ams", "--snapshot", str(snapshot))
            node.send_event("before")
            async with agent(
                *("--name", "a", "--join", str(node.address), "--replay", *options)
            ) as a:
                old = await a.event("user_event")
                assert old["name"] == "before"
                node.send_event("deploy", b"42")
                told = await a.event("user_event")
                assert (told["name"], told["payload"]) == ("deploy", {"$hex": "3432"})
                query = node.query("uptime", nodes=["a"], timeout=PATIENCE)
                asked = await a.event("query_received")
                assert (asked["name"], asked["source"]) == ("uptime", "node")
                query.close()
                seen = node.member("a")
                assert seen is not None
                assert seen.tags == {"role": "web", "dc": "ams"}
                assert seen.versions == (1, 5, 2, 2, 5, 5)
                a.signal(signal.SIGTERM)
                await a.event("stopped")
                assert await a.end() == (0, "")
            assert b"\nleave\n" in snapshot.read_bytes()

    asyncio.run(scenario())


def test_an_agent_whose_name_is_another_s_ends_with_exit_code_1() -> None:
    async def scenario() -> None:
        async with (
            gossip.Node("x", bind="127.0.0.1:0") as x,
            gossip.Node("y", bind="127.0.0.1:0", seeds=[str(x.address)]) as y,
            agent("--serf", "--name", "x", "--join", str(y.address)) as a,
        ):
            code, errors = await a.end()
            assert code == 1
            assert errors.splitlines()[-1].endswith("another one has its name")
            assert x.local_member.status is gossip.Status.ALIVE

    asyncio.run(scenario())


def test_a_second_signal_ends_the_process_at_once() -> None:
    async def scenario() -> None:
        async with agent("--name", "a") as a, agent("--name", "b", "--join", a.address) as b:
            await a.event("member_joined")
            b.signal(signal.SIGTERM, signal.SIGINT)
            code, errors = await b.end()
            assert code in (128 + signal.SIGTERM, 128 + signal.SIGINT)
            assert errors == ""

    asyncio.run(scenario())


def test_a_port_in_use_is_one_line_on_stderr_and_exit_code_1() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            code, output, errors = await run("agent", "--bind", address)
        assert (code, output) == (1, "")
        assert errors.count("\n") == 1
        assert errors.startswith("Error: ")
        assert address in errors

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bind", "0.0.0.0:0"], "--plaintext"),
        (["--bind", "nonsense"], "--bind: "),
        (["--key-file", "does-not-exist"], "--key-file: "),
        (["--meta", "x" * 513], "--meta: "),
        (["--join", "/x"], "--join: "),
        (["--tag", "role"], "--tag: 'role' is not of the form NAME=TEXT"),
        (["--tag", "role=web", "--meta", "x"], "--meta: a Serf member has tags"),
        (["--tag", "role=" + "x" * 512], "--tag: Encoded length of tags"),
        (["--keyring-file", "does-not-exist"], "--keyring-file: "),
        (["--snapshot", ".", "--bind", "127.0.0.1:0"], "--snapshot: .: Is a directory"),
    ],
)
def test_options_that_cannot_work_are_one_line_on_stderr_and_exit_code_2(
    arguments: list[str], said: str
) -> None:
    code, output, errors = asyncio.run(run("agent", *arguments))
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert errors.startswith("Error: ")
    assert said in errors


def test_lines_for_people_name_time_and_verb_and_a_key_in_the_open_is_warned_of() -> None:
    async def scenario() -> None:
        key = (await run("keygen"))[1].strip()
        process = await asyncio.create_subprocess_exec(
            *(*PROGRAM, "agent", "--name", "a", "--bind", "127.0.0.1:0", "--key", key),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            first = (await process.stdout.readline()).decode().split()
            process.terminate()
            output, errors = await process.communicate()
        assert first[1:4] == ["started", "a", "at"]
        assert [line.split()[1] for line in output.decode().splitlines()] == ["members", "stopped"]
        assert process.returncode == 0
        assert errors.decode().startswith("WARNING: --key ")

    asyncio.run(scenario())
