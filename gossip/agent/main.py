"""The `gossip` command: finds its subcommands and turns errors into one line on stderr.

The work of a subcommand lies in the module of its name, imported when it is asked for. Exit codes:
0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import click

from gossip.errors import ConfigError, GossipError

COMMANDS = {
    "agent": "gossip.agent.agent",
    "decode": "gossip.agent.decode",
    "demo": "gossip.agent.demo",
    "keygen": "gossip.agent.keygen",
}


class Commands(click.Group):
    """A group whose commands are the `command` of one module each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (GossipError, OSError) as error:
            raise failure(error) from error


class WrongOptions(click.ClickException):
    """Options that do not make a configuration: wrong usage, told in one line."""

    exit_code = click.UsageError.exit_code


def failure(error: Exception) -> click.ClickException:
    """An error as click prints it: one line, and options called as they are on a command line."""
    if isinstance(error, ConfigError):
        problems = (f"{option_of(field)}: {text}" for field, text in error.problems.items())
        text = "; ".join(problems).replace("plaintext=True", "--plaintext")
        return WrongOptions(text.replace("key_file", "--key-file"))
    text = (isinstance(error, OSError) and not error.filename and error.strerror) or str(error)
    lines = [line.strip() for line in text.splitlines()]
    return click.ClickException("; ".join(line for line in lines if line).replace(":; ", ": "))


def option_of(field: str) -> str:
    """The option that sets a field of the configuration."""
    named = {"seeds": "--join", "tags": "--tag", "snapshot_path": "--snapshot"}
    return named.get(field, f"--{field.replace('_', '-')}")


def version() -> str:
    try:
        return importlib.metadata.version("gossip-core")
    except importlib.metadata.PackageNotFoundError:
        return "of an uninstalled checkout"


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="gossip")
def main() -> None:
    """Gossip membership on the wire of HashiCorp memberlist and Serf."""
