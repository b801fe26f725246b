"""One `gossip.Memberlist`, driven over standard input and output like peers/memberlist-peer.

A process of its own, so that a test can kill or stop it; its argument is the event loop to use.
README.md lists commands and events.
Uses nothing but the public interface of `gossip`.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import faulthandler
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import uvloop

import gossip

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_LINE_MAX = 64 << 20
_KINDS: dict[type, str] = {
    gossip.MemberJoined: "joined",
    gossip.MemberUpdated: "updated",
    gossip.MemberSuspected: "suspected",
    gossip.SuspicionConfirmed: "confirmed",
    gossip.MemberRefuted: "refuted",
    gossip.MemberFailed: "failed",
    gossip.MemberLeft: "left",
}


def write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def describe(member: gossip.Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "address": member.address.host,
        "port": member.address.port,
        "meta": member.meta.hex(),
        "versions": list(member.versions),
        "status": str(member.status),
        "incarnation": member.incarnation,
    }


def config_of(settings: dict[str, Any]) -> tuple[gossip.Config, list[bytes]]:
    """The node's configuration and its keys; the settings lose what is not a field of `Config`."""
    profile = getattr(gossip.Config, settings.pop("profile"))
    keys = [bytes.fromhex(key) for key in settings.pop("keys", [])]
    host, port = settings.pop("bind"), settings.pop("port")
    settings["bind"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    settings["meta"] = bytes.fromhex(settings.get("meta", ""))
    config: gossip.Config = profile(
        key=keys[0] if keys else None, plaintext=not keys, report_pings=True, **settings
    )
    return config, keys


class Node:
    """Carries out commands and reports events until it is told to shut down."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._state = bytes.fromhex(settings.pop("state", ""))
        self._ack_payload = bytes.fromhex(settings.pop("ack_payload", ""))
        config, keys = config_of(settings)
        self._node = gossip.Memberlist.from_config(config)
        for key in keys[1:]:
            self._node.keyring.add(key)

    async def run(self, lines: asyncio.StreamReader) -> None:
        node = await self._node.start()
        node.set_local_state(self._state)
        node.set_ack_payload(self._ack_payload or None)
        address = node.address
        write(
            {"event": "started", "name": node.name, "address": address.host, "port": address.port}
        )
        number = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(report(node.events()))
            async for line in lines:
                command = json.loads(line)
                number = command.pop("id")
                if command["do"] == "shutdown":
                    break
                tasks.create_task(self._answer(number, command))
            await node.close()
        write({"reply": number, "value": None})

    async def _answer(self, number: int, command: dict[str, Any]) -> None:
        try:
            value = await self._carry_out(**command)
        except gossip.GossipError as error:
            write({"reply": number, "error": str(error)})
        else:
            write({"reply": number, "value": value})

    async def _carry_out(
        self,
        do: str,
        name: str = "",
        payload: str = "",
        timeout: float | None = None,
        seeds: list[str] | None = None,
        reliable: bool = False,
        action: str = "",
    ) -> Any:
        node, data = self._node, bytes.fromhex(payload)
        match do:
            case "join":
                return (await node.join(*(seeds or []), timeout=timeout)).reached
            case "leave":
                await node.leave(timeout=timeout)
            case "update_meta":
                await node.update_meta(data, timeout=timeout)
            case "set_state":
                node.set_local_state(data)
            case "send":
                await node.send(name, data, reliable=reliable, timeout=timeout)
            case "broadcast":
                node.broadcast(data)
            case "ping":
                return await node.ping(name, timeout=timeout)
            case "members":
                return [describe(member) for member in node.members()]
            case "health_score":
                return node.health_score
            case "keyring":
                return self._change_keyring(action, data)
            case "stats":
                return self._stats()
            case "hold_gil":  # usleep(3) through a foreign interface that keeps the GIL
                ctypes.PyDLL(None).usleep(round((timeout or 0) * 1e6))
            case _:
                raise gossip.ArgumentError(f"no command is called {do!r}")

    def _change_keyring(self, action: str, key: bytes) -> list[str]:
        if action != "list":
            getattr(self._node.keyring, action)(key)
        return [key.hex() for key in self._node.keyring.keys]

    def _stats(self) -> dict[str, Any]:
        stats = self._node.stats()
        fields = {field.name: getattr(stats, field.name) for field in dataclasses.fields(stats)}
        core = dict(fields.pop("core"))
        plain = {name: value for name, value in fields.items() if isinstance(value, int)}
        dropped = {f"dropped_{reason}": count for reason, count in stats.dropped.items()}
        return {**plain, **dropped, **core}


async def report(events: gossip.Subscription[gossip.Event]) -> None:
    async for event in events:
        for kind, fields in lines_of(event):
            write({"event": kind, **fields})


def lines_of(event: gossip.Event) -> Iterator[tuple[str, dict[str, Any]]]:
    match event:
        case gossip.MembersSnapshot(members):
            for member in members:
                yield "joined", describe(member)
        case gossip.MessageReceived(payload, _, reliable):
            yield "message", {"payload": payload.hex(), "reliable": reliable}
        case gossip.StateReceived(payload, join):
            yield "state", {"payload": payload.hex(), "join": join}
        case gossip.PingCompleted(member, rtt, payload):
            yield "pinged", {"name": member.name, "rtt": rtt, "payload": payload.hex()}
        case gossip.NameConflict(existing, address, _):
            other = {"address": address.host, "port": address.port}
            rows = {"existing": describe(existing), "other": other}
            yield "conflict", {"name": existing.name, **rows}
        case gossip.LoopLagged(seconds):
            yield "lagged", {"seconds": seconds}
        case gossip.PartitionHealed(lost, regained):
            yield "healed", {"lost": lost, "regained": regained}
        case gossip.EventsLost(count):
            yield "lost", {"count": count}
        case gossip.UserEvent() | gossip.QueryReceived():
            pass  # of a Node only
        case _:
            yield _KINDS[type(event)], describe(event.member)


async def main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_LINE_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await Node(json.loads(await lines.readline())).run(lines)


if __name__ == "__main__":
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("asyncio").setLevel(logging.INFO)
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1] if sys.argv[1:] else "asyncio"]) as runner:
        runner.run(main())
