"""A script without asyncio that is a member of a pool, with a thread that follows what happens.

    python examples/blocking_script.py n1 127.0.0.1:7946
    python examples/blocking_script.py n2 127.0.0.1:7947 127.0.0.1:7946

End it with Ctrl-C, or with a SIGTERM, and see it leave. A signal handler may not call the node; it
raises SystemExit, as Ctrl-C raises KeyboardInterrupt, and the block does the rest.
"""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import gossip


def follow(events: gossip.blocking.Subscription[gossip.Event]) -> None:
    for event in events:  # until the node is closed
        match event:
            case gossip.MembersSnapshot(members):
                print("here:", ", ".join(sorted(member.name for member in members)), flush=True)
            case gossip.MemberJoined(member):
                print("+", member.name, flush=True)
            case gossip.MemberFailed(member) | gossip.MemberLeft(member):
                print("-", member.name, member.status, flush=True)


def main(name: str, bind: str, *seeds: str) -> None:
    node = gossip.blocking.Memberlist(name, bind=bind, seeds=seeds)
    with ThreadPoolExecutor(1) as threads, node:
        print(f"{node.name} at {node.address}", flush=True)
        threads.submit(follow, node.events())
        while True:
            time.sleep(1)  # the program's own work


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(f"usage: {sys.argv[0]} NAME BIND [SEED...]")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        main(*sys.argv[1:])
    except (KeyboardInterrupt, SystemExit):  # the block has left the pool already
        print("left")
