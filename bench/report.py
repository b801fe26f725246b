"""docs/performance.md and its pictures, from a run: `python -m bench.report`.

Runs all benchmarks first; with `--last-run` it takes what the last run left in build/bench.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import Figures

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "build" / "bench" / "figures.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "pictures"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WIDTH, LABELS, ROW = 720, 230, 26


def run_all() -> None:
    """Misses do not stop the report: the page shows them."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "python_files=bench_*.py", "--all-targets", "bench"],
        cwd=ROOT,
        check=False,
    )


def bars(name: str, title: str, unit: str, values: Mapping[str, float]) -> str:
    """Writes a picture of horizontal bars; gives the line of Markdown that shows it."""
    most = max(values.values())
    height = ROW * (len(values) + 1) + 14
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" font-weight="bold">{title}</text>',
    ]
    for row, (label, value) in enumerate(values.items(), start=1):
        top, length = ROW * row + 4, (WIDTH - LABELS - 110) * value / most
        lines += [
            f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{label}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="18" fill="#3b6ea5"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">{value:,.3g} {unit}</text>',
        ]
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}.svg").write_text("\n".join([*lines, "</svg>", ""]))
    return f"![{title}](pictures/{name}.svg)"


def microseconds(values: Mapping[str, float]) -> dict[str, float]:
    return {label: value / 1000 for label, value in values.items()}


def swarm(runs: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    phases = {
        "joined_cpu": "until all see all",
        "rest_cpu": "a second at rest",
        "death_cpu": "until all see a death",
    }
    return {
        f"{phase}, {who}": run[name] for name, phase in phases.items() for who, run in runs.items()
    }


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    day = time.strftime("%Y-%m-%d", time.localtime(FIGURES.stat().st_mtime))
    return (
        f"Measured on {day}: {model}, Linux {platform.release()}, "
        f"CPython {platform.python_version()}; node on one core, load generator on another."
    )


def pictures(extra: Mapping[str, Any]) -> list[str]:
    order = ("C, bare echo", "C", "uvloop, all envelopes", "asyncio, all envelopes", "asyncio")
    ping = {name: extra["ping"][name] for name in order}
    ping |= {name: cost for name, cost in extra["ping"].items() if name.startswith("Go")}
    known = {
        f"{int(size):,} members": cost for size, cost in extra["core_known_by_members"].items()
    }
    merge = {
        f"{int(size):,} members": cost
        for size, cost in sorted(extra["merge_by_members"].items(), key=lambda each: int(each[0]))
    }
    claims = {
        f"{kind} claims, {int(size):,} members, {who}": cost
        for kind in ("known", "new")
        for size, costs in extra[f"claims_{kind}"].items()
        for who, cost in costs.items()
    }
    return [
        bars("ping", "Processor time of one ping and its ack", "us", microseconds(ping)),
        bars(
            "claims", "A ping with five alives, until the node is idle", "us", microseconds(claims)
        ),
        bars("members", "The core alone: a ping with five known alives", "ns", known),
        bars("envelopes", "The core alone: a ping, by envelope", "ns", extra["envelopes"]),
        bars("merge", "Merge of a whole table, a member", "ns", merge),
        bars("memory", "Memory of 100,000 members, a member", "bytes", extra["memory"]),
        bars(
            "busy_ping",
            "A ping beside a thread that burns CPU, median",
            "us",
            microseconds({f'driver="{name}"': cost for name, cost in extra["busy"].items()}),
        ),
        bars("swarm", "100 nodes in one process: processor time", "s", swarm(extra["swarm"])),
    ]


def main() -> None:
    if "--last-run" not in sys.argv[1:]:
        run_all()
    run: dict[str, Any] = json.loads(FIGURES.read_text())
    figures = Figures()
    figures.load(run)
    absent = [f"Not measured: {figures.targets[name].what}." for name in figures.absent()]
    shown = "\n\n".join(pictures(run["extra"]))
    body = "\n\n".join([BEGIN, machine(), "\n".join(figures.table()), *absent, shown, END])
    page = PAGE.read_text()
    PAGE.write_text(page[: page.index(BEGIN)] + body + page[page.index(END) + len(END) :])


if __name__ == "__main__":
    main()
