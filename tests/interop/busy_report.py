"""The picture and the table of README's "Survives a busy interpreter", from a run of half a minute:
`python -m tests.interop.busy_report`. Needs the peers of the interop tests (peers/build.sh).
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gossip
from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN

ROOT = Path(__file__).resolve().parents[2]
PICTURE = "docs/pictures/busy.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BEFORE, HELD, AFTER = 3.0, 20.0, 7.0

POOLS = {
    'driver="thread", among Go nodes': Shape(go=3, python=2, timings=LAN, driver="thread"),
    'driver="asyncio", among Go nodes': Shape(go=3, python=2, timings=LAN),
    "kinship 0.4.0, among its own": Shape(kinship=4, timings=LAN),
}
STATES = {
    "joined": "alive",
    "refuted": "alive",
    "suspected": "suspect",
    "failed": "failed",
    "gone": "failed",
}
COLOURS = {"alive": "#4f9d69", "suspect": "#e3a33b", "failed": "#c0453b"}


@dataclass(frozen=True)
class Sight:
    """What one peer holds the busy node for: (seconds since the hold began, state), in order."""

    peer: str
    changes: list[tuple[float, str]]

    def segments(self) -> Iterator[tuple[float, float, str]]:
        starts = [(-BEFORE, "alive"), *self.changes]
        ends = [at for at, _ in self.changes] + [HELD + AFTER]
        for (start, state), end in zip(starts, ends, strict=True):
            yield start, end, state

    def first(self, *states: str) -> float | None:
        return next((at for at, state in self.changes if state in states), None)


async def watch(shape: Shape) -> list[Sight]:
    async with Pool(shape) as pool:
        await pool.join_all(twice=shape.kinship == 0)
        busy = (pool.python + pool.kinship)[0]
        began = time.monotonic()
        await busy.hold_the_gil(HELD)
        await pool.none_sees(until=began + HELD + AFTER)
        return [sight(peer, busy, began) for peer in pool.others(busy)]


def sight(peer: Node, busy: Node, began: float) -> Sight:
    changes: list[tuple[float, str]] = []
    for event in peer.events:
        if event.at < began or event.kind not in STATES or event["name"] != busy.name:
            continue
        state, before = STATES[event.kind], changes[-1][1] if changes else "alive"
        # Go tells of its failed probes, also where the verdict was already known.
        if state != before and (state, before) != ("suspect", "failed"):
            changes.append((event.at - began, state))
    return Sight(peer.name.replace("python", "ours"), changes)


def picture(pools: dict[str, list[Sight]]) -> str:
    left, second, row, right = 110, 20, 20, 12
    width = round(left + (BEFORE + HELD + AFTER) * second) + right
    lines: list[str] = []
    y = 44
    for title, sights in pools.items():
        lines.append(f'<text x="8" y="{y + 14}" font-weight="bold">{title}</text>')
        y += row + 2
        for each in sights:
            lines.append(
                f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">seen by {each.peer}</text>'
            )
            for start, end, state in each.segments():
                x, length = left + (start + BEFORE) * second, (end - start) * second
                lines.append(
                    f'<rect x="{x:.1f}" y="{y + 2}" width="{max(length, 1):.1f}" '
                    f'height="{row - 4}" fill="{COLOURS[state]}"/>'
                )
            y += row
        y += 10
    held, ends = left + BEFORE * second, left + (BEFORE + HELD) * second
    legend = "".join(
        f'<rect x="{left + 330 + 90 * place}" y="8" width="12" height="12" fill="{colour}"/>'
        f'<text x="{left + 347 + 90 * place}" y="18">{state}</text>'
        for place, (state, colour) in enumerate(COLOURS.items())
    )
    marks = [
        f'<line x1="{x}" y1="28" x2="{x}" y2="{y}" stroke="#333" stroke-dasharray="4 3"/>'
        for x in (held, ends)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 6}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{y + 6}" fill="#ffffff"/>',
            f'<text x="{held:.0f}" y="18">its GIL is held for {HELD:g} s</text>',
            legend,
            *lines,
            *marks,
            "</svg>",
            "",
        ]
    )


def seconds(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{min(known):.1f} s" if known else "never"


def table(pools: dict[str, list[Sight]]) -> list[str]:
    rows = ["| the busy node | suspected after | held failed after | alive again after |"]
    rows.append("|---|---|---|---|")
    for title, sights in pools.items():
        back = [
            at
            for each in sights
            if each.first("failed") is not None
            for at, state in each.changes[-1:]
            if state == "alive"
        ]
        again = f"{max(back):.1f} s" if back else "it always was"
        suspected = seconds([each.first("suspect") for each in sights])
        failed = seconds([each.first("failed") for each in sights])
        rows.append(f"| {title} | {suspected} | {failed} | {again} |")
    return rows


def machine() -> str:
    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    kernel = platform.release().split("-")[0]
    day = time.strftime("%Y-%m-%d")
    cores, version = os.cpu_count(), platform.python_version()
    return f"Measured on {day}: {model}, {cores} cores, Linux {kernel}, CPython {version}."


async def measured() -> dict[str, list[Sight]]:
    sights = await asyncio.gather(*map(watch, POOLS.values()))
    return dict(zip(POOLS, sights, strict=True))


def main() -> None:
    os.environ["PYTHONPATH"] = str(Path(gossip.__file__).parents[1])  # the nodes see what this does
    pools = asyncio.run(measured())
    (ROOT / PICTURE).write_text(picture(pools))
    shown = f"![The state of the busy node, as its peers saw it]({PICTURE})"
    body = "\n\n".join([BEGIN, "\n".join(table(pools)), shown, machine(), END])
    page = (ROOT / "README.md").read_text()
    page = page[: page.index(BEGIN)] + body + page[page.index(END) + len(END) :]
    (ROOT / "README.md").write_text(page)


if __name__ == "__main__":
    main()
