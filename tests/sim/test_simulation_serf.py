"""The simulated cluster of Serf nodes that users get: events, queries, tags, leaving, keys."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gossip import (
    ArgumentError,
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    Memberlist,
    MemberReaped,
    MemberUpdated,
    MessageReceived,
    Node,
    NodeConfig,
    QueryReceived,
    StateError,
    Status,
    UserEvent,
)
from gossip.reports import KeyReport
from gossip.sim import NotSo, SimulatedNode, Simulation, scenario
from gossip.sim.keys import KeyCall

from .serf_run import a_serf_day

Factory = Callable[..., Simulation]

ROOT = Path(__file__).resolve().parents[2]
KEY, OTHER_KEY = bytes(range(16)), bytes(range(32))


def printed_trace(seed: int, hash_seed: str) -> str:
    """The same day in a fresh process."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    environment["PYTHONPATH"] = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)])
    command = [sys.executable, "-m", "tests.sim.serf_run", str(seed)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=250, check=True
    )
    return run.stdout.strip()


def answer_all(cluster: Simulation) -> None:
    """Each node answers each query with its name."""

    def answering(node: SimulatedNode) -> Callable[[Event], None]:
        def answer(event: Event) -> None:
            if isinstance(event, QueryReceived):
                event.respond(node.name.encode())

        return answer

    for node in cluster.nodes:
        node.on_event(answering(node))


MemberEvent = MemberJoined | MemberLeft | MemberFailed | MemberUpdated | MemberReaped


def told(node: SimulatedNode, kind: type[MemberEvent], name: str) -> int:
    """How often a node was told something of that kind about a member."""
    return sum(event.member.name == name for event in node.events if isinstance(event, kind))


def ended(cluster: Simulation, call: KeyCall) -> KeyReport:
    """What came of a change of the keys."""
    cluster.wait_until(lambda: call.over, within=30)
    return call.report()


def test_a_seed_gives_the_same_trace_here_and_in_processes_with_other_hash_seeds() -> None:
    trace = a_serf_day(7)
    assert trace == a_serf_day(7)
    assert trace == printed_trace(7, "1") == printed_trace(7, "2")
    assert trace != a_serf_day(8)


def test_what_is_told_is_part_of_the_trace() -> None:
    traces = set()
    for payload in (b"one", b"two"):
        cluster = Simulation(1, seed=1, config=NodeConfig.lan())
        cluster.start()
        cluster[0].send_event("deploy", payload)  # nothing of it is sent to anybody
        cluster.advance(1)
        traces.add(cluster.trace)
    assert len(traces) == 2


def test_an_event_is_told_to_all_once_its_sender_included(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(6, config=NodeConfig.lan())
    cluster.network(loss=0.1, duplicates=0.2)
    ltimes = [node.send_event("deploy", node.name.encode()) for node in cluster.nodes]
    assert ltimes == [1] * 6
    assert not cluster.delivered()
    cluster.wait_until(cluster.delivered, within=120)
    cluster.advance(60)
    assert cluster.delivered()
    assert cluster[5].send_event("deploy", b"later") == 2
    for node in cluster.nodes:
        assert Counter(event.payload for event in node.heard())[b"node-3"] == 1


def test_events_of_one_name_are_merged_when_the_config_says_so(gossip_cluster: Factory) -> None:
    config = NodeConfig.lan(user_coalesce_period=3.0, user_quiescent_period=1.0)
    cluster = gossip_cluster(3, config=config)
    for number in range(4):
        cluster[0].send_event("refresh", b"%d" % number)
    cluster[0].send_event("alert", b"!", coalesce=False)
    cluster.advance(10)
    for node in cluster.nodes:
        assert [(event.name, event.payload) for event in node.heard()] == [
            ("alert", b"!"),
            ("refresh", b"3"),
        ]


def test_a_paused_node_passes_merged_events_on_when_it_runs_again(gossip_cluster: Factory) -> None:
    config = NodeConfig.lan(user_coalesce_period=3.0, user_quiescent_period=1.0)
    cluster = gossip_cluster(2, config=config)
    cluster[0].send_event("refresh")
    cluster.wait_until(lambda: cluster[1].stats()["user_events"] == 1)
    cluster.pause(1, 2.5)
    cluster.advance(2.25)
    assert [len(list(node.heard())) for node in cluster.nodes] == [1, 0]
    cluster.advance(0.5)
    assert cluster.delivered()


def test_a_query_is_answered_by_those_it_is_for(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(5, config=NodeConfig.lan(tags={"role": "web"}))
    answer_all(cluster)
    changed = cluster[4].set_tags({"role": "db"})
    cluster.wait_until(lambda: changed.over and cluster.agreed())
    everybody = cluster[0].query("uptime", ack=True, timeout=60)
    web = cluster[0].query("uptime", tags={"role": "^web$"}, nodes=[cluster[1], 4])
    assert (everybody.members, web.members) == (5, 1)
    cluster.wait_until(lambda: everybody.over and web.over, within=30)
    assert everybody.early
    assert everybody.responses() == {node.name: node.name.encode() for node in cluster.nodes}
    assert web.responses() == {"node-1": b"node-1"}
    assert {type(each).__name__ for each in everybody} == {"QueryAck", "QueryResponse"}
    assert not everybody.responses(), "they were taken"


def test_a_query_that_nobody_answers_ends_at_its_deadline(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(3, config=NodeConfig.lan())
    query = cluster[0].query("uptime", timeout=2)
    assert 1.9 < cluster.wait_until(lambda: query.over) < 2.2
    assert not query.early
    cluster.advance(1)
    (asked,) = [event for event in cluster[1].events if isinstance(event, QueryReceived)]
    with pytest.raises(StateError, match="deadline"):
        asked.respond(b"too late")
    closed = cluster[0].query("uptime", timeout=2)
    closed.close()
    assert closed.over


def test_the_answers_of_a_node_that_is_down_are_refused(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(2, config=NodeConfig.lan())
    query = cluster[0].query("uptime")
    cluster.wait_until(lambda: any(isinstance(e, QueryReceived) for e in cluster[1].events))
    (asked,) = [event for event in cluster[1].events if isinstance(event, QueryReceived)]
    cluster.crash(1)
    with pytest.raises(StateError, match="node-1 is down"):
        asked.respond(b"from the grave")
    cluster.crash(0)
    assert query.over


def test_changed_tags_are_seen_by_all(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(4, config=NodeConfig.lan(tags={"role": "web"}))
    assert cluster[0].tags == {"role": "web"}
    call = cluster[0].set_tags({"role": "db", "rack": "7"})
    cluster.wait_until(lambda: call.over and cluster.agreed())
    assert call.error is None
    for node in cluster.nodes:
        assert told(node, MemberUpdated, "node-0") == 1
        member = node.member("node-0")
        assert member is not None
        assert member.tags == {"role": "db", "rack": "7"}
    with pytest.raises(StateError, match="set_tags"):
        cluster[0].update_meta(b"raw")


def test_a_leave_is_told_as_left_and_a_crash_as_failed(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(5, config=NodeConfig.lan())
    call = cluster[1].leave()
    cluster.wait_until(lambda: call.over)
    cluster.crash(1)
    cluster.crash(2)
    rest = cluster.living
    cluster.wait_until(lambda: all(node.status(2) is Status.FAILED for node in rest))
    for node in rest:
        assert node.status(1) is Status.LEFT
        assert (told(node, MemberLeft, "node-1"), told(node, MemberFailed, "node-1")) == (1, 0)
        assert (told(node, MemberLeft, "node-2"), told(node, MemberFailed, "node-2")) == (0, 1)
    cluster[3].leave()
    with pytest.raises(StateError, match="after Leave"):
        cluster[3].join(0)


def test_a_forced_leave_makes_a_failed_member_left_and_a_pruned_one_erased(
    gossip_cluster: Factory,
) -> None:
    cluster = gossip_cluster(5, config=NodeConfig.lan())
    for number in (3, 4):
        cluster.crash(number)
    rest = cluster.living
    cluster.wait_until(
        lambda: all(node.status(3) is node.status(4) is Status.FAILED for node in rest)
    )
    forced = cluster[0].force_leave(3), cluster[0].force_leave("node-4", prune=True)
    cluster.wait_until(lambda: all(call.over for call in forced))
    cluster.wait_until(lambda: all(node.status(3) is Status.LEFT for node in rest))
    cluster.wait_until(lambda: all(node.status(4) is None for node in rest))
    for node in rest:
        assert told(node, MemberReaped, "node-4") == 1


def test_a_false_word_of_a_leave_that_only_its_speaker_heard_is_refuted_in_the_end(
    gossip_cluster: Factory,
) -> None:
    cluster = gossip_cluster(5, config=NodeConfig.lan())
    for other in range(1, 5):
        cluster.pool.engine.link(0, other, datagrams=False)
    cluster[0].force_leave(1)
    cluster.advance(40)  # nobody else heard, and push/pulls carry its time without it
    assert [node.status(1) for node in cluster.nodes] == ["leaving", *["alive"] * 4]
    cluster.heal()
    cluster.wait_until(cluster.agreed, within=60)


def test_a_member_that_was_gone_for_long_is_reaped(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(3, config=NodeConfig.lan(reap_interval=1.0, reconnect_timeout=60.0))
    cluster.crash(2)
    cluster.wait_until(lambda: told(cluster[0], MemberReaped, "node-2") == 1, within=150)
    assert told(cluster[0], MemberFailed, "node-2") == 1


def test_a_restarted_node_hears_old_events_only_with_replay(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(4, config=NodeConfig.lan())
    cluster[0].send_event("old")
    cluster.advance(20)  # until nobody gossips it any more
    for number in (2, 3):
        cluster.crash(number)
    cluster.restart(2)
    cluster.restart(3)
    cluster.advance(120)
    assert not list(cluster[3].heard())
    assert told(cluster[0], MemberJoined, "node-3") >= 1
    cluster[3].join(0, replay=True)
    cluster[0].send_event("new")
    cluster.wait_until(cluster.delivered)
    assert [event.name for event in cluster[2].heard()] == ["new"]


def test_coordinates_foretell_the_round_trips(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(6, config=NodeConfig.lan())
    cluster.network(delay=(0.020, 0.020))
    cluster.advance(120)
    distances = [cluster[0].distance(other) for other in range(1, 6)]
    assert all(each is not None and 0.03 < each < 0.05 for each in distances)
    assert cluster[1].coordinate() is not None
    call = cluster[0].ping(1)
    cluster.wait_until(lambda: call.over)
    assert call.value == pytest.approx(0.04, abs=0.001)


def test_messages_between_nodes_are_those_of_users(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(2, config=NodeConfig.lan())
    cluster[0].send(1, b"hello", reliable=True)
    cluster[0].broadcast(b"to all")
    cluster.advance(5)
    payloads = {event.payload for event in cluster[1].events if isinstance(event, MessageReceived)}
    assert payloads == {b"hello", b"to all"}


def test_the_keys_of_a_pool_are_changed_through_the_pool(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(4, config=NodeConfig.lan(key=KEY))
    keys = cluster[0].keys
    for change, key in ((keys.install, OTHER_KEY), (keys.use, OTHER_KEY), (keys.remove, KEY)):
        assert ended(cluster, change(key)).error is None
    assert list(ended(cluster, keys.list()).keys.values()) == [4]
    assert cluster.agreed()
    cluster.advance(60)
    assert not any(isinstance(event, MemberFailed) for event in cluster[1].events)


def test_a_node_without_the_key_stays_alone(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(3, config=NodeConfig.lan(key=KEY))
    keys = cluster[0].keys
    for change, key in ((keys.install, OTHER_KEY), (keys.use, OTHER_KEY), (keys.remove, KEY)):
        ended(cluster, change(key))
    cluster.crash(2)
    cluster.restart(2)  # with the first key, as its config has it
    cluster.advance(60)
    assert len(cluster[2].members()) == 1
    assert cluster[0].status(2) is Status.FAILED


def test_the_calls_of_a_node_are_not_those_of_a_memberlist(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(1)
    for call in (lambda: cluster[0].send_event("a"), lambda: cluster[0].query("a")):
        with pytest.raises(StateError, match="made with a Config: give it a NodeConfig"):
            call()
    with pytest.raises(ArgumentError, match="no node 'stranger'"):
        cluster[0].join("stranger")


def test_wrong_arguments_are_refused_as_by_a_node(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(1, config=NodeConfig.lan())
    node = cluster[0]
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: node.send_event(""), "at least one letter"),
        (lambda: node.send_event("a", bytes(600)), "exceeds configured limit"),
        (lambda: node.query("_serf_ping", b"x"), "_serf_"),
        (lambda: node.query("a", timeout=0), "86400"),
        (lambda: node.query("a", nodes="node-0"), "list of names"),
        (lambda: node.query("a", tags={"role": "("}), "pattern"),
        (lambda: node.set_tags({"a": "b" * 600}), "512"),
    ]
    for call, text in wrong:
        with pytest.raises(ArgumentError, match=text):
            call()


def test_the_calls_have_the_names_and_arguments_of_the_real_ones() -> None:
    left_out = {"timeout", "seeds"}  # nothing waits, and who is joined is a node

    def arguments(call: Callable[..., object]) -> dict[str, object]:
        found = inspect.signature(call).parameters.values()
        return {each.name: each.default for each in found if each.name not in left_out}

    real = {"send_event", "query", "set_tags", "force_leave", "coordinate", "distance"}
    for name in real:
        ours = arguments(getattr(SimulatedNode, name))
        assert ours == arguments(getattr(Node, name)), name
    for name in ("members", "member", "broadcast", "send", "update_meta", "leave", "ping"):
        assert arguments(getattr(SimulatedNode, name)) == arguments(getattr(Memberlist, name)), name


SCENARIO = """
nodes = 5
serf = true
[settings]
tags = {role = "web"}
[network]
loss = 0.05
[[steps]]
at = 5
do = "send_event"
node = 1
name = "deploy"
payload = "7"
[[steps]]
at = 10
do = "set_tags"
node = 2
tags = {role = "db"}
[[steps]]
at = 20
do = "query"
node = 0
name = "uptime"
tags = {role = "web"}
timeout = 10.0
relay_factor = 3
[[steps]]
at = 30
do = "crash"
node = 4
[[steps]]
at = 60
do = "force_leave"
name = "node-4"
[[steps]]
at = 80
do = "send_event"
name = "last"
[answers]
uptime = "3 days"
[expect]
delivered = true
answers = {uptime = 4}
"""


def test_a_scenario_has_events_tags_and_queries() -> None:
    text = scenario.run(scenario.load(SCENARIO), 3)
    assert "node-0: node-0 alive" in text
    assert text.count("node-4 left") == 4
    assert "query uptime: 4 of 4 answered" in text
    assert text == scenario.run(scenario.load(SCENARIO), 3)


def test_a_scenario_that_expects_too_much_fails() -> None:
    wrong = SCENARIO.replace("answers = {uptime = 4}", "answers = {uptime = 5}")
    with pytest.raises(NotSo, match="4 nodes answered 'uptime', not 5"):
        scenario.run(scenario.load(wrong), 3)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nodes = 3\n[[steps]]\ndo = 'send_event'", "send_event needs serf = true"),
        ("nodes = 3\n[expect]\nhappiness = 1", "expect has no 'happiness'"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused(text: str, fault: str) -> None:
    with pytest.raises(scenario.ScenarioError, match=fault):
        scenario.load(text)


def test_events_are_those_of_the_package(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(2, config=NodeConfig.lan())
    cluster[1].send_event("deploy", b"7")
    cluster.wait_until(cluster.delivered)
    assert UserEvent("deploy", b"7", 1, True) in cluster[0].events
