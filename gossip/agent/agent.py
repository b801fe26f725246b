"""`gossip agent`: one member in the foreground, until a signal lets it leave.

The protocol is `gossip.Memberlist`, or `gossip.Node` with the options of Serf; here are the
options, the signals and the printing.
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
from typing import Any

import click

import gossip
from gossip.agent.lines import Json, event_to_json, event_to_line, place_of, to_json

PROFILES = ("lan", "wan", "local")
SERF_OPTIONS = ("serf", "tag", "keyring_file", "snapshot", "coalesce", "replay")
COALESCING = {
    "coalesce_period": 3.0,
    "quiescent_period": 1.0,
    "user_coalesce_period": 3.0,
    "user_quiescent_period": 1.0,
}
STOPPING = (signal.SIGTERM, signal.SIGINT)


@click.command("agent")
@click.option("--name", help="Name of this node, unique in the pool.  [default: the host name]")
@click.option("--bind", default="127.0.0.1:7946", show_default=True, metavar="ADDRESS[:PORT]")
@click.option("--advertise", metavar="ADDRESS[:PORT]", help="What others shall use instead.")
@click.option("--join", multiple=True, metavar="HOST[:PORT]", help="A seed; may be repeated.")
@click.option("--profile", type=click.Choice(PROFILES), default="lan", show_default=True)
@click.option("--key", help="Base64 key. Visible in the process list: prefer --key-file.")
@click.option("--key-file", type=click.Path(), help="Base64 keys, the primary first.")
@click.option("--plaintext", is_flag=True, help="Use no key, also on a bind beyond loopback.")
@click.option("--label", default="", help="Label of the pool.")
@click.option("--meta", default="", help="Metadata for all members to see, up to 512 bytes.")
@click.option("--serf", is_flag=True, help="Be a Serf member; so does each option below.")
@click.option("--tag", multiple=True, metavar="NAME=TEXT", help="A tag; may be repeated.")
@click.option("--keyring-file", type=click.Path(), help="Serf's keyring file, instead of a key.")
@click.option("--snapshot", type=click.Path(), help="A file to come back from after a restart.")
@click.option("--coalesce", is_flag=True, help="Merge bursts of events, for 3 s or 1 s of quiet.")
@click.option("--replay", is_flag=True, help="Print user events from before the join, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(profile: str, as_json: bool, **given: Any) -> None:
    """Be a member of a pool, print what happens in it, and leave it on SIGTERM or SIGINT.

    With the options of Serf it is a member of a Serf pool, and prints user events and queries too.

    The key may also come from GOSSIP_KEY or GOSSIP_KEY_FILE in the environment. A second signal
    ends the process at once.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if given["key"]:
        click.echo("WARNING: --key shows the key in the process list; use --key-file", err=True)
    given["seeds"] = given.pop("join")
    serf = {name: given.pop(name) for name in SERF_OPTIONS}
    meta = given.pop("meta")
    node: gossip.Memberlist
    if any(serf.values()):
        if meta:
            raise gossip.ConfigError({"meta": "a Serf member has tags instead; give --tag"})
        config = getattr(gossip.NodeConfig, profile)(**given, **serf_fields(serf))
        node = gossip.Node.from_config(config)
    else:
        config = getattr(gossip.Config, profile)(**given, meta=os.fsencode(meta))
        node = gossip.Memberlist.from_config(config)
    asyncio.run(attend(node, print_json if as_json else print_line, replay=serf["replay"]))


def serf_fields(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a NodeConfig that the options stand for; Serf's agent speaks version 5."""
    tags = dict(tag_of(text) for text in options["tag"])
    fields: dict[str, Any] = {"tags": tags, "delegate_protocol_version": 5}
    fields["keyring_file"] = options["keyring_file"]
    fields["snapshot_path"] = options["snapshot"]
    fields["replay_on_join"] = options["replay"]
    return fields | (COALESCING if options["coalesce"] else {})


def tag_of(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise gossip.ConfigError({"tags": f"{text!r} is not of the form NAME=TEXT"})
    return name, value


Printer = Callable[[str, dict[str, Json]], None]


def print_line(line: str, _: dict[str, Json]) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def print_json(_: str, fields: dict[str, Json]) -> None:
    click.echo(json.dumps({"time": round(time.time(), 3), **fields}))


async def attend(node: gossip.Memberlist, show: Printer, *, replay: bool) -> None:
    """Lives in the pool until a signal comes, then leaves it."""
    task = asyncio.current_task()
    assert task is not None
    on_signal(task.cancel)
    try:
        # A join replays events: who wants them listens before it.
        early = node.events() if replay else None
        async with node:
            me = node.local_member
            show(f"started    {place_of(me)}", {"event": "started", "member": to_json(me)})
            async for event in early or node.events():
                show(event_to_line(event), event_to_json(event))
            raise gossip.ClosedError("the node has closed by itself: another one has its name")
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
