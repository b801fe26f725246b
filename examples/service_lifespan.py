"""A web service whose node lives exactly as long as the service does.

    python examples/service_lifespan.py 8000 127.0.0.1:7946
    python examples/service_lifespan.py 8001 127.0.0.1:7947 127.0.0.1:7946
    curl http://127.0.0.1:8000/members

`lifespan` has the form that FastAPI and Starlette take, `FastAPI(lifespan=...)`; the server here is
plain asyncio, so that the example needs nothing else. Several worker processes on one machine need
a name and a port each: two nodes of one name are a NameConflict.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator

import gossip


class App:
    """What a framework calls the application; handlers find the node in its state."""

    def __init__(self, bind: str, seeds: tuple[str, ...]) -> None:
        self.bind, self.seeds = bind, seeds
        self.node: gossip.Memberlist | None = None


@contextlib.asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    name = f"{socket.gethostname()}-{os.getpid()}"
    async with gossip.Memberlist(name, bind=app.bind, seeds=app.seeds, meta=b"http") as app.node:
        yield
    # Here, also after an error, the others have been told that this one left.


def members(app: App) -> str:
    """GET /members"""
    assert app.node is not None
    listed = {member.name: member.status for member in app.node.members()}
    return json.dumps({"members": listed, "health_score": app.node.health_score})


async def serve(app: App, port: int, stop: asyncio.Event) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readline()
        found = request.startswith(b"GET /members ")
        status, body = ("200 OK", members(app)) if found else ("404 Not Found", "{}")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with lifespan(app), server:
        assert app.node is not None
        port = server.sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}/members, gossip at {app.node.address}", flush=True)
        await stop.wait()


async def main(port: int, bind: str, *seeds: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(App(bind, seeds), port, stop)
    print("left")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(f"usage: {sys.argv[0]} HTTP_PORT BIND [SEED...]")
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
