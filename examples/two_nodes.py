"""The whole life of a small pool in one process: join, update, message, leave.

    python examples/two_nodes.py

Both nodes take free ports on 127.0.0.1. In earnest each lives in a process of its own; nothing
else changes.
"""

import asyncio

import gossip


async def watch(node: gossip.Memberlist) -> None:
    async for event in node.events():
        match event:
            case gossip.MemberJoined(member):
                print(f"{node.name}: {member.name} joined at {member.address}")
            case gossip.MemberUpdated(member):
                print(f"{node.name}: {member.name} is now {member.meta.decode()!r}")
            case gossip.MessageReceived(payload):
                print(f"{node.name}: message {payload.decode()!r}")
            case gossip.MemberLeft(member):
                print(f"{node.name}: {member.name} left")
                return


async def main() -> None:
    async with gossip.Memberlist("web-1", bind="127.0.0.1:0") as web:
        watching = asyncio.create_task(watch(web))
        async with gossip.Memberlist("db-1", bind="127.0.0.1:0", seeds=[str(web.address)]) as db:
            await db.update_meta(b"role=db")
            await db.send("web-1", b"hello", reliable=True)
        # Leaving the block has left the pool.
        await watching


if __name__ == "__main__":
    asyncio.run(main())
