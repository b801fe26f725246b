"""The packets of the benchmarks. All nodes under load are called `node`.

A ping names its sender; what it carries in the same compound are claims about members that are
called `member-000001` and so on, with 64 bytes of metadata, all at 127.0.0.1.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence

from gossip._core import Envelope, encode_message

CLAIMS = 5  # that ride on a ping
NODE = "node"
LABEL = b"bench"
KEY = bytes(range(16))
META = bytes(range(64))
ADDRESS = {"$hex": "7f000001"}
VSN = {"$hex": "010502000000"}
PORT = 10001  # of member 1, and of the blaster


def member(number: int) -> str:
    return f"member-{number:06d}"


def port(number: int) -> int:
    return PORT + (number - 1) % 50000


def ping(sequence: int) -> bytes:
    """The blaster's: it is member 1, and sits at that member's address."""
    body = {
        "SeqNo": sequence,
        "Node": NODE,
        "SourceAddr": ADDRESS,
        "SourcePort": PORT,
        "SourceNode": member(1),
    }
    return encode_message("ping", body)


def alive(number: int, incarnation: int) -> bytes:
    body = {
        "Incarnation": incarnation,
        "Node": member(number),
        "Addr": ADDRESS,
        "Port": port(number),
        "Meta": {"$hex": META.hex()},
        "Vsn": VSN,
    }
    return encode_message("alive", body)


def compound(messages: Sequence[bytes]) -> bytes:
    lengths = struct.pack(f">{len(messages)}H", *map(len, messages))
    return bytes([7, len(messages)]) + lengths + b"".join(messages)


def pings(count: int) -> list[bytes]:
    return [ping(100_000 + i) for i in range(count)]


def pings_with_alives(count: int, members: int, *, new: bool, first: int = 0) -> list[bytes]:
    """Pings that each carry five alives, about the members in turn.

    `new`: each of an incarnation that no packet before had, where the packets before are those
    below number `first`. Else of incarnation 1, which everybody knows.
    """
    packets = []
    for i in range(first, first + count):
        claims = [
            alive(n % members + 1, 2 + n // members if new else 1)
            for n in range(CLAIMS * i, CLAIMS * (i + 1))
        ]
        packets.append(compound([ping(100_000 + i), *claims]))
    return packets


def enveloped(
    packets: Iterable[bytes], *, key: bytes = b"", label: bytes = b"", crc: bool = False
) -> list[bytes]:
    envelope = Envelope(keys=[key] if key else [], label=label, refill=os.urandom)
    return [envelope.encode(packet, crc=crc) for packet in packets]


def push_pull(count: int, incarnation: int = 1) -> bytes:
    """The state of a pool of that many members, as a node would send it that is not one."""
    header = encode_message("pushPull", {"Nodes": count, "UserStateLen": 0, "Join": False})
    nodes = [
        encode_message(
            "pushNode",
            {
                "Name": member(number),
                "Addr": ADDRESS,
                "Port": port(number),
                "Meta": {"$hex": META.hex()},
                "Incarnation": incarnation,
                "State": 0,
                "Vsn": VSN,
            },
        )
        for number in range(1, count + 1)
    ]
    return header + b"".join(nodes)
