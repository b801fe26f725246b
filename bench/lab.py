"""The nodes under load, and the load: processes on two cores, and what a run of one costs.

The node has one core, the load generator the other. The cost is the processor time of the node's
process, all its threads, between two readings of its clock.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
BIN = PEERS / "bin"
NODE_CORE, LOAD_CORE = 0, max(os.sched_getaffinity(0))
IDLE_SECONDS = 0.03
IDLE_PATIENCE_SECONDS = 20.0


def reference() -> ctypes.CDLL:
    """The reference loop in C."""
    library = ctypes.CDLL(str(BIN / "reference.so"))
    library.reference_pings.restype = ctypes.c_int64
    return library


class Node:
    """A process that prints its port first and answers each line with its counters."""

    def __init__(self, command: Sequence[str | Path], **environment: str) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            preexec_fn=lambda: os.sched_setaffinity(0, {NODE_CORE}),
        )
        self.pid = self._process.pid
        self.port: int = self._answer()["port"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended: {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def counters(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def cpu_ns(self) -> int:
        """Processor time of the process so far."""
        return time.clock_gettime_ns(~self.pid << 3 | 2)

    def settle(self) -> int:
        """Waits until the process takes no time any more; its processor time then."""
        end = time.monotonic() + IDLE_PATIENCE_SECONDS
        before = self.cpu_ns()
        while time.monotonic() < end:
            time.sleep(IDLE_SECONDS)
            now = self.cpu_ns()
            if now - before < 100_000:
                return now
            before = now
        raise TimeoutError("the node does not come to rest")

    def rss(self) -> int:
        """Resident bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def blast(self, load: bytes, count: int, window: int = 8, *mode: str) -> dict[str, Any]:
        """Runs the blaster: packets, answers, lost, cpu_ns, wall_ns, bytes_back."""
        done = subprocess.run(
            [str(BIN / "blaster"), str(self.port), str(self.pid), str(window), str(count), *mode],
            input=load,
            stdout=subprocess.PIPE,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def exchange(self, state: bytes) -> bytes:
        """One push/pull with the node, to the end of its answer: what it wrote."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as stream:
            stream.sendall(state)
            answer = bytearray()
            while piece := stream.recv(1 << 20):
                answer += piece
            return bytes(answer)

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def load_of(packets: Sequence[bytes]) -> bytes:
    """What the blaster reads."""
    return b"".join(struct.pack("<I", len(packet)) + packet for packet in packets)


def c_server(mode: str = "ping", batch: int = 8) -> Node:
    return Node([BIN / "server", mode, str(batch)])


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    defaults = {"name": "node", "key": "", "label": "", "compress": True, "quiet": True}
    return defaults | given


def ours(loop: str = "asyncio", **settings: Any) -> Node:
    text = json.dumps(_settings({"loop": loop} | settings))
    return Node([sys.executable, "-P", "-m", "bench.peers.gossip_node", text])


def go(**settings: Any) -> Node:
    """memberlist v0.7.0 with the setting of the Go runtime that costs it least here."""
    text = json.dumps(_settings(settings))
    return Node([BIN / "memberlist-bench", "node", text], GOMAXPROCS="1")


def kinship(key: str = "") -> Node:
    """kinship 0.4.0; `key` is 32 bytes as hex."""
    settings = json.dumps({"name": "node", "key": key})
    path = os.pathsep.join([str(BIN / "kinship"), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-P", "-m", "bench.peers.kinship_node", settings]
    return Node(command, PYTHONPATH=path)


def kinship_load(
    count: int, *, members: int = 0, first: int = 0, incarnation: int = 0, key: str = ""
) -> bytes:
    """What the blaster sends a kinship node; see the program. No nonce comes twice."""
    numbers = map(str, (count, members, first, incarnation))
    done = subprocess.run(
        [str(BIN / "kinship-packets"), *numbers, key or "-"], stdout=subprocess.PIPE, check=True
    )
    return done.stdout


@contextlib.contextmanager
def running(*nodes: Node) -> Iterator[None]:
    try:
        yield
    finally:
        for node in nodes:
            node.stop()


def go_times(mode: str) -> dict[str, int]:
    """ns of the library's own codec or queue, best of seven."""
    done = subprocess.run(
        [str(BIN / "memberlist-bench"), mode],
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"GOMAXPROCS": "1"},
    )
    times: dict[str, int] = json.loads(done.stdout)
    return times


def cost_per_packet(node: Node, load: bytes, count: int, window: int = 8) -> float:
    """ns of processor time for one answered packet."""
    result = node.blast(load, count, window)
    if result["lost"] > count // 100:
        raise RuntimeError(f"{result['lost']} of {count} packets were lost")
    return float(result["cpu_ns"] / max(1, result["answers"]))


def cost_until_idle(node: Node, load: bytes, count: int, window: int = 8) -> float:
    """The same, with all that the node does after its last answer."""
    before = node.settle()
    result = node.blast(load, count, window)
    return float((node.settle() - before) / max(1, result["packets"]))


def drained(node: Node, load: bytes, limit: int = 200_000) -> None:
    """Pings the node until nothing rides on its acks any more."""
    for _ in range(limit // 2000):
        result = node.blast(load, 2000)
        if result["bytes_back"] < 64 * result["answers"]:
            return
    raise TimeoutError("the node's broadcasts do not end")
