"""The simulator's engine: its network, its processes, its checks, and that it repeats itself."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gossip._core import Swim
from gossip._sim import EPOCH_NS, PORT, Engine

from .engine_run import Pool, a_bad_day
from .settings import MILLISECOND, SECOND, lan

ROOT = Path(__file__).resolve().parents[2]
DETECTION = 60 * SECOND
AGREEMENT = 200 * SECOND  # what gossip misses, the push/pulls of some minutes do not


def holds_dead(pool: Pool, number: int) -> bool:
    """Whether one of two nodes holds the other dead."""
    return pool.engine.rows(number)[1 - number][0] == "dead"


def printed_trace(seed: int, hash_seed: str) -> str:
    """The same run in a fresh process."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    environment["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    command = [sys.executable, "-m", "tests.sim.engine_run", str(seed)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=250, check=True
    )
    return run.stdout.strip()


def test_a_seed_gives_the_same_trace_here_and_in_processes_with_other_hash_seeds() -> None:
    trace = a_bad_day(7)
    assert trace == a_bad_day(7)
    assert trace == printed_trace(7, "1") == printed_trace(7, "2")
    assert trace != a_bad_day(8)


def test_a_healthy_pool_agrees_and_nobody_is_suspected(seed: int) -> None:
    pool = Pool(20, seed)
    pool.run(60 * SECOND)
    assert pool.engine.agreed()
    counts = pool.engine.counts()
    assert counts["suspected"] == counts["failed"] == 0
    assert counts["joined"] == 20 * 20  # itself included
    assert counts["delivered"] == counts["sent"] - counts["lost"]


def test_a_crashed_node_is_failed_by_all_and_comes_back_when_it_starts_again(seed: int) -> None:
    pool = Pool(8, seed)
    pool.run(SECOND)
    pool.engine.crash(2)
    assert pool.run_until_states(2, {"dead"}, DETECTION) > SECOND
    pool.come_back(2)
    pool.run_until_states(2, {"alive"}, DETECTION)
    pool.wait_until(pool.engine.agreed, AGREEMENT)


def test_a_node_may_start_again_at_another_address_once_it_is_failed(seed: int) -> None:
    pool = Pool(6, seed, dead_node_reclaim_time_ns=MILLISECOND)
    pool.engine.crash(4)
    pool.run_until_states(4, {"dead"}, DETECTION)
    pool.come_back(4, pool.engine.new_address())
    pool.run_until_states(4, {"alive"}, DETECTION)
    pool.wait_until(pool.engine.agreed, AGREEMENT)


def test_a_partition_divides_and_a_cut_may_be_of_one_direction(seed: int) -> None:
    pool = Pool(6, seed)
    for number in (4, 5):
        pool.engine.side(number, 1)
    pool.engine.cut(0, 1)
    pool.engine.cut(1, 0)
    pool.wait_until(lambda: pool.engine.rows(0)[5][0] == "dead", DETECTION)
    assert pool.engine.rows(4)[5][0] == "alive"
    one_way = Pool(2, seed)
    one_way.engine.side(1, 1)
    one_way.engine.cut(0, 1)
    # Neither gets an answer: one is not heard, the other hears none.
    for number in (0, 1):
        one_way.wait_until(partial(holds_dead, one_way, number), DETECTION)


def test_a_frozen_node_is_suspected_and_refutes_when_it_thaws(seed: int) -> None:
    pool = Pool(8, seed)
    pool.engine.pause(1, 15 * SECOND)
    pool.wait_until(lambda: "suspect" in pool.states(1), 15 * SECOND)
    pool.run_until_states(1, {"alive"}, AGREEMENT)
    assert pool.swims[1].incarnation > 1


def test_a_blocked_node_that_notices_no_stall_blames_a_healthy_one(seed: int) -> None:
    """Lifeguard's slow member: its probe stood still in the send, and its target pays for it."""
    pool = Pool(16, seed, notice_stalls=0, awareness_max_multiplier=1)
    pool.engine.log("suspected")
    pool.engine.pause(3, 3 * SECOND, "blocked")
    pool.run(20 * SECOND)
    blamed = {about for _, _, _, about, _ in pool.engine.take_log()}
    assert len(blamed - {3}) == 1


def test_nothing_reaches_a_node_whose_link_is_clogged_until_all_of_it_does() -> None:
    pool = Pool(2, 1)
    pool.run(5200 * MILLISECOND)  # the gossip of the start is over, and nothing on its way
    pool.engine.link(0, 1, clog_ns=5 * SECOND)
    sent = pool.swims[0].stats()["packets_sent"]
    received = pool.swims[1].stats()["packets_received"]
    pool.run(5 * SECOND - MILLISECOND)
    assert pool.swims[1].stats()["packets_received"] == received
    pool.run(MILLISECOND + 10 * MILLISECOND)
    assert pool.swims[1].stats()["packets_received"] - received >= 4
    assert pool.swims[0].stats()["packets_sent"] - sent >= 4


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
def test_the_loss_of_a_node_is_of_its_direction(lost: float) -> None:
    pool = Pool(2, 1)
    pool.engine.line(0, loss_out=lost)
    before = pool.engine.counts()
    pool.run(200 * SECOND)
    after = pool.engine.counts()
    part = (after["lost"] - before["lost"]) / (after["sent"] - before["sent"])
    # Of a ping and its ack one goes out of node 0, unless the ping before it was lost.
    assert {0.0: part == 0, 0.3: 0.1 < part < 0.3, 1.0: part > 0.4}[lost]


def test_datagrams_over_the_mtu_and_over_the_rate_of_a_line_are_lost() -> None:
    pool = Pool(2, 1)
    pool.run(5200 * MILLISECOND)  # between two probes
    pool.engine.network(mtu=20)
    before = pool.engine.counts()["delivered"]
    pool.run(5 * SECOND)
    assert pool.engine.counts()["delivered"] == before
    slow = Pool(2, 1)
    slow.engine.line(0, rate=10)
    before = slow.engine.counts()["lost"]
    slow.run(30 * SECOND)
    assert slow.engine.counts()["lost"] > before


def test_zones_are_as_far_from_each_other_as_the_matrix_says() -> None:
    pool = Pool(2, 1, report_pings=1)
    pool.engine.zone(1, 1)
    pool.engine.delay("fixed", 30 * MILLISECOND, source=0, target=1)
    pool.engine.delay("fixed", 50 * MILLISECOND, source=1, target=0)
    pool.run(SECOND)
    pool.engine.watch(0, True)
    while pool.engine.run(pool.engine.now + 10 * SECOND):
        pass
    (event,) = [event for event in pool.swims[0].events() if event[0] == "pinged"]
    assert event[2] == 80 * MILLISECOND


def test_a_slow_processor_delays_the_answers_of_its_node() -> None:
    pool = Pool(2, 1)
    pool.engine.slow(1, 400 * MILLISECOND)
    request = pool.swims[0].ping(b"node-1", pool.engine.clock(0))
    pool.engine.touch(0)
    pool.engine.watch(0, True)
    answers: list[tuple[object, ...]] = []
    while not answers:
        pool.engine.run(pool.engine.now + SECOND)
        answers = [event for event in pool.swims[0].events() if event[:2] == ("done", request)]
    assert isinstance(answers[0][3], int)


def test_a_clock_may_jump_and_the_pool_still_agrees(seed: int) -> None:
    pool = Pool(6, seed)
    pool.engine.jump(2, 3600 * SECOND)
    pool.run(20 * SECOND)
    pool.engine.jump(3, -20 * SECOND)
    pool.wait_until(pool.engine.agreed, AGREEMENT)


def test_the_engine_refuses_what_makes_no_sense() -> None:
    engine = Engine(1, 1)
    address = engine.new_address()
    number = engine.add()
    with pytest.raises(ValueError, match="1 nodes"):
        engine.add()
    stranger = Swim(lan(), name=b"n", address=address, port=PORT, seed=1)
    with pytest.raises(ValueError, match="scratch"):
        engine.start(number, stranger, address)
    with pytest.raises(ValueError, match="time"):
        engine.run(EPOCH_NS - 1)
    with pytest.raises(IndexError, match="no node 5"):
        engine.crash(5)
