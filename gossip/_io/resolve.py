"""From seeds to addresses: `[nodename/]host[:port]`, names resolved off the loop.

memberlist first asks the first name server for ANY over TCP (protocol §12.3) and then the
system's resolver; we ask only the latter, for all A and AAAA records.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import NamedTuple

from gossip.members import Address, split_host_port


class Seed(NamedTuple):
    """A seed as written: the name the node there should have (may be empty), host and port."""

    node_name: str
    host: str
    port: int


class SeedError(Exception):
    """A seed stands for no address; the text says why."""


def parse_seed(text: str, default_port: int) -> Seed:
    """Reads a seed; raises SeedError."""
    node_name, slash, rest = text.partition("/")
    if not slash:
        node_name, rest = "", text
    elif not node_name:
        raise SeedError("the node name before / is empty; write name/host:port or host:port")
    try:
        host, port = split_host_port(rest)
    except ValueError as error:
        raise SeedError(str(error)) from None
    return Seed(node_name, host.partition("%")[0], default_port if port is None else port)


async def resolve(seed: Seed) -> list[Address]:
    """Every address of a seed, IPv4 and IPv6, in the resolver's order; raises SeedError."""
    try:
        return [Address(str(ipaddress.ip_address(seed.host)), seed.port)]
    except ValueError:
        pass
    try:
        found = await lookup(seed.host)
    except socket.gaierror as error:
        raise SeedError(f"{seed.host} cannot be resolved: {error.strerror}") from None
    except (OSError, UnicodeError, ValueError) as error:
        raise SeedError(f"{seed.host} cannot be resolved: {error}") from None
    hosts = dict.fromkeys(ip.partition("%")[0] for ip in found)
    return [Address(host, seed.port) for host in hosts]


async def lookup(host: str) -> list[str]:
    """What the system's resolver says, asked in another thread."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
