"""Scenarios as data: a small TOML form of what is done to a simulated cluster, and when.

nodes = 5
[settings]                      # of `gossip.Config`; optional
suspicion_mult = 5
[network]                       # as `Simulation.network`; optional
loss = 0.05
[[steps]]
at = 10                         # seconds after the cluster agreed
do = "partition"                # a method of `Simulation`, or of the `SimulatedNode` `node`
groups = [[0, 1], [2, 3, 4]]
[[steps]]
at = 60
do = "heal"
[expect]
within = 120                    # seconds after the last step
agreed = true
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any

from gossip.config import Config
from gossip.errors import GossipError
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
OF_NODE = {"leave": ("node",), "update_meta": ("node", "meta"), "broadcast": ("node", "payload")}


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
    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    within: float = 120.0
    agreed: bool = True


def load(text: str) -> Scenario:
    """Reads a scenario; raises `ScenarioError` that names what is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario: {error}") from None
    problems = [f"scenario: unknown {key!r}" for key in data.keys() - KEYS]
    if not isinstance(data.get("nodes"), int):
        problems.append("scenario: `nodes` is missing: how many there are")
    steps = []
    for step in data.get("steps", []):
        problems += step_problems(step)
        given = {key: value for key, value in step.items() if key not in ("at", "do")}
        steps.append(Step(float(step.get("at", 0)), step.get("do", ""), given))
    if problems:
        raise ScenarioError("; ".join(problems))
    expect = data.get("expect", {})
    return Scenario(
        data["nodes"],
        data.get("settings", {}),
        data.get("network", {}),
        tuple(sorted(steps, key=lambda step: step.at)),
        float(expect.get("within", 120.0)),
        bool(expect.get("agreed", True)),
    )


KEYS = {"nodes", "settings", "network", "steps", "expect"}


def step_problems(step: dict[str, Any]) -> list[str]:
    keys = {**OF_CLUSTER, **OF_NODE}.get(step.get("do", ""))
    if keys is None:
        return [f"scenario: no step does {step.get('do')!r}"]
    unknown = step.keys() - {"at", "do", *keys}
    return [f"scenario: {step['do']} has no {key!r}" for key in unknown]


def perform(simulation: Simulation, step: Step) -> None:
    given = dict(step.given)
    number = given.pop("node", 0)
    if step.do == "partition":
        simulation.partition(*given["groups"])
    elif step.do in OF_NODE:
        values = (str(value).encode() for value in given.values())
        getattr(simulation[number], step.do)(*values)
    elif "node" in step.given:
        getattr(simulation, step.do)(number, **given)
    else:
        getattr(simulation, step.do)(**given)


def run(scenario: Scenario, seed: int) -> str:
    """Plays it; gives what the nodes hold in the end and the trace. Raises `NotSo`."""
    simulation = Simulation(scenario.nodes, seed=seed, config=Config(**scenario.settings))
    simulation.start()
    if scenario.network:
        simulation.network(**scenario.network)
    began = simulation.now
    for step in scenario.steps:
        simulation.advance(max(0.0, began + step.at - simulation.now))
        perform(simulation, step)
    took = None
    if scenario.agreed:
        took = simulation.wait_until(simulation.agreed, within=scenario.within)
    else:
        simulation.advance(scenario.within)
        if simulation.agreed():
            raise NotSo(f"the nodes agree, and should not (seed {seed})")
    lines = [
        f"{node.name}: " + ", ".join(f"{each.name} {each.status}" for each in node.members())
        for node in simulation.living
    ]
    after = "" if took is None else f"agreed {took:.2f} s after the last step; "
    return "\n".join([*lines, f"{after}seed {seed}, trace {simulation.trace}"])
