"""`gossip agent`: one member in the foreground, until a signal lets it leave.

The protocol is `gossip.Memberlist`; here are the options, the signals and the printing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

import click

import gossip
from gossip.agent.lines import Json, event_to_json, event_to_line, place_of, to_json

PROFILES: dict[str, Callable[..., gossip.Config]] = {
    "lan": gossip.Config.lan,
    "wan": gossip.Config.wan,
    "local": gossip.Config.local,
}
STOPPING = (signal.SIGTERM, signal.SIGINT)


@click.command("agent")
@click.option("--name", help="Name of this node, unique in the pool.  [default: the host name]")
@click.option("--bind", default="127.0.0.1:7946", show_default=True, metavar="ADDRESS[:PORT]")
@click.option("--advertise", metavar="ADDRESS[:PORT]", help="What others shall use instead.")
@click.option("--join", multiple=True, metavar="HOST[:PORT]", help="A seed; may be repeated.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="lan", show_default=True)
@click.option("--key", help="Base64 key. Visible in the process list: prefer --key-file.")
@click.option("--key-file", type=click.Path(), help="Base64 keys, the primary first.")
@click.option("--plaintext", is_flag=True, help="Use no key, also on a bind beyond loopback.")
@click.option("--label", default="", help="Label of the pool.")
@click.option("--meta", default="", help="Metadata for all members to see, up to 512 bytes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(join: tuple[str, ...], profile: str, meta: str, as_json: bool, **given: object) -> None:
    """Be a member of a pool, print what happens in it, and leave it on SIGTERM or SIGINT.

    The key may also come from GOSSIP_KEY or GOSSIP_KEY_FILE in the environment. A second signal
    ends the process at once.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if given["key"]:
        click.echo("WARNING: --key shows the key in the process list; use --key-file", err=True)
    config = PROFILES[profile](seeds=join, meta=os.fsencode(meta), **given)
    asyncio.run(attend(config, print_json if as_json else print_line))


Printer = Callable[[str, dict[str, Json]], None]


def print_line(line: str, _: dict[str, Json]) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def print_json(_: str, fields: dict[str, Json]) -> None:
    click.echo(json.dumps({"time": round(time.time(), 3), **fields}))


async def attend(config: gossip.Config, show: Printer) -> None:
    """Lives in the pool until a signal comes, then leaves it."""
    task = asyncio.current_task()
    assert task is not None
    on_signal(task.cancel)
    try:
        async with gossip.Memberlist.from_config(config) as node:
            me = node.local_member
            show(f"started    {place_of(me)}", {"event": "started", "member": to_json(me)})
            async for event in node.events():
                show(event_to_line(event), event_to_json(event))
    except asyncio.CancelledError:
        show("stopped", {"event": "stopped"})


def on_signal(stop: Callable[[], object]) -> None:
    """Calls `stop` at the first signal; the second ends the process without further ado."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def received(number: int) -> None:
        seen.append(number)
        if len(seen) > 1:
            sys.stdout.flush()
            os._exit(128 + number)
        stop()

    for number in STOPPING:
        loop.add_signal_handler(number, received, number)
