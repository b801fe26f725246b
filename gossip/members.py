"""Who is in the pool: addresses, statuses, members. Values only, nothing here changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple, Self

DEFAULT_PORT = 7946
NAME_BYTES_MAX = 255
META_BYTES_MAX = 512

_NO_VERSIONS = (0, 0, 0, 0, 0, 0)


class Address(NamedTuple):
    """An IP address and a port; `str()` gives `10.0.0.7:7946` or `[2001:db8::7]:7946`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, default_port: int = DEFAULT_PORT) -> Self:
        """From `10.0.0.7`, `10.0.0.7:7946`, `2001:db8::7` or `[2001:db8::7]:7946`.

        Raises ValueError, with how to write it, for anything else; names are not resolved.
        """
        host, port = split_host_port(text)
        try:
            return cls(str(ip_address(host)), default_port if port is None else port)
        except ValueError:
            raise ValueError(
                f"{host!r} is not an IP address; write 10.0.0.7:7946 or [2001:db8::7]:7946"
            ) from None

    @classmethod
    def from_bytes(cls, ip: bytes, port: int) -> Self:
        """From the wire's 4 or 16 bytes; a v4-in-v6 address is shown as the IPv4 address it is.

        Any other length, which only a peer's mistake can bring here, is shown as hexadecimal.
        """
        if len(ip) == 4:
            return cls(f"{ip[0]}.{ip[1]}.{ip[2]}.{ip[3]}", port)  # `ip_address` takes long
        if len(ip) != 16:
            return cls(ip.hex(), port)
        address = ip_address(ip)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return cls(str(address), port)


class Status(StrEnum):
    """What this node holds a member to be; "failed" is what the wire calls dead."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    LEAVING = "leaving"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Member:
    """One row of a node's member table, as it was at one moment.

    name: unique in the pool. Bytes that are not UTF-8 appear as surrogate escapes.
    address: where the member says it listens, for UDP and TCP.
    meta: up to 512 bytes the member chose (protocol §4.6).
    status: as this node sees it; two nodes may differ for a while.
    incarnation: the member's own counter; it grows when it refutes a suspicion or updates itself.
    versions: protocol min, max, current and delegate min, max, current (protocol §11).
    since: when the status last changed, in seconds of the monotonic clock of this process.
    tags: what the metadata says, for the members of a `Node` (Serf §2); empty for a `Memberlist`.
    """

    name: str
    address: Address
    meta: bytes = b""
    status: Status = Status.ALIVE
    incarnation: int = 0
    versions: tuple[int, ...] = _NO_VERSIONS
    since: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.address}, {self.status})"


def split_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; raises ValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address with a port is written [2001:db8::7]:7946")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} has no host; write host:port")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"the port must be a number from 0 to 65535, not {port!r}")
    return host, int(port)


def encode_name(name: str) -> bytes:
    """A name as the wire's bytes: the inverse of `decode_name`."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> str:
    """The wire's bytes as text; bytes that are not UTF-8 become surrogate escapes."""
    return name.decode("utf-8", "surrogateescape")
