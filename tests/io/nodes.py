"""What the tests of running nodes share: quick settings, waiting for events, hand-made packets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import gossip
from gossip._core import encode_message
from gossip.config import DriverChoice, Tuning

E = TypeVar("E", bound=gossip.Event)

SECONDS_MAX = 20.0

DRIVER: ContextVar[DriverChoice] = ContextVar("DRIVER", default="asyncio")

# How busy the machine is, is no matter of most tests: a member may stand still for seconds.
PATIENT: dict[str, Any] = {"probe_interval": 20.0, "probe_timeout": 10.0, "loop_lag_bound": 0.0}

# Timers for tests that wait for a failure: a suspicion lasts about a tenth of a second.
QUICK: Tuning = {
    "probe_interval": 0.1,
    "probe_timeout": 0.03,
    "gossip_interval": 0.02,
    "suspicion_mult": 1,
    "suspicion_max_timeout_mult": 1,
    "awareness_max_multiplier": 1,  # a machine that stands still often makes no slower prober
}

# Failures within some seconds, and room for a machine that is five times slower.
SLOW_ENOUGH: Tuning = {
    "probe_interval": 0.5,
    "probe_timeout": 0.4,
    "gossip_interval": 0.05,
    "suspicion_mult": 2,
    "suspicion_max_timeout_mult": 1,
    "awareness_max_multiplier": 1,
}


def node(name: str, *seeds: gossip.Memberlist, **fields: Any) -> gossip.Memberlist:
    """A node on a free port of the loopback that joins running ones, and gossips quickly."""
    fields.setdefault("bind", "127.0.0.1:0")
    fields.setdefault("gossip_interval", 0.02)
    fields.setdefault("driver", DRIVER.get())
    return gossip.Memberlist(name, seeds=[str(seed.address) for seed in seeds], **PATIENT | fields)


def serf_node(name: str, *seeds: gossip.Memberlist, **fields: Any) -> gossip.Node:
    """The same for a `Node`, which also leaves quickly."""
    fields.setdefault("bind", "127.0.0.1:0")
    fields.setdefault("gossip_interval", 0.02)
    fields.setdefault("leave_propagate_delay", 0.02)
    fields.setdefault("driver", DRIVER.get())
    return gossip.Node(name, seeds=[str(seed.address) for seed in seeds], **PATIENT | fields)


async def next_of(subscription: gossip.Subscription[Any], kind: type[E], **fields: Any) -> E:
    """The next event of a type, passing over others; `member` is compared by name."""
    while True:
        event = await subscription.get(timeout=SECONDS_MAX)
        if isinstance(event, kind) and all(_same(event, *each) for each in fields.items()):
            return event


def _same(event: object, field: str, value: object) -> bool:
    found = getattr(event, field)
    return bool(found == value or (isinstance(found, gossip.Member) and found.name == value))


def alive(name: str, ip: str, port: int, incarnation: int = 1) -> bytes:
    """The packet that announces a node."""
    address = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    body = {
        "Incarnation": incarnation,
        "Node": name,
        "Addr": address,
        "Port": port,
        "Meta": b"",
        "Vsn": bytes((1, 5, 2, 0, 0, 0)),
    }
    return encode_message("alive", body)


@contextmanager
def stranger() -> Iterator[socket.socket]:
    """A bare UDP socket on the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bare:
        bare.bind(("127.0.0.1", 0))
        bare.setblocking(False)
        yield bare
