"""`gossip keygen`: one fresh key for a pool's traffic."""

from __future__ import annotations

import json

import click

from gossip.keys import encode_key, generate_key


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
    key = encode_key(generate_key(int(size)))
    click.echo(json.dumps({"key": key}) if as_json else key)
