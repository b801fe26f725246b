"""The incarnation a run starts at, and how far anybody can drive it (gossip/core/limits.pxi)."""

from __future__ import annotations

import pytest

from gossip._core import Swim
from tests.sim import wire
from tests.sim.settings import EPOCH, SECOND, lan
from tests.sim.solo import Puppet, Solo

EPOCH_2025 = 1_735_689_600
NOW = 1_790_000_000  # a wall clock of 2026
START_MAX = 1 << 30
ACCUSED, OWN, ALIVE = 1 << 30, 3 << 29, 1 << 31


def started(clock: int, **changes: int) -> Solo:
    swim = Swim(lan(**changes), name=b"self", address=bytes((10, 0, 0, 1)), port=7946, seed=1)
    solo = Solo(swim)
    swim.start(solo.now, clock)
    solo.collect()
    return solo


def age(clock: int) -> int:
    return clock - EPOCH_2025


@pytest.mark.parametrize(
    ("clock", "first"),
    [
        (NOW, age(NOW) + 1),
        (0, 1),
        (-5, 1),
        (1, 1),
        (EPOCH_2025, 1),
        (EPOCH_2025 + START_MAX - 1, START_MAX),
        (EPOCH_2025 + START_MAX, START_MAX),
        (1 << 62, START_MAX),
    ],
)
def test_a_run_starts_at_the_seconds_since_2025(clock: int, first: int) -> None:
    assert started(clock).incarnation() == first


def test_a_later_run_is_above_all_that_an_earlier_one_said_once_a_second() -> None:
    first = started(NOW)
    for _ in range(100):
        first.hear(wire.suspect(b"self", first.incarnation(), b"x"))
    assert first.incarnation() == age(NOW) + 101
    assert started(NOW + 101).incarnation() > first.incarnation()


def test_a_peer_takes_the_later_run_at_once_for_its_dead_ghost() -> None:
    solo = started(NOW)
    ghost = Puppet(b"peer", bytes((10, 0, 1, 1)), incarnation=age(NOW) - 50)
    solo.hear(ghost.alive())
    solo.hear(wire.dead(b"peer", ghost.incarnation + 20, b"x"))
    assert solo.state(b"peer") == "dead"
    solo.hear(ghost.alive(age(NOW)))
    assert solo.state(b"peer") == "alive"


@pytest.mark.parametrize("ours", [0, 1, NOW, 1 << 62], ids=["none", "1970", "right", "far off"])
@pytest.mark.parametrize("theirs", [0, 1, NOW, 1 << 62], ids=["none", "1970", "right", "far off"])
def test_no_clock_keeps_anybody_out(ours: int, theirs: int) -> None:
    """The first incarnation of any clock is believed by a node of any other, of itself and accused;
    and what accuses it, it refutes."""
    here, there = started(ours), started(theirs)
    peer = Puppet(b"peer", bytes((10, 0, 1, 1)), incarnation=there.incarnation())
    here.hear(peer.alive())
    assert here.state(b"peer") == "alive"
    here.hear(wire.suspect(b"peer", peer.incarnation, b"x"))
    there.hear(wire.suspect(b"self", peer.incarnation, b"x"))
    here.hear(peer.alive(there.incarnation()))
    assert here.state(b"peer") == "alive"


def test_a_ghost_of_a_clock_that_went_back_is_refuted_as_ever() -> None:
    solo = started(NOW)
    ghost = age(NOW) + 10_000_000
    solo.hear(wire.dead(b"self", ghost, b"x"))
    assert solo.incarnation() == ghost + 1
    assert solo.swim.stats()["incarnation_pushes"] == 1
    assert solo.events_of("pushed") == [("pushed", ghost, age(NOW) + 1, False)]


def test_a_ghost_close_by_is_not_worth_a_word() -> None:
    solo = started(NOW)
    solo.hear(wire.dead(b"self", age(NOW) + 1000, b"x"))
    assert solo.incarnation() == age(NOW) + 1001
    assert solo.events_of("pushed") == []


# Driving it to its end.


def test_the_steps_that_once_walked_to_the_end_are_stopped_and_told() -> None:
    """2,050 accusations, each 2^20 ahead, would once end at 2^32."""
    solo = started(NOW)
    for _ in range(3000):
        solo.hear(wire.suspect(b"self", min(solo.incarnation() + (1 << 20), (1 << 32) - 1), b"x"))
    assert solo.incarnation() <= age(NOW) + OWN
    assert solo.dropped("incarnation_jump") > 1000
    assert solo.swim.stats()["incarnation_pushes"] >= 1000
    assert len(solo.events_of("pushed")) == 1, "no time has passed"


def test_what_is_refused_is_refused_for_as_long_as_the_clock_says() -> None:
    """At the limit a refutation a second is left, and the node lives on when it is let alone."""
    solo = started(NOW)
    limit = age(NOW) + OWN
    solo.hear(wire.suspect(b"self", limit - 1, b"x"))
    assert solo.incarnation() == limit
    solo.hear(wire.suspect(b"self", limit, b"x"))
    assert solo.incarnation() == limit
    solo.run_for(SECOND)
    solo.hear(wire.suspect(b"self", limit, b"x"))
    assert solo.incarnation() == limit + 1


def test_what_anybody_believes_can_be_refuted_and_the_refutation_is_believed() -> None:
    """Clocks may be 16 years apart, either way."""
    years = 16 * 365 * 86_400
    for ours, theirs in ((NOW, NOW + years), (NOW + years, NOW)):
        judge, accused = started(ours), started(theirs)
        peer = Puppet(b"peer", bytes((10, 0, 1, 1)), incarnation=accused.incarnation())
        judge.hear(peer.alive())
        highest = age(ours) + ACCUSED
        judge.hear(wire.suspect(b"peer", highest + 1, b"x"))
        assert judge.state(b"peer") == "alive", "beyond belief"
        judge.hear(wire.suspect(b"peer", highest, b"x"))
        assert judge.state(b"peer") == "suspect"
        accused.hear(wire.suspect(b"self", highest, b"x"))
        assert accused.incarnation() == highest + 1
        judge.hear(peer.alive(highest + 1))
        assert judge.state(b"peer") == "alive"


def test_an_alive_claim_is_held_to_the_clock_too() -> None:
    solo = started(NOW)
    peer = Puppet(b"peer", bytes((10, 0, 1, 1)))
    solo.hear(peer.alive(age(NOW) + ALIVE + 1))
    assert solo.state(b"peer") == "unknown"
    assert solo.dropped("incarnation_jump") == 1
    solo.hear(peer.alive(age(NOW) + ALIVE))
    assert solo.state(b"peer") == "alive"


def test_metadata_cannot_be_changed_beyond_the_limit_and_the_error_says_so() -> None:
    solo = started(NOW)
    solo.hear(wire.suspect(b"self", age(NOW) + OWN - 1, b"x"))
    request = solo.swim.update_meta(b"new", solo.now)
    solo.collect()
    ((_, _, error, _),) = [each for each in solo.events_of("done") if each[1] == request]
    assert "incarnation" in error
    solo.run_for(SECOND)
    solo.swim.update_meta(b"new", solo.now)
    assert solo.incarnation() == age(NOW) + OWN + 1


def test_the_clock_goes_on_with_the_node_whatever_the_wall_clock_does() -> None:
    solo = started(NOW)
    solo.run_until(EPOCH + 1000 * SECOND)
    peer = Puppet(b"peer", bytes((10, 0, 1, 1)))
    solo.hear(peer.alive(age(NOW) + 1000 + ALIVE))
    assert solo.state(b"peer") == "alive"
