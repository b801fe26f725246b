"""The instruments themselves, tried where the truth is known: on Go nodes alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.lab.addresses import Network
from tests.interop.lab.child import Refused
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN


def test_two_networks_leased_at_once_differ_and_a_returned_one_is_free_again() -> None:
    first, second = Network(), Network()
    try:
        assert first.host(1) != second.host(1)
    finally:
        first.close()
        second.close()
    again = Network()
    again.close()
    assert again.host(1) == first.host(1)


def test_the_bounds_are_the_protocols_own_examples() -> None:
    assert LAN.suspicion_min(5) == 4.0
    assert LAN.suspicion_max(5) == 24.0
    assert LAN.suspicion_min(100) == 8.0


@pytest.mark.cell(3)
async def test_what_a_wait_missed_is_told_with_the_logs_of_all() -> None:
    with pytest.raises(AssertionError, match=r"go-1: not within 0\.1 s: joined") as caught:
        async with Pool(Shape(go=2, python=0)) as pool:
            await pool.go[0].saw("joined", 0.1, name="nobody")
    (logs,) = caught.value.__notes__
    assert "log of go-1" in logs
    assert "log of go-2" in logs


@pytest.mark.cell(1)
async def test_a_command_that_fails_is_refused_in_the_librarys_words() -> None:
    async with Pool(Shape(go=1, python=0, keys=(bytes(16),))) as pool:
        with pytest.raises(Refused, match="removing the primary key is not allowed"):
            await pool.go[0].keyring("remove", bytes(16))


@pytest.mark.cell(6)
async def test_go_nodes_tell_a_failed_member_from_one_that_left() -> None:
    async with Pool(Shape(go=6, python=0)) as pool:
        await pool.join_all()
        killed, leaver = pool.go[4:]
        killed.kill()
        await leaver.leave()
        rest = pool.go[:4]
        await asyncio.gather(
            pool.all_saw(rest, killed, "gone", within=pool.failed_within),
            pool.all_saw(rest, leaver, "gone", within=pool.spread_within),
        )
        told = await pool.go[0].statuses_told_by(pool.go[1])
        assert told == {
            **{node.name: "alive" for node in rest},
            killed.name: "failed",
            leaver.name: "left",
        }
        assert await leaver.shut_down() == 0
