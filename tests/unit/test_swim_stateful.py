"""A core and a naive model of its rules hear the same random story and must agree at every step."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sim import wire
from tests.sim.model import Fact, Model
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo

NAMES = [b"ann", b"bob", b"cid", b"dee"]
OWN = (bytes((10, 0, 0, 1)), 7946)
ADDRESSES = [(bytes((10, 0, 1, last)), 7946) for last in (1, 2)]

names = st.sampled_from([*NAMES, b"self"])
accusers = st.sampled_from([*NAMES, b"self", b"eve", b"fay"])
incarnations = st.integers(0, 6)
metas = st.sampled_from([b"", b"one", b"two"])
addresses = st.sampled_from([*ADDRESSES, OWN])

DEAD_TIME = 30 * SECOND
MEMBERSHIP = ("joined", "updated", "suspected", "refuted", "failed", "left")


class MembershipMachine(RuleBasedStateMachine):
    """Everything is told by packets and streams, and read from events and the table."""

    @initialize(reclaim=st.sampled_from([0, 3 * SECOND]), seed=st.integers(1, 1000))
    def start(self, reclaim: int, seed: int) -> None:
        self.solo = Solo.start(
            seed=seed, push_pull_interval_ns=0, dead_node_reclaim_time_ns=reclaim,
            gossip_to_the_dead_time_ns=DEAD_TIME,
        )  # fmt: skip
        for address, port in ADDRESSES:
            self.solo.puppets[address, port] = Puppet(b"any", address, port)
        # A member with this node's own address is probed there, and answers.
        self.solo.puppets[OWN] = Puppet(b"any", *OWN)
        self.model = Model(b"self", OWN, self.solo.now, reclaim)
        self.conflicts: set[tuple[bytes, bytes, int]] = set()
        self.solo.forget()

    def agree(
        self, facts: list[Fact], address: tuple[bytes, int] = OWN, *, ordered: bool = True
    ) -> None:
        """The core told what the model tells; a conflict told before may be told again or not.

        Suspicions that run out at the same moment have no order.
        """
        told = [(event[0], event[1][0]) for event in self.solo.events if event[0] in MEMBERSHIP]
        expected = [fact for fact in facts if fact[0] != "conflict"]
        assert told == expected if ordered else sorted(told) == sorted(expected)
        conflicts = [event[1][0] for event in self.solo.events if event[0] == "conflict"]
        for name in [fact[1] for fact in facts if fact[0] == "conflict"]:
            if (name, *address) not in self.conflicts:
                assert conflicts == [name]
            self.conflicts.add((name, *address))
        if not any(fact[0] == "conflict" for fact in facts):
            assert not conflicts
        self.solo.forget()

    @rule(name=names, address=addresses, incarnation=incarnations, meta=metas)
    def alive(self, name: bytes, address: tuple[bytes, int], incarnation: int, meta: bytes) -> None:
        facts = self.model.alive(name, address, incarnation, meta)
        self.solo.hear(wire.alive(name, *address, incarnation, meta))
        self.agree(facts, address)

    @rule(name=names, incarnation=incarnations, accuser=accusers)
    def suspect(self, name: bytes, incarnation: int, accuser: bytes) -> None:
        facts = self.model.suspect(name, incarnation, accuser)
        self.solo.hear(wire.suspect(name, incarnation, accuser))
        self.solo.run_for(0)
        self.agree(facts)

    @rule(name=names, incarnation=incarnations, accuser=accusers, graceful=st.booleans())
    def dead(self, name: bytes, incarnation: int, accuser: bytes, graceful: bool) -> None:
        accuser = name if graceful else accuser
        facts = self.model.dead(name, incarnation, accuser)
        self.solo.hear(wire.dead(name, incarnation, accuser))
        self.agree(facts)

    @rule(
        state=st.integers(0, 4), name=names, address=addresses, incarnation=incarnations, meta=metas
    )
    def entry(
        self, state: int, name: bytes, address: tuple[bytes, int], incarnation: int, meta: bytes
    ) -> None:
        facts = self.model.entry(state, name, address, incarnation, meta)
        entry = wire.push_node(name, *address, incarnation, state, meta)
        self.solo.dial(wire.push_pull([entry]))
        self.solo.run_for(0)
        self.agree(facts, address)

    @rule(milliseconds=st.one_of(st.integers(1, 2_000), st.sampled_from([4_000, 11_381, 24_000])))
    def pass_time(self, milliseconds: int) -> None:
        duration = milliseconds * MILLISECOND
        facts = self.model.pass_time(duration)
        self.solo.run_for(duration)
        self.agree(facts, ordered=False)

    @precondition(lambda self: not self.model.left)
    @rule(meta=metas)
    def update(self, meta: bytes) -> None:
        facts = self.model.update(meta)
        self.solo.swim.update_meta(meta, self.solo.now)
        self.solo.collect()
        self.agree(facts)

    @precondition(lambda self: not self.model.left and self.solo.now % 7 == 0)
    @rule()
    def leave(self) -> None:
        facts = self.model.leave()
        self.solo.swim.leave(self.solo.now)
        self.solo.collect()
        self.agree(facts)

    @invariant()
    def the_tables_are_the_same(self) -> None:
        rows = {row[0]: row for row in self.solo.swim.members()}
        own = rows.pop(b"self")
        assert own[6] == self.solo.swim.incarnation == self.model.incarnation
        assert wire.STATE_NAMES[own[5]] == ("left" if self.model.left else "alive")
        for name in self.model.rows.keys() - rows.keys():
            gone = self.model.rows.pop(name)
            assert gone.state in ("dead", "left"), f"{name!r} vanished"
            assert self.model.now - gone.since > DEAD_TIME, f"{name!r} was forgotten too early"
        seen = {
            name: ((row[1], row[2]), row[6], row[3], wire.STATE_NAMES[row[5]], row[7])
            for name, row in rows.items()
        }
        assert seen == {
            name: (row.address, row.incarnation, row.meta, row.state, row.since)
            for name, row in self.model.rows.items()
        }


MembershipMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestTheCoreAgreesWithTheModel = MembershipMachine.TestCase
