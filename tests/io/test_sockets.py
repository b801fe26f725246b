"""Sockets and keys: what is bound, what is advertised, and what is refused before it is."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from pathlib import Path

import pytest

import gossip
from gossip._io import sockets
from gossip._io.keys import find_keys
from gossip._udp import interface_addresses

from .nodes import next_of, node

LOOPBACK = gossip.Address("127.0.0.1", 0)
KEY, OTHER = b"k" * 16, b"o" * 32


def test_port_zero_takes_one_port_for_both() -> None:
    opened = sockets.open_sockets(LOOPBACK)
    assert opened.tcp.getsockname() == opened.udp.getsockname() == opened.address
    assert opened.address.port > 0
    assert opened.receive_buffer() > 0
    assert opened.lost_in_kernel() == 0
    opened.close()


def test_port_zero_tries_on_where_the_udp_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        bound, first = sockets._bound, [taken.getsockname()[1]]

        def unlucky(address: gossip.Address, kind: socket.SocketKind) -> socket.socket:
            port = first.pop() if address.port == 0 and first else address.port
            return bound(gossip.Address(address.host, port), kind)

        monkeypatch.setattr(sockets, "_bound", unlucky)
        opened = sockets.open_sockets(LOOPBACK)
        assert opened.address.port not in (0, taken.getsockname()[1])
        opened.close()


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = gossip.Address(*taken.getsockname())
        with pytest.raises(gossip.BindError, match="0 takes a free one") as caught:
            sockets.open_sockets(place)
    assert caught.value.errno == errno.EADDRINUSE
    assert f"cannot bind UDP {place}: address already in use" in str(caught.value)


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(gossip.BindError, match="bind an address that this machine has"):
        sockets.open_sockets(gossip.Address("192.0.2.1", 0))


def test_the_receive_buffer_is_halved_until_it_is_granted() -> None:
    asked: list[int] = []

    class Grudging:
        def setsockopt(self, level: int, option: int, size: int) -> None:
            asked.append(size)
            if size > 300_000:
                raise OSError(errno.ENOBUFS, "no buffer space")

    sockets._grow_receive_buffer(Grudging())  # type: ignore[arg-type]
    assert asked == [2 << 20, 1 << 20, 1 << 19, 1 << 18]


def test_what_is_advertised_is_what_others_can_reach() -> None:
    bound = gossip.Address("10.0.0.7", 7946)
    assert sockets.advertised(bound, None) == bound
    public = gossip.Address("203.0.113.7", 0)
    assert sockets.advertised(bound, public) == ("203.0.113.7", 7946)
    assert sockets.advertised(bound, gossip.Address("203.0.113.7", 1)) == ("203.0.113.7", 1)


def test_bound_to_all_addresses_a_private_one_is_advertised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["127.0.0.1", "203.0.113.7", "172.16.0.9", "10.1.2.3", "fd00::7"]
    packed = [("eth0", ipaddress.ip_address(ip).packed) for ip in found]
    monkeypatch.setattr(sockets, "interface_addresses", lambda: packed)
    monkeypatch.setattr(sockets, "_source_of_default_route", lambda: "10.1.2.3")
    everywhere, everywhere6 = gossip.Address("0.0.0.0", 5), gossip.Address("::", 5)
    assert sockets.advertised(everywhere, None) == ("10.1.2.3", 5)
    monkeypatch.setattr(sockets, "_source_of_default_route", lambda: "203.0.113.7")
    assert sockets.advertised(everywhere, None) == ("172.16.0.9", 5)
    packed[:] = [each for each in packed if len(each[1]) == 16]
    assert sockets.advertised(everywhere6, None) == ("fd00::7", 5)
    with pytest.raises(gossip.ConfigError, match="no private IP address was found"):
        sockets.advertised(everywhere, None)


def test_the_addresses_of_the_machine_are_known() -> None:
    assert b"\x7f\0\0\x01" in {ip for _, ip in interface_addresses()}


async def test_a_node_bound_to_all_addresses_advertises_one_and_knows_itself() -> None:
    a = node("a", bind="0.0.0.0:0", advertise="127.0.0.1", plaintext=True)
    async with a:
        assert a.address.host == "127.0.0.1"
        report = await a.join(f"127.0.0.1:{a.address.port}")
        assert report.reached == 0


def has_ipv6() -> bool:
    return any(
        ipaddress.ip_address(ip) == ipaddress.ip_address("::1") for _, ip in interface_addresses()
    )


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_nodes_speak_ipv6() -> None:
    async with node("a", bind="[::1]:0") as a, node("b", a, bind="[::1]:0") as b:
        assert str(a.address).startswith("[::1]:")
        assert await b.ping("a") > 0


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_a_dual_stack_node_serves_both_and_shows_ipv4_as_ipv4() -> None:
    dual = node("dual", bind="[::]:0", advertise="127.0.0.1", plaintext=True)
    async with dual, node("four", dual) as four, node("six", bind="[::1]:0") as six:
        assert (await six.join(f"[::1]:{dual.address.port}")).reached == 1
        messages = dual.events(gossip.MessageReceived)
        await four.send("dual", b"from four")
        message = await next_of(messages, gossip.MessageReceived)
        assert message.source == four.address
        assert await dual.ping("four") > 0
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bare:
            bare.sendto(b"\x08from six", ("::1", dual.address.port))
            message = await next_of(messages, gossip.MessageReceived)
            assert message.source == gossip.Address("::1", bare.getsockname()[1])


def test_beyond_loopback_a_key_is_needed_or_plaintext_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(gossip.ConfigError, match="plaintext=True") as caught:
        find_keys(gossip.Config(bind="0.0.0.0:7946"), {})
    assert list(caught.value.problems) == ["bind"]
    assert find_keys(gossip.Config(bind="0.0.0.0", key=KEY), {}) == (KEY,)
    assert find_keys(gossip.Config(bind="127.9.9.9"), {}) == ()
    assert find_keys(gossip.Config(bind="[::1]"), {}) == ()
    assert caplog.records == []
    assert find_keys(gossip.Config(bind="10.0.0.7", plaintext=True), {}) == ()
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "10.0.0.7:7946 is bound without a key" in caplog.text


def test_keys_come_from_the_config_a_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "gossip.key"
    path.write_text(f"{gossip.encode_key(KEY)}\n{gossip.encode_key(OTHER)}\n")
    text = {"GOSSIP_KEY": gossip.encode_key(OTHER)}
    assert find_keys(gossip.Config(key=KEY), text) == (KEY,)
    assert find_keys(gossip.Config(key=gossip.encode_key(KEY)), text) == (KEY,)
    assert find_keys(gossip.Config(key_file=str(path)), text) == (KEY, OTHER)
    assert find_keys(gossip.Config(key_file=path), {}) == (KEY, OTHER)
    assert find_keys(gossip.Config(), text) == (OTHER,)
    assert find_keys(gossip.Config(), {"GOSSIP_KEY_FILE": str(path)}) == (KEY, OTHER)
    assert find_keys(gossip.Config(plaintext=True), text) == ()


def test_a_source_without_a_sound_key_is_named(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("# nothing\n")
    binary.write_bytes(b"\xff\xfe\x00")
    for path, text in (
        (tmp_path / "missing", "No such file"),
        (empty, "holds no key"),
        (binary, "is not text"),
    ):
        with pytest.raises(gossip.ConfigError, match=text) as caught:
            find_keys(gossip.Config(key_file=str(path)), {})
        assert list(caught.value.problems) == ["key_file"]
    with pytest.raises(gossip.ConfigError, match="environment variable GOSSIP_KEY"):
        find_keys(gossip.Config(), {"GOSSIP_KEY": "c2hvcnQ="})
