"""Addresses as users see them: written as `ipaddress` writes them, whatever way leads there."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import Address


@given(st.binary(min_size=4, max_size=4))
def test_four_bytes_are_the_ipv4_address_they_spell(ip: bytes) -> None:
    shown = Address.from_bytes(ip, 7946)
    assert shown == (str(IPv4Address(ip)), 7946)
    assert Address.parse(str(shown)) == shown
    assert Address.from_bytes(bytes(10) + b"\xff\xff" + ip, 7946) == shown


@given(st.binary(min_size=16, max_size=16).filter(lambda ip: IPv6Address(ip).ipv4_mapped is None))
def test_sixteen_bytes_are_the_ipv6_address_they_spell(ip: bytes) -> None:
    shown = Address.from_bytes(ip, 1)
    assert shown == (str(IPv6Address(ip)), 1)
    assert Address.parse(str(shown)) == shown


@pytest.mark.parametrize("ip", [b"", b"\x0a\0\0", b"\x0a\0\0\1\2", bytes(17)])
def test_any_other_length_is_shown_as_it_came(ip: bytes) -> None:
    assert Address.from_bytes(ip, 7) == (ip.hex(), 7)
