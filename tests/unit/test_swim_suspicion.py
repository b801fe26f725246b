"""How long a suspicion lasts, who can shorten it (protocol §18), how it is refuted (§19.4)."""

from __future__ import annotations

import pytest

from tests.sim import wire
from tests.sim.settings import EPOCH, MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo


def five_nodes() -> tuple[Solo, Puppet]:
    """The example of protocol §18: five nodes, so k = 2, min 4 s, max 24 s; `target` stays mute."""
    solo = Solo.start()
    solo.members(3)
    return solo, solo.member("target")


def fails_after(solo: Solo, target: Puppet) -> int:
    started = solo.now
    solo.run_while(lambda: solo.state(target.name) == "suspect", limit=30 * SECOND)
    assert solo.state(target.name) == "dead"
    return solo.now - started


def quiet(solo: Solo) -> None:
    """The node itself never confirms: its own probes of the target are answered."""
    assert all(puppet.answers for puppet in solo.puppets.values())


@pytest.mark.parametrize(
    ("confirmations", "milliseconds"), [(0, 24_000), (1, 11_381), (2, 4_000), (3, 4_000)]
)
def test_the_example_of_five_nodes(confirmations: int, milliseconds: int) -> None:
    solo, target = five_nodes()
    quiet(solo)
    accusers = [b"peer-0", b"peer-1", b"peer-2", b"elsewhere"]
    for accuser in accusers[: confirmations + 1]:
        solo.hear(wire.suspect(b"target", 1, accuser))
    assert fails_after(solo, target) == milliseconds * MILLISECOND


def test_a_confirmation_counts_the_time_already_passed() -> None:
    solo, target = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    solo.run_for(5 * SECOND)
    solo.hear(wire.suspect(b"target", 1, b"peer-1"))
    assert fails_after(solo, target) == 11_381 * MILLISECOND - 5 * SECOND


def test_a_confirmation_past_its_time_fails_the_member_at_once() -> None:
    solo, _ = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    solo.run_for(12 * SECOND)
    solo.hear(wire.suspect(b"target", 1, b"peer-1"))
    solo.run_for(0)
    assert solo.state(b"target") == "dead"


def test_each_confirmation_that_counts_is_told_with_its_accuser() -> None:
    solo, _ = five_nodes()
    for accuser in (b"peer-0", b"peer-0", b"peer-1", b"peer-2", b"elsewhere"):
        solo.hear(wire.suspect(b"target", 1, accuser))
    told = [(event[0], event[2]) for event in solo.events if event[0] in ("suspected", "confirmed")]
    assert told == [("suspected", b"peer-0"), ("confirmed", b"peer-1"), ("confirmed", b"peer-2")]


def test_two_nodes_wait_the_minimum_as_nobody_could_confirm() -> None:
    solo = Solo.start()
    target = solo.member("target")
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    assert fails_after(solo, target) == 4 * SECOND


def test_an_accuser_cannot_confirm_itself() -> None:
    solo, target = five_nodes()
    for _ in range(4):
        solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    assert fails_after(solo, target) == 24 * SECOND


def test_the_own_failed_probe_confirms_the_suspicion_of_another() -> None:
    solo, target = five_nodes()
    target.answers = False
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    assert fails_after(solo, target) == pytest.approx(11_381 * MILLISECOND, abs=6 * SECOND)
    assert solo.events_of("failed", b"target")[0][3] == 1


def test_a_confirmation_does_not_raise_the_incarnation() -> None:
    solo, _ = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"), wire.suspect(b"target", 9, b"peer-1"))
    assert solo.incarnation(b"target") == 1


def test_only_confirmations_that_count_are_told_on() -> None:
    solo, _ = five_nodes()
    for accuser in (b"peer-0", b"peer-0", b"peer-1", b"peer-1", b"peer-2", b"elsewhere"):
        solo.hear(wire.suspect(b"target", 1, accuser))
    solo.run_for(900 * MILLISECOND)
    told = {message["From"] for message in solo.messages("suspect")}
    # Two may confirm, and a later claim about the same node takes the earlier one's place.
    assert told == {"peer-2"}


def test_the_failure_says_who_accused_how_often_and_for_how_long() -> None:
    solo, target = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"), wire.suspect(b"target", 1, b"peer-1"))
    took = fails_after(solo, target)
    ((_, row, by, confirmations, suspect_ns),) = solo.events_of("failed", b"target")
    assert (by, confirmations, suspect_ns) == (b"peer-0", 1, took)
    assert (row[0], row[5]) == (b"target", wire.STATE_DEAD)


def test_a_failure_is_told_on_as_this_nodes_own_claim() -> None:
    solo, target = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    fails_after(solo, target)
    solo.forget()
    solo.run_for(400 * MILLISECOND)
    (body,) = {tuple(sorted(message.body.items())) for message in solo.messages("dead")}
    assert dict(body) == {"Node": "target", "Incarnation": 1, "From": "self"}


def test_an_alive_with_a_newer_incarnation_ends_the_suspicion() -> None:
    solo, target = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    solo.run_for(2 * SECOND)
    solo.hear(target.alive(2), source=target)
    assert solo.state(b"target") == "alive"
    solo.run_for(60 * SECOND)
    assert solo.state(b"target") == "alive"
    assert solo.kinds(ignoring=("joined", "state"))[:2] == ["suspected", "refuted"]


def test_a_new_suspicion_is_not_cut_short_by_the_timer_of_the_old_one() -> None:
    solo, target = five_nodes()
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    solo.run_for(20 * SECOND)
    solo.hear(target.alive(2), source=target)
    solo.hear(wire.suspect(b"target", 2, b"peer-1"))
    assert fails_after(solo, target) == 24 * SECOND


def test_a_suspicion_keeps_the_size_of_the_pool_it_began_with() -> None:
    solo = Solo.start()
    target = solo.member("target")
    solo.hear(wire.suspect(b"target", 1, b"peer-0"))
    solo.members(20)
    assert fails_after(solo, target) == 4 * SECOND


# Accused itself.


def own_claims(solo: Solo) -> list[tuple[int, bytes]]:
    """The incarnations this node told of itself, each once, with the metadata."""
    claims = [claim for claim in solo.messages("alive") if claim["Node"] == "self"]
    return sorted({(claim["Incarnation"], claim["Meta"] or b"") for claim in claims})


@pytest.mark.parametrize("accusation", [wire.suspect, wire.dead])
@pytest.mark.parametrize(("accused", "after"), [(1, 2), (2, 3), (700, 701)])
def test_an_accusation_is_refuted_with_the_next_incarnation(
    accusation: type, accused: int, after: int
) -> None:
    solo = Solo.start(meta=b"mine")
    solo.member("peer")
    solo.hear(accusation(b"self", accused, b"peer"))
    assert (solo.state(b"self"), solo.incarnation()) == ("alive", after)
    assert solo.swim.health_score == 1
    solo.run_for(900 * MILLISECOND)
    assert (after, b"mine") in own_claims(solo)


def test_an_old_accusation_is_not_worth_an_answer() -> None:
    solo = Solo.start()
    solo.hear(wire.suspect(b"self", 5, b"peer"))
    solo.hear(wire.suspect(b"self", 5, b"other"), wire.dead(b"self", 4, b"x"))
    assert (solo.incarnation(), solo.swim.health_score) == (6, 1)


def test_somebody_elses_claim_to_be_us_with_our_address_is_refuted() -> None:
    solo = Solo.start()
    me = Puppet(b"self", bytes((10, 0, 0, 1)))
    solo.hear(me.alive(4))
    assert solo.incarnation() == 5


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({"meta": b"mine"}, 1),
        ({"meta": b"not mine"}, 2),
        ({"meta": b"mine", "vsn": bytes((1, 4, 2, 0, 0, 0))}, 2),
    ],
)
def test_an_equal_incarnation_is_refuted_only_when_it_says_something_else(
    changes: dict[str, bytes], after: int
) -> None:
    solo = Solo.start(meta=b"mine")
    me = Puppet(b"self", bytes((10, 0, 0, 1)), meta=b"mine")
    solo.hear(me.alive(1, **changes))
    assert solo.incarnation() == after


def test_no_metadata_and_empty_metadata_are_the_same() -> None:
    solo = Solo.start(meta=b"")
    me = Puppet(b"self", bytes((10, 0, 0, 1)))
    solo.hear(me.alive(1, meta=None), me.alive(1, meta=b""))
    assert solo.incarnation() == 1


def test_a_refutation_does_not_displace_the_queued_claim() -> None:
    """It is queued under the node's address, not its name (a quirk of memberlist, protocol §14)."""
    solo = Solo.start()
    solo.hear(wire.suspect(b"self", 1, b"x"))
    solo.member("peer")
    solo.run_for(900 * MILLISECOND)
    assert [incarnation for incarnation, _ in own_claims(solo)] == [1, 2]


def test_a_later_refutation_takes_the_place_of_the_earlier_one() -> None:
    solo = Solo.start()
    solo.hear(wire.suspect(b"self", 1, b"x"), wire.suspect(b"self", 2, b"x"))
    solo.member("peer")
    solo.run_for(900 * MILLISECOND)
    assert [incarnation for incarnation, _ in own_claims(solo)] == [1, 3]


def test_a_restarted_node_learns_its_old_incarnation_and_goes_over_it() -> None:
    """Protocol §19.5: the reply to its join says it is dead at 7."""
    solo = Solo.start()
    seed = solo.puppet("seed", dialled="accept")
    me = wire.push_node(b"self", bytes((10, 0, 0, 1)), 7946, 7, wire.STATE_DEAD)
    seed.serve = lambda data: wire.push_pull([seed.entry(), me], join=True)
    solo.swim.join(seed.ip, seed.port, seed.name, solo.now)
    solo.collect()
    solo.run_for(100 * MILLISECOND)
    assert (solo.incarnation(), solo.state(b"self")) == (8, "alive")
    assert solo.state(b"seed") == "alive"
    assert solo.now < EPOCH + SECOND
