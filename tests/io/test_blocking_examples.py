"""The examples for Flask, Django and Celery run as they are: forked workers enter a pool and leave.

They need what the extra `examples` installs; without it they are skipped. With
GOSSIP_REQUIRE_EXAMPLES=1 that is a failure.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gossip
from gossip.blocking import Memberlist, Subscription

from .blocking_program import PATIENT

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120.0

Joins = gossip.MemberJoined | gossip.MemberLeft | gossip.MemberFailed


def path_of(module: str) -> str:
    return str(EXAMPLES / f"{module.removeprefix('examples.')}.py")


@pytest.fixture(autouse=True)
def _what_the_examples_need() -> None:
    needed = ("flask", "gunicorn", "django", "celery")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if not missing:
        return
    problem = f"{', '.join(missing)} not installed: pip install '.[examples]'"
    if os.environ.get("GOSSIP_REQUIRE_EXAMPLES", "0") not in ("", "0"):
        pytest.fail(problem, pytrace=False)
    pytest.skip(problem)


class Pool:
    """A member that sees who comes and goes, and is the seed of the programs started here."""

    def __init__(self, witness: Memberlist, folder: Path) -> None:
        self.address = witness.address
        self._folder = folder
        self._events: Subscription[Joins] = witness.events(
            gossip.MemberJoined, gossip.MemberLeft, gossip.MemberFailed
        )

    @contextlib.contextmanager
    def program(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A Python program in a process group of its own, none of which survives the block."""
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            cwd=EXAMPLES,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with child:
                yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        paths = [str(Path(gossip.__file__).parents[1]), str(EXAMPLES)]
        return os.environ | {
            "HOME": str(self._folder),
            "POOL_FOLDER": str(self._folder),
            "POOL_SEEDS": str(self.address),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def joined(self, count: int) -> set[str]:
        """Waits for so many members."""
        return self._seen(gossip.MemberJoined, count)

    def left(self, count: int) -> set[str]:
        """Waits until so many have said goodbye."""
        return self._seen(gossip.MemberLeft, count)

    def _seen(self, kind: type[Any], count: int) -> set[str]:
        names: set[str] = set()
        while len(names) < count:
            event = self._events.get(timeout=PATIENCE)
            if isinstance(event, kind):
                names.add(event.member.name)
        return names


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Memberlist("witness", bind="127.0.0.1:0", **PATIENT) as witness:
        yield Pool(witness, tmp_path)


def url_of(gunicorn: subprocess.Popen[str]) -> str:
    assert gunicorn.stdout is not None
    for line in gunicorn.stdout:
        if "Listening at: " in line:
            return line.split("Listening at: ")[1].split()[0]
    raise AssertionError("gunicorn ended")


def end(program: subprocess.Popen[str]) -> str:
    """Asks it to end; gives what it has printed."""
    program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=PATIENCE)
    print(out)  # is shown when what follows fails
    assert program.returncode == 0
    assert "Traceback" not in out
    return out


def answer_of(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/members", timeout=PATIENCE) as reply:
            return dict(json.load(reply))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))


GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2")


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_each_worker_of_flask_under_gunicorn_is_a_member(
    pool: Pool, preload: tuple[str, ...]
) -> None:
    config = path_of("examples.flask_gunicorn")
    command = (*GUNICORN, *preload, "--config", config, "flask_pool:app")
    assert Path(path_of("examples.flask_pool")).exists()
    with pool.program(*command) as gunicorn:
        url = url_of(gunicorn)
        names = pool.joined(2)
        answer = answer_of(url)
        assert answer["answered_by"] in names
        assert answer["members"]["witness"] == "alive"
        end(gunicorn)
        assert pool.left(2) == names


def test_each_worker_of_django_under_gunicorn_is_a_member(pool: Pool) -> None:
    assert Path(path_of("examples.django_pool")).exists()
    with pool.program(*GUNICORN, "django_pool:application") as gunicorn:
        url = url_of(gunicorn)
        names = pool.joined(2)
        answer = answer_of(url)
        assert answer["answered_by"] in names
        assert answer["members"]["witness"] == "alive"
        end(gunicorn)
        assert pool.left(2) == names


def test_a_worker_that_finds_the_node_of_its_parent_is_told_so(pool: Pool) -> None:
    with pool.program(*GUNICORN, "--preload", "django_pool:application") as gunicorn:
        url = url_of(gunicorn)
        (master,) = pool.joined(1)
        assert master.endswith(f"-{gunicorn.pid}")
        error = answer_of(url)["error"]
        assert f"runs in process {gunicorn.pid}; this is a child forked from it" in error
        end(gunicorn)
        assert pool.left(1) == {master}, "its workers have ended before it, and did not leave"


def test_each_pool_process_of_a_celery_worker_is_a_member(pool: Pool) -> None:
    options = ("--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat")
    command = ("-m", "celery", "--app", "celery_pool", "worker", *options)
    with pool.program(*command) as worker:
        names = pool.joined(2)
        with pool.program(path_of("examples.celery_pool")) as client:
            out, _ = client.communicate(timeout=PATIENCE)
            assert client.returncode == 0, out
        assert "witness alive" in out.splitlines()
        end(worker)
        assert pool.left(2) == names
