"""The figures of a run, and what they are held to."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = Path(__file__).parent / "targets.toml"


@dataclass(frozen=True)
class Target:
    """One row of targets.toml. Of the first three exactly one is given, or none if reported."""

    name: str
    what: str
    most: float | None = None  # a ratio
    least: float | None = None  # a ratio
    most_ns: float | None = None  # in nanoseconds, scaled by the reference loop
    gate: float | None = None  # what is held, where that is not the target itself
    sharp: bool = False  # held to the tolerance of targets.toml, whatever is asked for
    reported: bool = False

    @property
    def wanted(self) -> float | None:
        return next((x for x in (self.most, self.least, self.most_ns) if x is not None), None)

    def margin(self, value: float, limit: float) -> float:
        """By what factor a figure is on the right side of a limit; below 1 it is on the wrong."""
        return value / limit if self.least is not None else limit / max(value, 1e-9)

    def shown(self, limit: float) -> str:
        sign = ">=" if self.least is not None else "<="
        return f"{sign} {limit:,g}{' ns' if self.most_ns is not None else ''}"


@dataclass(frozen=True)
class Row:
    """A target with what was measured: `margin` is 1 where the target is just reached."""

    target: Target
    measured: str
    margin: float | None
    missed: bool

    def line(self) -> str:
        target, wanted = self.target, self.target.wanted
        limit = "" if wanted is None else target.shown(wanted)
        gate = "" if target.gate is None else target.shown(target.gate)
        margin = "" if self.margin is None else f"{self.margin:.2f}"
        margin = "> 100" if self.margin is not None and self.margin > 100 else margin
        verdict = "missed" if self.missed else "reported" if target.reported else "ok"
        return f"| {target.what} | {limit} | {self.measured} | {margin} | {gate} | {verdict} |"


class Figures:
    """What was measured so far, by the name of the target. Of several figures the best counts."""

    def __init__(self) -> None:
        document: dict[str, Any] = tomllib.loads(TARGETS.read_text())
        self.least_tolerance: float = document.pop("tolerance")
        self.tolerance = self.least_tolerance
        self.nominal_ns: float = document.pop("reference_ns")
        self.targets = {name: Target(name, **row) for name, row in document.items()}
        self.measured: dict[str, float] = {}
        self.tests: dict[str, str] = {}
        self.test = ""  # the one that runs

    def put(self, name: str, value: float, reference_ns: float | None = None) -> None:
        """One figure; with nanoseconds comes what the reference loop took beside it."""
        target = self.targets[name]
        assert (reference_ns is None) == (target.most_ns is None), name
        self.tests[name] = self.test
        if reference_ns is not None:
            value *= self.nominal_ns / reference_ns
        before = self.measured.get(name, value)
        self.measured[name] = max(before, value) if target.least else min(before, value)

    def row(self, name: str) -> Row:
        target, value = self.targets[name], self.measured[name]
        shown = f"{value:,.0f} ns" if target.most_ns is not None else f"{value:,.3g}"
        if target.wanted is None:
            return Row(target, shown, None, False)
        gate = target.wanted if target.gate is None else target.gate
        tolerance = self.least_tolerance if target.sharp else self.tolerance
        missed = not target.reported and target.margin(value, gate) < 1 - tolerance
        return Row(target, shown, target.margin(value, target.wanted), missed)

    def rows(self) -> list[Row]:
        return [self.row(name) for name in self.targets if name in self.measured]

    def absent(self) -> list[str]:
        """Targets that are held and were not measured."""
        return [
            name
            for name, target in self.targets.items()
            if not target.reported and name not in self.measured
        ]

    def table(self) -> list[str]:
        """Lines of a Markdown table."""
        head = ["| what | target | measured | margin | held at | |", "|---|---|---|---|---|---|"]
        return head + [row.line() for row in self.rows()]

    def missed(self) -> set[str]:
        """The tests that measured what was missed."""
        return {self.tests[row.target.name] for row in self.rows() if row.missed}

    def save(self, path: Path, **more: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"measured": self.measured, "tests": self.tests, **more}
        path.write_text(json.dumps(document, indent=1))

    def load(self, run: dict[str, Any]) -> None:
        """Goes on from what a run before has saved."""
        self.measured, self.tests = run["measured"], run["tests"]
