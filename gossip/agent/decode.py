"""`gossip decode`: packets in, JSON out. What is decoded, and how, is the core's business.

One line in, one line out. A packet that the core rejects is a result; a line that holds no packet
is an error of the caller, told in its place, and makes the exit code 1.
"""

from __future__ import annotations

import json
from typing import Any

import click

from gossip._core import decode_packet
from gossip.errors import GossipError
from gossip.keys import checked_key


class LineError(GossipError):
    """A line of the input holds no packet."""


@click.command("decode")
@click.pass_context
def command(context: click.Context) -> None:
    """Decode packets from standard input, one a line, to one JSON object a line.

    A line is a packet in hexadecimal, or {"hex": HEX, "context": {"keys": [HEX], "label": TEXT}}.
    What the node would reject has an "error" at the level that was rejected. The exit code is 1 if
    a line held no packet at all.
    """
    faults = 0
    with click.open_file("-", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                decoded = decode_line(line.strip())
            except LineError as error:
                faults += 1
                decoded = {"error": str(error)}
            click.echo(json.dumps(decoded, sort_keys=True))
    context.exit(1 if faults else 0)


def decode_line(line: str) -> dict[str, Any]:
    """The decoded packet of one line; raises LineError when the line holds none."""
    text, keys, label = parse_line(line)
    try:
        return decode_packet(bytes.fromhex(text), keys=keys, label=label)
    except ValueError as error:
        raise LineError(f"not a packet: {error}") from error


def parse_line(line: str) -> tuple[str, list[bytes], bytes]:
    """The packet's hexadecimal text, the keys and the label that its receiver has."""
    if not line.startswith("{"):
        return line, [], b""
    try:
        entry = json.loads(line)
        context = entry.get("context", {})
        text, label = entry["hex"], context.get("label") or ""
        keys = [checked_key(bytes.fromhex(key)) for key in context.get("keys") or []]
    except KeyError as error:
        raise LineError("the object has no 'hex'") from error
    except RecursionError as error:
        raise LineError("the object is nested too deeply") from error
    except (ValueError, TypeError, AttributeError, GossipError) as error:
        raise LineError(f"not a packet with its context: {error}") from error
    if not isinstance(text, str) or not isinstance(label, str):
        raise LineError("'hex' and 'label' must be strings")
    return text, keys, label.encode()
