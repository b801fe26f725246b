"""One node of kinship 0.4.0, driven over standard input and output like python_node.py, as far as
the comparison needs it: join, hold_gil, shutdown.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading
from pathlib import Path
from typing import Any

INSTALLED = Path(__file__).resolve().parents[2] / "build" / "peers" / "kinship"
_KINDS = {
    "MemberJoined": "joined",
    "MemberSuspect": "suspected",
    "MemberRecovered": "refuted",
    "MemberDead": "failed",
    "MemberLeft": "left",
}


def write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def started(settings: dict[str, Any]) -> Any:
    sys.path.insert(0, str(INSTALLED))
    import kinship  # type: ignore[import-not-found]

    config = kinship.Config.lan(
        name=settings["name"],
        bind=f"{settings['bind']}:{settings['port']}",
        insecure_plaintext=True,
        probe_interval=settings["probe_interval"],
        probe_timeout=settings["probe_timeout"],
        suspicion_mult=settings["suspicion_mult"],
        gossip_interval=settings["gossip_interval"],
    )
    return kinship.blocking.Cluster(config).start()


def report(events: Any) -> None:
    for event in events:
        kind = _KINDS.get(type(event).__name__)
        if kind is not None:
            write({"event": kind, "name": event.member.name, "meta": ""})


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    cluster = started(settings)
    threading.Thread(target=report, args=(cluster.events(),), daemon=True).start()
    place = {"address": settings["bind"], "port": settings["port"]}
    write({"event": "started", "name": settings["name"], **place})
    write({"event": "joined", "name": settings["name"], "meta": ""})  # it tells of others only
    for line in sys.stdin:
        command = json.loads(line)
        value = None
        match command["do"]:
            case "join":
                value = cluster.join(command["seeds"])
            case "hold_gil":  # usleep(3) through a foreign interface that keeps the GIL
                ctypes.PyDLL(None).usleep(round(command["timeout"] * 1e6))
            case "shutdown":
                break
        write({"reply": command["id"], "value": value})


if __name__ == "__main__":
    main()
