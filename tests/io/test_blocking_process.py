"""How a process ends, forks and is interrupted that has a node without async."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gossip
from gossip.blocking import Memberlist

from . import blocking_program

PROGRAM = blocking_program.__file__
PATIENCE = 120.0


@contextmanager
def program(*how: object) -> Iterator[subprocess.Popen[str]]:
    """What `blocking_program` does, in a process that is killed if it does not end."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", PROGRAM, *map(str, how)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        with child:
            yield child
    finally:
        child.kill()


def output_of(*how: object, code: int = 0) -> list[str]:
    with program(*how) as child:
        out, errors = child.communicate(timeout=PATIENCE)
    assert (child.returncode, errors) == (code, "")
    return out.splitlines()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("end", 0),
        ("end_by_exception", 3),
        ("end_while_a_thread_waits", 0),
        ("end_forgotten_in_a_cycle", 0),
    ],
)
def test_a_process_ends_whose_node_was_not_closed(how: str, code: int) -> None:
    output_of(how, code=code)


def test_an_exit_handler_finds_the_node_alive() -> None:
    with Memberlist("witness", bind="127.0.0.1:0") as witness:
        events = witness.events(gossip.MemberLeft, gossip.MemberFailed)
        assert output_of("end_in_a_handler_registered_before", witness.address) == ["left"]
        next(events)
        event = events.get(timeout=PATIENCE)
        assert isinstance(event, gossip.MemberLeft)
        assert event.member.name == "program"


def test_a_snapshot_is_written_at_the_exit(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    assert output_of("end_with_a_snapshot", path) == ["forgotten"]
    assert "leave" in path.read_text().splitlines()
    assert "alive: forgotten " in path.with_name("snapshot.2").read_text()


@pytest.mark.parametrize("what", ["get", "loop", "start", "join"])
def test_ctrl_c_ends_a_call_that_waits_and_the_block_closes_the_node(what: str) -> None:
    with program("interrupt", what) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waits\n"
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=PATIENCE)
        assert (child.returncode, out, errors) == (0, "interrupted []\n", "")


def test_a_signal_handler_may_look_and_tell_but_not_wait() -> None:
    assert output_of("handle") == ["[1, True, True, True, True]"]


def test_a_forked_child_may_not_use_the_node_and_may_start_one() -> None:
    assert output_of("fork") == ["0", "True"]


def test_a_forked_child_that_exits_within_the_block_says_nothing() -> None:
    assert output_of("fork_and_exit") == ["7", "alive"]


def test_a_forked_child_does_not_keep_the_port() -> None:
    assert output_of("fork_frees_the_port") == ["True", "0"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_have_nodes_of_their_own(method: str) -> None:
    assert output_of("processes", method) == ["['child-0', 'child-1']", "[0, 1]", "[0, 0]"]


def test_200_nodes_one_after_the_other_leave_nothing_behind() -> None:
    descriptors, threads, memory = map(int, output_of("cycles", 200)[0].split())
    assert (descriptors, threads) == (0, 0)
    assert memory < 4 << 20, "a node left behind takes more than 100 KiB"
