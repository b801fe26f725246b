"""Three Go and three Python nodes in one pool, in every pair of ways the wire can be dressed."""

from __future__ import annotations

import asyncio
import time
from itertools import combinations, product
from typing import Any

import pytest

from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import SCHEDULING

GO = PYTHON = 3
BROADCASTS = 10

# Two rows a key size, and over them both labels, compressions and families in every pair.
KEY_SIZES = (0, 16, 24, 32)
ROWS = [
    # key size, label, compression, family
    (0, "", False, "IPv4"),
    (0, "pool of tests", True, "IPv6"),
    (16, "", False, "IPv6"),
    (16, "pool of tests", True, "IPv4"),
    (24, "", True, "IPv4"),
    (24, "pool of tests", False, "IPv6"),
    (32, "", True, "IPv6"),
    (32, "pool of tests", False, "IPv4"),
]


def shape(key_size: int, label: str, compression: bool, family: Any) -> Shape:
    keys = (bytes(range(key_size)),) if key_size else ()
    return Shape(GO, PYTHON, keys=keys, label=label, compression=compression, family=family)


def name(key_size: int, label: str, compression: bool, family: str) -> str:
    key = f"AES-{8 * key_size}" if key_size else "plain"
    return "-".join([key, "label" if label else "bare", "lzw" if compression else "raw", family])


def test_every_pair_of_settings_occurs_in_some_row() -> None:
    values = [{row[column] for row in ROWS} for column in range(4)]
    assert values[0] == set(KEY_SIZES)
    for one, other in combinations(range(4), 2):
        met = {(row[one], row[other]) for row in ROWS}
        assert met == set(product(values[one], values[other]))


@pytest.mark.cell(GO + PYTHON)
@pytest.mark.parametrize("row", [pytest.param(row, id=name(*row)) for row in ROWS])
async def test_go_and_python_nodes_live_in_one_pool(row: tuple[int, str, bool, str]) -> None:
    async with Pool(shape(*row)) as pool:
        await pool.join_all()
        await metadata_reaches_all(pool)
        await messages_arrive(pool)
        await broadcasts_arrive(pool)
        await user_state_is_exchanged(pool)
        await acks_carry_payloads(pool)
        await a_killed_node_fails_for_all(pool, pool.python[2], [])
        await a_killed_node_fails_for_all(pool, pool.go[2], [pool.python[2]])
        await a_leaving_node_has_left_for_all(pool, pool.python[1], [pool.python[2], pool.go[2]])
        await a_leaving_node_has_left_for_all(pool, pool.go[1], [*pool.python[1:], pool.go[2]])
        nobody_was_wronged(pool, gone={*pool.python[1:], *pool.go[1:]})
        await every_byte_was_understood(pool, pool.python[0])
        assert await pool.python[0].shut_down() == 0


async def metadata_reaches_all(pool: Pool) -> None:
    for node in (pool.go[0], pool.python[0]):
        await pool.all_saw_meta(pool.nodes, node, node.name.encode())
        await node.update_meta(b"changed by " + node.name.encode())
        await pool.all_saw_meta(pool.nodes, node, b"changed by " + node.name.encode())


async def messages_arrive(pool: Pool) -> None:
    """Both ways, by datagram, by stream (a large one too)."""
    for sender, receiver in ((pool.go[1], pool.python[1]), (pool.python[1], pool.go[1])):
        for payload, reliable in (
            (b"quick" * 200, False),
            (b"sure", True),
            (b"big" * 200_000, True),
        ):
            await sender.send(receiver, payload, reliable=reliable)
            await receiver.saw("message", SCHEDULING, payload=payload.hex())


async def broadcasts_arrive(pool: Pool) -> None:
    """Each is transmitted a few times to members chosen at random, and not passed on by them."""
    for sender, receivers in ((pool.go[2], pool.python), (pool.python[2], pool.go)):
        texts = [f"gossip {number} of {sender.name}".encode() for number in range(BROADCASTS)]
        for text in texts:
            await sender.broadcast(text)
            others = pool.others(sender)
            await pool.any_saw(others, "message", pool.spread_within, payload=text.hex())
        assert any(node.count("message", payload=t.hex()) for node in receivers for t in texts)


async def user_state_is_exchanged(pool: Pool) -> None:
    """With the push/pull of a join, and with the later ones that nobody asks for."""
    rounds = 10 * pool.timings.push_pull_interval + SCHEDULING
    for sender, receivers in ((pool.go[0], pool.python), (pool.python[0], pool.go)):
        first = f"state of {sender.name}".encode().hex()
        await pool.any_saw(receivers, "state", SCHEDULING, join=True, payload=first)
        second = f"new state of {sender.name}".encode()
        await sender.set_state(second)
        await pool.any_saw(receivers, "state", rounds, join=False, payload=second.hex())


async def acks_carry_payloads(pool: Pool) -> None:
    within = pool.timings.suspected_within(pool.shape.size)
    for probed, probers in ((pool.go[0], pool.python), (pool.python[0], pool.go)):
        payload = f"ack of {probed.name}".encode().hex()
        await pool.any_saw(probers, "pinged", within, name=probed.name, payload=payload)


async def a_killed_node_fails_for_all(pool: Pool, victim: Node, gone: list[Node]) -> None:
    """Within the protocol's bound, and not before a suspicion had the time to be refuted."""
    observers = pool.others(victim, *gone)
    victim.kill()
    killed_at = time.monotonic()
    await pool.all_saw(observers, victim, "failed", "gone", within=pool.failed_within)
    assert time.monotonic() - killed_at >= pool.timings.suspicion_min(pool.shape.size)
    await all_tables_say(pool, "failed", victim)


async def a_leaving_node_has_left_for_all(pool: Pool, leaver: Node, gone: list[Node]) -> None:
    await leaver.leave()
    observers = pool.others(leaver, *gone)
    await pool.all_saw(observers, leaver, "left", "gone", within=pool.spread_within)
    await all_tables_say(pool, "left", leaver)
    assert await leaver.shut_down() == 0


async def all_tables_say(pool: Pool, status: str, subject: Node) -> None:
    """Go tells left and failed apart only in what it sends, so a Go node asks every other node."""
    asking = pool.go[0]
    for node in (pool.python[0], *(go for go in pool.go[1:2] if go is not subject)):
        if asking.sees(node.name):
            assert (await asking.statuses_told_by(node))[subject.name] == status
    assert (await pool.python[0].statuses())[subject.name] == status


def nobody_was_wronged(pool: Pool, gone: set[Node]) -> None:
    """No living node was ever held to be gone, by anybody."""
    names = {node.name for node in gone}
    for node in pool.nodes:
        ends = [e for e in node.events if e.kind in ("failed", "left", "gone")]
        assert {e["name"] for e in ends} <= names, node.name
        assert len(ends) == len({e["name"] for e in ends}), node.name


async def every_byte_was_understood(pool: Pool, node: Node) -> None:
    """By the Python node, and by the Go nodes, whose complaints are about connections only."""
    stats = await node.call("stats")
    dropped = {name for name, count in stats.items() if name.startswith("dropped_") and count}
    assert dropped <= {"dropped_ack_unknown"}  # an ack that came after its probe had ended
    for go in pool.go:
        complaints = [line for line in go.log if "[ERR]" in line or "[WARN]" in line]
        expected = ("connection refused", "connection reset", "i/o timeout", "over TCP but UDP")
        assert [c for c in complaints if not any(text in c for text in expected)] == []


@pytest.mark.cell(21)
async def test_one_go_node_holds_a_pool_of_twenty_python_nodes() -> None:
    async with Pool(Shape(go=1, python=20)) as pool:
        await pool.join_all()
        await pool.go[0].update_meta(b"from Go")
        await pool.python[7].update_meta(b"from Python")
        await asyncio.gather(
            pool.all_saw_meta(pool.nodes, pool.go[0], b"from Go"),
            pool.all_saw_meta(pool.nodes, pool.python[7], b"from Python"),
        )
        killed, leaver = pool.python[18:]
        killed.kill()
        observers = pool.others(killed, leaver)
        await pool.all_saw(observers, killed, "failed", "gone", within=pool.failed_within)
        await leaver.leave()
        await pool.all_saw(observers, leaver, "left", "gone", within=pool.spread_within)
        told = await pool.go[0].statuses_told_by(pool.python[0])
        assert (told[killed.name], told[leaver.name]) == ("failed", "left")
        nobody_was_wronged(pool, gone={killed, leaver})
