"""`gossip keygen`: one fresh key for a pool's traffic."""

from __future__ import annotations

import base64
import json
import secrets

import click


@click.command("keygen")
@click.option(
    "--bytes",
    "size",
    type=click.Choice(["16", "24", "32"]),
    default="32",
    show_default=True,
    help="Length of the key: AES-128, AES-192 or AES-256.",
)
@click.option("--json", "as_json", is_flag=True, help='Print {"key": KEY} instead of the key.')
def command(size: str, as_json: bool) -> None:
    """Print a random key in base64, for --key-file and for `serf agent -encrypt`."""
    key = base64.b64encode(secrets.token_bytes(int(size))).decode()
    click.echo(json.dumps({"key": key}) if as_json else key)
