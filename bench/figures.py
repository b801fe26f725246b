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
    """One row of targets.toml."""

    name: str
    what: str
    most: float | None = None  # a ratio
    least: float | None = None  # a ratio
    most_ns: float | None = None  # in nanoseconds, scaled by the reference loop
    reported: bool = False
    wanted: str = ""  # where the limit is what was reached, what was aimed at


@dataclass(frozen=True)
class Row:
    """A target with what was measured: `margin` is 1 where the target is just reached."""

    target: Target
    limit: str
    measured: str
    margin: float | None
    missed: bool


class Figures:
    """What was measured so far, by the name of the target."""

    def __init__(self) -> None:
        document: dict[str, Any] = tomllib.loads(TARGETS.read_text())
        self.tolerance: float = document.pop("tolerance")
        self.nominal_ns: float = document.pop("reference_ns")
        self.targets = {name: Target(name, **row) for name, row in document.items()}
        self.measured: dict[str, float] = {}
        self.reference_ns: dict[str, float] = {}
        self.test = ""  # that runs
        self.tests: dict[str, str] = {}  # the test of each figure

    def put(self, name: str, value: float, reference_ns: float | None = None) -> None:
        """One figure; with nanoseconds comes what the reference loop took beside it.

        Of a figure that was measured before, the better one is kept: noise only ever harms.
        """
        target = self.targets[name]
        assert (reference_ns is None) == (target.most_ns is None), name
        before = self.row(name).margin if name in self.measured else None
        old = self.measured.get(name, 0.0), self.reference_ns.get(name)
        self.measured[name] = value
        self.tests[name] = self.test
        if reference_ns is not None:
            self.reference_ns[name] = reference_ns
        now = self.row(name).margin
        if before is not None and now is not None and before > now:
            self.measured[name] = old[0]
            if old[1] is not None:
                self.reference_ns[name] = old[1]

    def row(self, name: str) -> Row:
        target, value = self.targets[name], self.measured[name]
        limit, margin, shown = "", None, f"{value:.3g}"
        if target.most_ns is not None:
            scaled = target.most_ns / self.nominal_ns  # the target as a ratio
            ratio = value / self.reference_ns[name]
            limit, margin = f"<= {scaled:.3g} ({target.most_ns:g} ns)", scaled / ratio
            shown = f"{ratio:.3g} ({value:.0f} ns)"
        elif target.most is not None:
            limit, margin = f"<= {target.most:g}", target.most / max(value, 1e-9)
        elif target.least is not None:
            limit, margin = f">= {target.least:g}", value / target.least
        if target.wanted:
            limit += f", wanted {target.wanted}"
        missed = not target.reported and margin is not None and margin < 1 - self.tolerance
        return Row(target, limit, shown, margin, missed)

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
        lines = ["| what | target | measured | margin | |", "|---|---|---|---|---|"]
        for row in self.rows():
            verdict = "missed" if row.missed else "reported" if row.target.reported else "ok"
            margin = "" if row.margin is None else f"{row.margin:.2f}"
            lines.append(
                f"| {row.target.what} | {row.limit} | {row.measured} | {margin} | {verdict} |"
            )
        return lines

    def missed(self) -> set[str]:
        """The tests that measured what was missed."""
        return {self.tests[row.target.name] for row in self.rows() if row.missed}

    def load(self, path: Path) -> dict[str, Any]:
        """Goes on with the figures of a former run; gives what else that run kept."""
        document = json.loads(path.read_text())
        self.measured = document["measured"]
        self.reference_ns = document["reference_ns"]
        self.tests = document["tests"]
        extra: dict[str, Any] = document["extra"]
        return extra

    def save(self, path: Path, extra: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "measured": self.measured,
            "reference_ns": self.reference_ns,
            "tests": self.tests,
            "extra": extra,
        }
        path.write_text(json.dumps(document, indent=1))
