"""Two networks joined by one cable that a test can cut: for real partitions of UDP and of TCP.

Each side is a network namespace of Linux with addresses of its own; a pair of virtual Ethernet
devices joins them. Cut, it swallows every frame without a word to the senders, as a network does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import count
from types import TracebackType
from typing import Literal, NoReturn, Self

import pytest

Side = Literal["here", "there"]

_HOSTS_MAX = 250
_SERIAL = count(1)
_OTHER: dict[Side, Side] = {"here": "there", "there": "here"}
_NUMBER: dict[Side, int] = {"here": 1, "there": 2}
_NOBODY = "02:00:00:00:00:99"  # the address of no device


def _not_here(problem: str) -> NoReturn:
    if os.environ.get("GOSSIP_REQUIRE_PEERS", "0") not in ("", "0"):
        pytest.fail(problem, pytrace=False)
    pytest.skip(problem)


class Cable:
    """Both sides and the cable between them, from entry to exit; skips where it is not allowed.

    With GOSSIP_REQUIRE_PEERS=1 that is a failure.
    """

    def __init__(self) -> None:
        name = f"gossip-{os.getpid()}-{next(_SERIAL)}"
        self._names: dict[Side, str] = {side: f"{name}-{side}" for side in _NUMBER}

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            _not_here("a network to be cut needs root, and iproute2's ip")
        try:
            self._lay()
        except subprocess.CalledProcessError as error:
            self._remove()
            _not_here(f"no network to be cut can be made here: {error.stderr.strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def inside(self, side: Side) -> list[str]:
        """What a command begins with that is to run on a side."""
        return ["ip", "netns", "exec", self._names[side]]

    def host(self, side: Side, number: int) -> str:
        """An address on a side; `number` is 1 to 250."""
        assert 1 <= number <= _HOSTS_MAX
        return f"10.77.{_NUMBER[side]}.{number}"

    def cut(self) -> None:
        for side in _NUMBER:
            self._ip(side, "neigh", "replace", self._end(_OTHER[side]), "lladdr", _NOBODY,
                     "dev", "cable", "nud", "permanent")  # fmt: skip

    def mend(self) -> None:
        for side in _NUMBER:
            self._ip(side, "neigh", "del", self._end(_OTHER[side]), "dev", "cable")

    def _lay(self) -> None:
        here, there = self._names.values()
        _run("ip", "netns", "add", here)
        _run("ip", "netns", "add", there)
        _run("ip", "-n", here, "link", "add", "cable", "type", "veth",
             "peer", "name", "cable", "netns", there)  # fmt: skip
        for side, number in _NUMBER.items():
            other = _OTHER[side]
            self._ip(side, "link", "set", "lo", "up")
            self._ip(side, "addr", "add", f"10.77.{number}.0/24", "dev", "lo")  # all of them
            self._ip(side, "addr", "add", f"{self._end(side)}/30", "dev", "cable")
            self._ip(side, "link", "set", "cable", "up")
            far = f"10.77.{_NUMBER[other]}.0/24"
            self._ip(side, "route", "add", far, "via", self._end(other), "dev", "cable")

    def _end(self, side: Side) -> str:
        """The address of a side's end of the cable."""
        return f"10.78.0.{_NUMBER[side]}"

    def _ip(self, side: Side, *arguments: str) -> None:
        _run("ip", "-n", self._names[side], *arguments)

    def _remove(self) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
