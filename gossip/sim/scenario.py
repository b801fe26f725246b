"""Scenarios as data: a small TOML form of what is done to a simulated cluster, and when.

nodes = 5
serf = true                     # `Node`s; else they are `Memberlist`s
[settings]                      # of `gossip.Config`, or of `gossip.NodeConfig`; optional
suspicion_mult = 5
tags = {role = "web"}
[network]                       # as `Simulation.network`; optional
loss = 0.05
[[steps]]
at = 10                         # seconds after the cluster agreed
do = "partition"                # a method of `Simulation`, or of the `SimulatedNode` `node`
groups = [[0, 1], [2, 3, 4]]
[[steps]]
at = 30
do = "send_event"
node = 1
name = "deploy"
payload = "7"
[[steps]]
at = 60
do = "heal"
[[steps]]
at = 120
do = "query"
node = 0
name = "uptime"
relay_factor = 3
[answers]                       # what each node answers to queries of that name; optional
uptime = "3 days"
[expect]
within = 120                    # seconds after the last step
agreed = true
delivered = true                # each user event once at each node that is up and was all along
answers = {uptime = 5}          # so many nodes answered the queries of that name
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from typing import Any

from gossip.config import Config
from gossip.errors import GossipError
from gossip.events import Event, QueryReceived
from gossip.node_config import NodeConfig
from gossip.sim.serf import Query
from gossip.sim.simulation import NotSo, Simulation

# What a step may do, and which keys it has beside `at` and `do`.
OF_CLUSTER = {
    "partition": ("groups",),
    "block": ("sources", "targets"),
    "heal": (),
    "network": ("loss", "delay", "duplicates"),
    "pause": ("node", "seconds"),
    "crash": ("node",),
    "restart": ("node",),
}
OF_NODE = {
    "leave": ("node",),
    "update_meta": ("node", "meta"),
    "broadcast": ("node", "payload"),
    "join": ("node", "other", "replay"),
}
OF_SERF = {
    "send_event": ("node", "name", "payload", "coalesce"),
    "query": ("node", "name", "payload", "nodes", "tags", "ack", "relay_factor", "timeout"),
    "set_tags": ("node", "tags"),
    "force_leave": ("node", "name", "prune"),
}
AS_BYTES = {"meta", "payload"}
# Where a step may have them it must. Who asks for something is node 0 where nobody is named.
NEEDED = {"other", "groups", "sources", "targets", "seconds", "meta"}


class ScenarioError(GossipError, ValueError):
    """A scenario that cannot be played; the text names every fault."""


@dataclass(frozen=True)
class Step:
    at: float
    do: str
    given: dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    nodes: int
    serf: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    within: float = 120.0
    agreed: bool = True
    delivered: bool = False
    answered: dict[str, int] = field(default_factory=dict)

    def config(self) -> Config:
        return NodeConfig(**self.settings) if self.serf else Config(**self.settings)


KEYS = {"nodes", "serf", "settings", "network", "steps", "answers", "expect"}
EXPECTED = {"within", "agreed", "delivered", "answers"}


def load(text: str) -> Scenario:
    """Reads a scenario; raises `ScenarioError` that names what is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario: {error}") from None
    expect, serf, nodes = data.get("expect", {}), data.get("serf", False), data.get("nodes")
    problems = [f"scenario: unknown {key!r}" for key in data.keys() - KEYS]
    known = {
        "settings": {each.name for each in fields(NodeConfig if serf else Config)},
        "network": set(OF_CLUSTER["network"]),
        "expect": EXPECTED,
    }
    for part, keys in known.items():
        unknown = data.get(part, {}).keys() - keys
        problems += [f"scenario: {part} has no {key!r}" for key in unknown]
    if not isinstance(nodes, int) or nodes < 1:
        problems.append("scenario: `nodes` is missing: how many there are, 1 or more")
        nodes = 0
    steps = []
    for step in data.get("steps", []):
        problems += step_problems(step, nodes, serf)
        given = {key: value for key, value in step.items() if key not in ("at", "do")}
        steps.append(Step(float(step.get("at", 0)), step.get("do", ""), given))
    if problems:
        raise ScenarioError("; ".join(problems))
    return Scenario(
        data["nodes"],
        serf,
        data.get("settings", {}),
        data.get("network", {}),
        tuple(sorted(steps, key=lambda step: step.at)),
        data.get("answers", {}),
        float(expect.get("within", 120.0)),
        bool(expect.get("agreed", True)),
        bool(expect.get("delivered", False)),
        expect.get("answers", {}),
    )


def step_problems(step: dict[str, Any], nodes: int, serf: bool) -> list[str]:
    what = step.get("do", "")
    keys = {**OF_CLUSTER, **OF_NODE, **OF_SERF}.get(what)
    if keys is None:
        return [f"scenario: no step does {what!r}"]
    unknown = step.keys() - {"at", "do", *keys}
    problems = [f"scenario: {what} has no {key!r}" for key in unknown]
    needed = NEEDED | {"node"} if what in OF_CLUSTER else NEEDED
    missing = [key for key in keys if key in needed and key not in step]
    problems += [f"scenario: {what} needs {key!r}" for key in missing]
    if what in OF_SERF and not serf:
        problems.append(f"scenario: {what} needs serf = true")
    if nodes:
        wrong = [each for each in numbers(step) if each not in range(nodes)]
        problems += [f"scenario: {what}: there is no node {each!r}" for each in wrong]
    return problems


def numbers(step: dict[str, Any]) -> list[Any]:
    """Which nodes a step names by their numbers; `other` may be a name."""
    named = [step["node"]] if "node" in step else []
    if isinstance(step.get("other"), int):
        named.append(step["other"])
    lists = [*step.get("groups", []), step.get("sources", []), step.get("targets", [])]
    return named + [each for numbered in lists for each in numbered]


class Play:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._cluster = Simulation(scenario.nodes, seed=seed, config=scenario.config())
        self._queries: list[Query] = []

    def run(self) -> str:
        """Gives what the nodes hold in the end and the trace. Raises `NotSo`."""
        cluster, scenario = self._cluster, self._scenario
        for node in cluster.nodes:
            node.on_event(self._answer)
        cluster.start()
        if scenario.network:
            cluster.network(**scenario.network)
        began = cluster.now
        for step in scenario.steps:
            cluster.advance(max(0.0, began + step.at - cluster.now))
            self._perform(step)
        after = self._expect()
        lines = [
            f"{node.name}: " + ", ".join(f"{each.name} {each.status}" for each in node.members())
            for node in cluster.living
        ]
        lines += [
            f"query {query.name}: {len(query.responses())} of {query.members} answered"
            for query in self._queries
        ]
        return "\n".join([*lines, f"{after}seed {cluster.seed}, trace {cluster.trace}"])

    def _answer(self, event: Event) -> None:
        if isinstance(event, QueryReceived) and event.name in self._scenario.answers:
            event.respond(self._scenario.answers[event.name].encode())

    def _perform(self, step: Step) -> None:
        given: dict[str, Any] = {
            key: str(value).encode() if key in AS_BYTES else value
            for key, value in step.given.items()
        }
        if step.do == "partition":
            self._cluster.partition(*given["groups"])
        elif step.do in OF_CLUSTER:
            number = [given.pop("node")] if "node" in given else []
            getattr(self._cluster, step.do)(*number, **given)
        else:
            done = getattr(self._cluster[given.pop("node", 0)], step.do)(**given)
            if isinstance(done, Query):
                self._queries.append(done)

    def _expect(self) -> str:
        """Waits for what is expected; says how long it took to agree."""
        cluster, scenario, after = self._cluster, self._scenario, ""
        if scenario.agreed:
            took = cluster.wait_until(cluster.agreed, within=scenario.within)
            after = f"agreed {took:.2f} s after the last step; "
        if scenario.delivered:
            cluster.wait_until(cluster.delivered, within=scenario.within)
        cluster.wait_until(lambda: all(query.over for query in self._queries), within=86400)
        if not scenario.agreed:
            cluster.advance(scenario.within)
            if cluster.agreed():
                raise NotSo(f"the nodes agree, and should not (seed {cluster.seed})")
        for query in self._queries:
            wanted = scenario.answered.get(query.name)
            if wanted is not None and len(query.responses()) != wanted:
                text = f"{len(query.responses())} nodes answered {query.name!r}, not {wanted}"
                raise NotSo(f"{text} (seed {cluster.seed})")
        return after


def run(scenario: Scenario, seed: int) -> str:
    """Plays it; gives what the nodes hold in the end and the trace. Raises `NotSo`."""
    return Play(scenario, seed).run()
