"""Nodes in processes of their own, to be stalled, stopped and ended; see thread_node.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import gossip

from . import thread_node


class Child:
    """A running thread_node.py. What reads waits without a loop: a seed of the child must turn."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @cached_property
    def address(self) -> gossip.Address:
        """Where its node is; the first line of its output, written when the node has joined."""
        host, port = self.line().split()
        return gossip.Address(host, int(port))

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def complaint(self) -> str:
        """The next line of its log."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def rest(self) -> tuple[str, str]:
        """What it still says before it ends, and what its log does."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        return self.process.stdout.read().strip(), self.process.stderr.read()

    def go_on(self) -> None:
        """Writes the byte it waits for."""
        assert self.process.stdin is not None
        self.process.stdin.write("x")
        self.process.stdin.flush()


@contextmanager
def process(how: str, **fields: Any) -> Iterator[Child]:
    """A node in a process of its own, which is killed in the end."""
    with subprocess.Popen(
        [sys.executable, thread_node.__file__, how, json.dumps(fields)],
        env={**os.environ, "PYTHONPATH": str(Path(gossip.__file__).parents[1])},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            yield Child(child)
        finally:
            child.kill()  # before it is waited for: it may be a stopped one
