"""Keeps a list of who is here and prints each change, until Ctrl-C.

    python examples/watch_members.py n1 127.0.0.1:7946
    python examples/watch_members.py n2 127.0.0.1:7947 127.0.0.1:7946

Kill one with `kill -9` and see the other suspect it, then hold it failed. End it with Ctrl-C and
see it leave.
"""

import asyncio
import sys

import gossip


async def watch(node: gossip.Memberlist) -> None:
    here: dict[str, gossip.Member] = {}
    async for event in node.events():
        match event:
            case gossip.MembersSnapshot(members):  # at the beginning, and after EventsLost
                here = {member.name: member for member in members if is_here(member)}
                print(f"{node.name} at {node.address}")
            case gossip.MemberSuspected(member, by=accuser):
                print(f"? {member.name} is suspected by {accuser}")
                continue
            case gossip.MemberRefuted(member):
                print(f"! {member.name} lives")
                continue
            case gossip.MemberJoined(member) | gossip.MemberUpdated(member):
                here[member.name] = member
            case gossip.MemberFailed(member) | gossip.MemberLeft(member):
                here.pop(member.name, None)
                print(f"- {member.name} {member.status}")
            case _:
                continue
        print("  here:", ", ".join(sorted(here)), flush=True)


def is_here(member: gossip.Member) -> bool:
    return member.status in (gossip.Status.ALIVE, gossip.Status.SUSPECT)


async def main(name: str, bind: str, *seeds: str) -> None:
    async with gossip.Memberlist(name, bind=bind, seeds=seeds) as node:
        await watch(node)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(f"usage: {sys.argv[0]} NAME BIND [SEED...]")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:  # the block has left the pool already
        print("left")
