"""How `gossip demo` looks in a pipe: plain lines for a reader, JSON lines for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, Self

import click

from gossip.agent.demo_record import Fact, Kind, Record

KEY_WIDTH = 8
LAST_WORDS = {Kind.DONE: "ok", Kind.FAILED: "FAILED", Kind.INTERRUPTED: "stopped"}


class View(Protocol):
    """Shows records while it is entered; `refresh` shows what changed without one."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, record: Record) -> None: ...
    def refresh(self) -> None: ...


class Lines:
    """Plain lines, in ASCII, each written when it is known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, record: Record) -> None:
        for line in lines_of(record):
            click.echo(line)

    def refresh(self) -> None:
        pass


class JsonLines(Lines):
    """One JSON object a record, one a line."""

    def show(self, record: Record) -> None:
        click.echo(json.dumps(json_of(record)))


def json_of(record: Record) -> dict[str, Fact]:
    """The record for a machine: what every record has, then its own facts."""
    step: dict[str, Fact] = {"step": record.step} if record.step else {}
    return {
        "event": str(record.kind),
        "time": round(record.time, 4),
        **step,
        "seconds": round(record.seconds, 4),
        "text": record.text,
        **record.facts,
    }


def lines_of(record: Record) -> list[str]:
    """The record for a reader. A step is told when it is over; until then its notes are."""
    match record.kind:
        case Kind.BEGAN:
            return [f"gossip demo: {record.text}", *timers(record.facts), ""]
        case Kind.STEP_BEGAN:
            return []
        case Kind.NOTED:
            return [f"{'':{KEY_WIDTH}}  {record.seconds:+7.2f} s  {record.text}"]
        case Kind.STEP_DONE | Kind.STEP_FAILED:
            return [f"{record.step:{KEY_WIDTH}}  {record.seconds:7.2f} s  {record.text}"]
    word = LAST_WORDS[record.kind]
    return ["", f"{word:{KEY_WIDTH}}  {record.time:7.2f} s  {record.text}"]


def timers(facts: Mapping[str, Fact]) -> list[str]:
    """The profile of the nodes in two lines, from the facts of the first record."""
    low, high, k = (facts[key] for key in ("suspicion_min", "suspicion_max", "confirmations"))
    sooner = f"{low:g} to {high:g} s ({k} confirmations: {low:g} s)" if k else f"{low:g} s"
    return [
        f"probe {facts['probe_interval']:g} s, timeout {facts['probe_timeout']:g} s, "
        f"{facts['indirect_checks']} indirect; suspicion {sooner}",
        f"gossip {facts['gossip_interval']:g} s to {facts['gossip_nodes']} nodes, each claim "
        f"{facts['retransmissions']} times; push/pull {facts['push_pull_interval']:g} s",
    ]
