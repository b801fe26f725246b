"""Joining: seeds become addresses, a report says what came of each, and a lonely node goes on."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

import gossip
from gossip._io.resolve import Seed, SeedError, parse_seed, resolve

from .nodes import next_of, node

SEEDS: list[tuple[str, Seed]] = [
    ("10.0.0.5", Seed("", "10.0.0.5", 7946)),
    ("10.0.0.5:1", Seed("", "10.0.0.5", 1)),
    ("web-1/10.0.0.5:1", Seed("web-1", "10.0.0.5", 1)),
    ("web-1/host.example", Seed("web-1", "host.example", 7946)),
    ("2001:db8::7", Seed("", "2001:db8::7", 7946)),
    ("[2001:db8::7]", Seed("", "2001:db8::7", 7946)),
    ("[2001:db8::7]:1", Seed("", "2001:db8::7", 1)),
    ("fe80::1%eth0", Seed("", "fe80::1", 7946)),
    ("web/[fe80::1%eth0]:1", Seed("web", "fe80::1", 1)),
]


@pytest.mark.parametrize(("text", "seed"), SEEDS)
def test_a_seed_is_a_name_a_host_and_a_port(text: str, seed: Seed) -> None:
    assert parse_seed(text, 7946) == seed


@pytest.mark.parametrize(
    "text", ["/10.0.0.5", "host:port", "host:70000", "[::1", "[::1]7946", ":1"]
)
def test_a_seed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SeedError):
        parse_seed(text, 7946)


@contextmanager
def names(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]) -> Iterator[None]:
    """The system's resolver knows these names, as they stand at the time of the question."""

    async def lookup(host: str) -> list[str]:
        if not table.get(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return table[host]

    with monkeypatch.context() as patch:
        patch.setattr("gossip._io.resolve.lookup", lookup)
        yield


async def test_a_name_stands_for_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"pool.example": ["10.0.0.1", "fe80::1%eth0", "10.0.0.1", "10.0.0.2"]}
    with names(monkeypatch, table):
        assert await resolve(Seed("", "pool.example", 5)) == [
            gossip.Address("10.0.0.1", 5),
            gossip.Address("fe80::1", 5),
            gossip.Address("10.0.0.2", 5),
        ]


async def test_an_unknown_name_says_so() -> None:
    with pytest.raises(SeedError, match=r"no such name\.invalid cannot be resolved"):
        await resolve(Seed("", "no such name.invalid", 5))
    with pytest.raises(SeedError, match="cannot be resolved"):
        await resolve(Seed("", "x" * 300 + ".example", 5))


async def test_a_join_reports_each_seed_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node("a", bind="127.0.0.1:0") as a, node("b", bind="127.0.0.2:0") as b:
        port = a.address.port
        table = {"pool.example": ["127.0.0.1", "127.0.0.9"]}
        with names(monkeypatch, table):
            report = await b.join(f"pool.example:{port}", "nobody.example", "host:port")
        assert report.reached == 1
        assert [str(seed) for seed in report.seeds] == [
            f"pool.example:{port}: 127.0.0.1:{port}: reached; 127.0.0.9:{port}: connection refused",
            "nobody.example: nobody.example cannot be resolved: Name or service not known",
            "host:port: the port must be a number from 0 to 65535, not 'port'",
        ]
        assert len(report.failed) == 3
        assert {member.name for member in b.members()} == {"a", "b"}


async def test_a_join_that_reaches_nobody_raises_with_the_report() -> None:
    async with node("a") as a:
        with pytest.raises(gossip.JoinError, match="connection refused") as caught:
            await a.join("127.0.0.1:1", str(a.address))
        (first,), (second,) = (seed.contacts for seed in caught.value.report.seeds)
        assert first.error == "connection refused"
        assert second.itself
        assert not second.reached


async def test_joining_only_oneself_reaches_nobody_and_is_no_error() -> None:
    async with node("a") as a:
        report = await a.join(str(a.address))
        assert report.reached == 0
        assert report.failed == ()


async def test_a_join_ends_in_time_and_keeps_what_was_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deaf = f"127.0.0.1:{silent.getsockname()[1]}"
        async with node("a") as a, node("b") as b:
            for seconds in (0.25, 1.0, 4.0, 16.0):  # more where the machine is busy
                with suppress(gossip.JoinError):
                    report = await b.join(deaf, str(a.address), timeout=seconds)
                    break
            assert report.reached == 1
            assert report.seeds[0].contacts[0].error == f"not done within {seconds:g} s"
            with pytest.raises(gossip.JoinError, match=r"not done within 0\.1 s"):
                await b.join(deaf, timeout=0.1)


async def test_a_silent_peer_costs_the_tcp_timeout_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with node("a", tcp_timeout=0.1) as a:
            with pytest.raises(gossip.JoinError, match="timed out"):
                await a.join(f"127.0.0.1:{silent.getsockname()[1]}")


async def test_node_names_may_be_required() -> None:
    async with node("a") as a, node("b", require_node_names=True) as b:
        with pytest.raises(gossip.JoinError, match="node names are required by configuration"):
            await b.join(str(a.address))
        assert (await b.join(f"a/{a.address}")).reached == 1


async def test_a_lonely_node_starts_and_joins_when_its_seed_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    async with gossip.Memberlist("b", bind="127.0.0.1:0", seeds=[place], retry_join=0.05) as b:
        assert [member.name for member in b.members()] == ["b"]
        assert "b: starts alone, and tries its seeds again every 0.05 s" in caplog.text
        assert "connection refused" in caplog.text
        events = b.events(gossip.MemberJoined)
        async with node("a", bind=place):
            await next_of(events, gossip.MemberJoined, member="a")


async def test_each_try_resolves_the_names_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node("a", bind="127.0.0.1:0") as a:
        table: dict[str, list[str]] = {"pool.example": ["127.0.0.9"]}
        seeds = [f"pool.example:{a.address.port}"]
        with names(monkeypatch, table):
            b = gossip.Memberlist("b", bind="127.0.0.2:0", seeds=seeds, retry_join=0.05)
            async with b:
                events = b.events(gossip.MemberJoined)
                table["pool.example"] = ["127.0.0.1"]
                await next_of(events, gossip.MemberJoined, member="a")


async def test_without_retries_a_start_that_reaches_nobody_raises_and_leaves_nothing() -> None:
    a = gossip.Memberlist("a", bind="127.0.0.1:0", seeds=["127.0.0.1:1"], retry_join=0)
    with pytest.raises(gossip.JoinError):
        await a.start()
    with pytest.raises(gossip.ClosedError):
        a.members()


async def test_a_seed_that_is_the_node_itself_is_no_reason_to_warn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    async with gossip.Memberlist("a", bind=place, seeds=[place]) as a:
        assert [member.name for member in a.members()] == ["a"]
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_start_may_be_cancelled_while_it_joins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seeds = [f"127.0.0.1:{silent.getsockname()[1]}"]
        a = gossip.Memberlist("a", bind="127.0.0.1:0", seeds=seeds)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await a.start()
        with pytest.raises(gossip.ClosedError):
            a.members()
