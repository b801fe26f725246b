"""The sockets of a node: one UDP and one TCP socket on the same address and port."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

from gossip._io import bounds
from gossip._udp import interface_addresses
from gossip.errors import BindError, ConfigError
from gossip.members import Address

# <linux/sock_diag.h>: SO_MEMINFO gives nine counters, the last is SK_MEMINFO_DROPS.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


@dataclass(slots=True)
class Sockets:
    """Both sockets, bound; the TCP socket does not listen yet."""

    udp: socket.socket
    tcp: socket.socket
    address: Address

    @property
    def ipv6(self) -> bool:
        return self.udp.family == socket.AF_INET6

    def receive_buffer(self) -> int:
        """Bytes of UDP receive buffer as the system reports them."""
        return self.udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def lost_in_kernel(self) -> int:
        """Datagrams the system dropped because the receive buffer was full."""
        try:
            counters = self.udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return 0
        return int(_MEMINFO.unpack(counters)[8]) if len(counters) == _MEMINFO.size else 0

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def open_sockets(bind: Address) -> Sockets:
    """Binds both; port 0 takes a TCP port that is free for UDP as well. Raises BindError."""
    attempts = bounds.BIND_ATTEMPTS if bind.port == 0 else 1
    for attempt in range(1, attempts + 1):
        tcp = _bound(bind, socket.SOCK_STREAM)
        address = Address(bind.host, tcp.getsockname()[1])
        try:
            udp = _bound(address, socket.SOCK_DGRAM)
        except BindError as error:
            tcp.close()
            if error.errno != errno.EADDRINUSE or attempt == attempts:
                raise
            continue
        _grow_receive_buffer(udp)
        return Sockets(udp, tcp, address)
    raise AssertionError("the last attempt returns or raises")


def _bound(address: Address, kind: socket.SocketKind) -> socket.socket:
    ip = ipaddress.ip_address(address.host)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    name = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    try:
        opened = socket.socket(family, kind)
    except OSError as error:
        raise _bind_error(address, name, error) from error
    try:
        opened.setblocking(False)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] serves IPv4 as well, as the unspecified address of memberlist does.
            only_v6 = 0 if ip.is_unspecified else 1
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        opened.bind((address.host, address.port))
    except OSError as error:
        opened.close()
        raise _bind_error(address, name, error) from error
    return opened


def _bind_error(address: Address, name: str, error: OSError) -> BindError:
    advice = {
        errno.EADDRINUSE: "; stop what uses it, or bind another port (0 takes a free one)",
        errno.EADDRNOTAVAIL: "; bind an address that this machine has",
        errno.EACCES: "; bind a port above 1023",
    }.get(error.errno or 0, "")
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return BindError(error.errno, f"cannot bind {name} {address}: {reason}{advice}")


def _grow_receive_buffer(udp: socket.socket) -> None:
    size = bounds.RECEIVE_BUFFER_BYTES
    while size >= bounds.RECEIVE_BUFFER_BYTES_MIN:
        try:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        except OSError:
            size //= 2
        else:
            return


def advertised(bound: Address, advertise: Address | None) -> Address:
    """The address others shall use: as configured, else the bound one, else a private one.

    Raises ConfigError where the bound address is the unspecified one and no private address of
    this machine can stand for it, as memberlist does.
    """
    if advertise is not None:
        return Address(advertise.host, advertise.port or bound.port)
    if not ipaddress.ip_address(bound.host).is_unspecified:
        return bound
    host = private_address(ipv6=":" in bound.host)
    if host is None:
        raise ConfigError(
            {
                "advertise": f"no private IP address was found to advertise for {bound}; "
                "give the address others shall use, as advertise='203.0.113.7'"
            }
        )
    return Address(host, bound.port)


def private_address(ipv6: bool) -> str | None:
    """A private IPv4 address of this machine, the one of the default route first.

    With `ipv6`, where there is none, a unique local IPv6 address.
    """
    found = [ipaddress.ip_address(packed) for _, packed in interface_addresses()]
    routed = _source_of_default_route()
    found.sort(key=lambda ip: str(ip) != routed)
    for ip in found:
        if ip.version == 4 and _is_private(ip):
            return str(ip)
    for ip in found:
        if ipv6 and ip.version == 6 and _is_private(ip):
            return str(ip)
    return None


def _is_private(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    networks = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    return any(ip in ipaddress.ip_network(network) for network in networks)


def _source_of_default_route() -> str | None:
    """Which own address packets to the outside would carry; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return None
