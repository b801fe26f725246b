"""A blocking node in a process of its own, for the tests that end, fork or interrupt one.

`python blocking_program.py HOW` does HOW, a function below, and prints what the test waits for.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gossip
from gossip.blocking import Memberlist, Node
from gossip.config import Tuning


def say(*words: object) -> None:
    print(*words, flush=True)


# Nobody is suspected, and nothing is said about a loop that lags: the machine may be busy.
PATIENT: Tuning = {
    "gossip_interval": 0.02,
    "probe_interval": 60.0,
    "probe_timeout": 30.0,
    "leave_timeout": 60.0,
    "loop_lag_bound": 0.0,
}


def made(name: str = "program", **fields: Any) -> Memberlist:
    fields.setdefault("bind", "127.0.0.1:0")
    return Memberlist(name, **PATIENT, **fields)


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("gossip")]


# How a process ends whose node was not closed.


def end() -> None:
    say(made().start().address)


def end_by_exception() -> None:
    made().start()
    raise SystemExit(3)


def end_while_a_thread_waits() -> None:
    node = made().start()
    events = node.events()
    next(events)
    threading.Thread(target=lambda: list(events), daemon=True).start()
    say(node.address)


def end_with_a_snapshot(path: str) -> None:
    """At the exit no executor takes work any more; the snapshot is written all the same."""
    pool = contextlib.ExitStack()
    atexit.register(pool.close)
    pool.enter_context(Node("program", bind="127.0.0.1:0", snapshot_path=path, **PATIENT))
    made_too = Node("forgotten", bind="127.0.0.1:0", snapshot_path=f"{path}.2", **PATIENT)
    say(made_too.start().name)


def end_in_a_handler_registered_before(seed: str) -> None:
    """A program's own exit handler finds its node alive, whenever it was registered."""
    nodes: list[Memberlist] = []

    def leave() -> None:
        nodes[0].leave(timeout=60)
        nodes[0].close()
        say("left")

    atexit.register(leave)
    nodes.append(made(seeds=[seed]).start())


def end_forgotten_in_a_cycle() -> None:
    node: Any = made().start()
    cycle = [node]
    cycle.append(cycle)
    say(node.address)


# Signals.


def interrupt(what: str) -> None:
    """Waits in a call until Ctrl-C; then nothing of the node is left."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who began the tests may ignore it
    seed = socket.create_server(("127.0.0.1", 0))
    with seed, contextlib.ExitStack() as called:
        # Who joins it waits for an answer that does not come.
        address = "{}:{}".format(*seed.getsockname())
        threading.Thread(target=lambda: called.push(accepted(seed)), daemon=True).start()
        node = made(seeds=[address] if what == "start" else (), tcp_timeout=300.0)
        try:
            with node:
                events = node.events()
                next(events)
                if what == "join":
                    node.join(address)
                say("waits")
                if what == "get":
                    events.get()
                for _ in events:
                    pass
        except KeyboardInterrupt:
            say("interrupted", threads())


def accepted(listener: socket.socket) -> socket.socket:
    peer = listener.accept()[0]
    say("waits")
    return peer


def handle() -> None:
    """What a signal handler may do, and what not."""
    with made() as node:
        said: list[object] = []

        def handler(number: int, frame: object) -> None:
            said.append(len(node.members()))
            node.broadcast(b"from a handler")
            for call in (node.leave, node.close, node.stats, node.events):
                try:
                    call()
                except gossip.StateError as error:
                    said.append("signal handler" in str(error))

        signal.signal(signal.SIGUSR1, handler)
        events = node.events()
        next(events)
        threading.Timer(0.0, signal.raise_signal, [signal.SIGUSR1]).start()
        while not said:
            with contextlib.suppress(gossip.TimeoutExpired):
                events.get(timeout=0.1)
        say(said)


# Forks.


def fork() -> None:
    """A child may not use its parent's node, and may start one; the parent's goes on."""
    warnings.simplefilter("ignore", DeprecationWarning)
    before = made("made before")
    with made() as node:
        events = node.events()
        child = os.fork()
        if child == 0:
            os._exit(_in_child(node, events, before))
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        with made("peer", seeds=[str(node.address)]) as peer:
            say(peer.ping("program") > 0)


def _in_child(node: Memberlist, events: Any, before: Memberlist) -> int:
    calls: list[Callable[[], object]] = [
        node.members,
        node.stats,
        node.events,
        node.leave,
        node.close,
        partial(node.ping, "program"),
        partial(node.broadcast, b""),
        partial(node.keyring.add, bytes(16)),
        partial(next, events),
        events.close,
    ]
    for call in calls:
        try:
            call()
        except gossip.ForkedError:
            continue
        return 1
    with before:
        if before.local_member.name != "made before":
            return 2
    return 0


def fork_and_exit() -> None:
    """A child that ends as programs do, by an exception through the block, says nothing."""
    warnings.simplefilter("ignore", DeprecationWarning)
    with made() as node:
        child = os.fork()
        if child == 0:
            sys.exit(7)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        say(node.local_member.status)


def fork_frees_the_port() -> None:
    """A child that lives on does not keep the port of a node that its parent has closed."""
    warnings.simplefilter("ignore", DeprecationWarning)
    node = made().start()
    address = str(node.address)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    node.close()
    with made("again", bind=address) as again:
        say(str(again.address) == address)
    os.write(write, b"x")
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def processes(method: str) -> None:
    """multiprocessing: each child has a node of its own in the pool of its parent's."""
    warnings.simplefilter("ignore", DeprecationWarning)
    context: Any = multiprocessing.get_context(method)
    with made() as node:
        joined = node.events(gossip.MemberJoined)
        answers = context.Queue()
        children = [
            context.Process(target=work, args=(str(node.address), number, answers))
            for number in range(2)
        ]
        for child in children:
            child.start()
        names: set[str] = set()
        while len(names) < 2:
            event = joined.get(timeout=60)
            if isinstance(event, gossip.MemberJoined):
                names.add(event.member.name)
        say(sorted(names))
        say(sorted(answers.get(timeout=60) for _ in children))
        for child in children:
            child.join(60)
        say([child.exitcode for child in children])


def work(seed: str, number: int, answers: Any) -> None:
    with made(f"child-{number}", seeds=[seed]) as node:
        node.ping("program")
        answers.put(number)


def cycles(count: int) -> None:
    """Opens and closes nodes; says how descriptors, threads and memory grew over the last half."""
    figures = []
    for _half in range(2):
        for _ in range(count // 2):
            with made() as node:
                next(node.events())
        gc.collect()
        figures.append((len(os.listdir("/proc/self/fd")), len(threads()), resident()))
    (fds, _, before), (fds_after, left, after) = figures
    say(fds_after - fds, left, after - before)


def resident() -> int:
    """Bytes of memory in use; what was freed is first given back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    how, *arguments = sys.argv[1:]
    globals()[how](*(int(each) if each.isdigit() else each for each in arguments))
