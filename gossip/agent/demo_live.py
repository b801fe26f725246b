"""How `gossip demo` looks on a terminal: the steps as they go, and who holds whom to be what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gossip.agent.demo_cluster import DemoNode
from gossip.agent.demo_record import Kind, Record
from gossip.agent.demo_scenario import Scenario
from gossip.agent.demo_view import KEY_WIDTH, LAST_WORDS, timers
from gossip.members import Status

MATRIX_NODES_MAX = 16
GRID_COLUMNS = 10
SPLITS_MAX = 3

STYLES: Mapping[Status | None, str] = {
    Status.ALIVE: "green",
    Status.SUSPECT: "yellow",
    Status.FAILED: "red",
    Status.LEAVING: "cyan",
    Status.LEFT: "cyan",
    None: "dim",
}
MARKS: Mapping[Status | None, str] = {
    Status.ALIVE: "\N{BULLET}",
    Status.SUSPECT: "?",
    Status.FAILED: "\N{MULTIPLICATION SIGN}",
    Status.LEAVING: "-",
    Status.LEFT: "-",
    None: "\N{MIDDLE DOT}",
}
ASCII_MARKS = {**MARKS, Status.ALIVE: "o", Status.FAILED: "x", None: "."}
LEGEND = (Status.ALIVE, Status.SUSPECT, Status.FAILED, Status.LEFT)


class LiveTable:
    """One picture, drawn again at every `refresh`; what is left at the end stays on the screen."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        self._scenario = scenario
        self._console = console
        self._marks = MARKS if console.encoding.lower().startswith("utf") else ASCII_MARKS
        self._notes: dict[str, list[Record]] = {step.key: [] for step in scenario.steps}
        self._began: Record | None = None
        self._running = ""
        self._ended: dict[str, Record] = {}
        self._last: Record | None = None
        self._live = Live(
            console=console, auto_refresh=False, get_renderable=self.picture, transient=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def refresh(self) -> None:
        self._live.refresh()

    def show(self, record: Record) -> None:
        match record.kind:
            case Kind.BEGAN:
                self._began = record
            case Kind.STEP_BEGAN:
                self._running = record.step
            case Kind.NOTED:
                self._notes[record.step].append(record)
            case Kind.STEP_DONE | Kind.STEP_FAILED:
                self._ended[record.step] = record
                self._running = ""
            case _:
                self._last = record

    # The picture.

    def picture(self) -> RenderableType:
        parts: list[RenderableType] = [*self._head(), self._steps()]
        nodes = self._scenario.cluster.all
        if len(nodes) <= MATRIX_NODES_MAX and self._console.height >= len(nodes) + 22:
            parts += [self._legend(), self._matrix(nodes)]
        else:
            parts += [self._legend(), self._grid(nodes), *self._splits(nodes)]
        if self._last is not None:
            parts += [Text(), self._closing(self._last)]
        return Group(*parts)

    def _head(self) -> list[RenderableType]:
        if self._began is None:
            return []
        title = Text.assemble(("gossip demo", "bold"), f"  {self._began.text}")
        return [title, *(Text(line, "dim") for line in timers(self._began.facts)), Text()]

    def _steps(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=False)
        table.add_column(width=KEY_WIDTH, no_wrap=True)
        table.add_column(justify="right", width=8, no_wrap=True)
        table.add_column()
        for step in self._scenario.steps:
            ended = self._ended.get(step.key)
            if step.key == self._running:
                seconds = f"{self._scenario.step_elapsed:.1f} s"
                table.add_row(Text(step.key, "bold"), seconds, step.aim)
            elif ended is None:
                table.add_row(Text(step.key, "dim"), "", Text(step.aim, "dim"))
            else:
                style = "green" if ended.kind is Kind.STEP_DONE else "bold red"
                table.add_row(Text(step.key, style), f"{ended.seconds:.2f} s", ended.text)
            for note in self._notes[step.key]:
                table.add_row("", Text(f"{note.seconds:+.2f} s", "dim"), Text(note.text, "dim"))
        return table

    def _legend(self) -> Text:
        line = Text("\n")
        for status in LEGEND:
            line.append(f"{self._marks[status]} ", STYLES[status]).append(f"{status}   ", "dim")
        return line

    def _matrix(self, nodes: Sequence[DemoNode]) -> Table:
        """A row a node: what it holds each of the others to be."""
        table = Table.grid(padding=(0, 1))
        heads = [Text(f"{each.name.rpartition('-')[2]:>2}", "dim") for each in nodes]
        table.add_row("", Text("holds", "dim"), *heads)
        for each in nodes:
            if each.condition != "up":
                table.add_row(Text(each.name, "dim"), Text(each.condition, "dim"))
                continue
            held = [each.holds(other.name) for other in nodes]
            marks = [Text(f"{self._marks[status]:>2}", STYLES[status]) for status in held]
            table.add_row(each.name, Text(each.address, "dim"), *marks)
        return table

    def _grid(self, nodes: Sequence[DemoNode]) -> Table:
        """A cell a node: what most of the others hold it to be."""
        table = Table.grid(padding=(0, 1))
        cells = []
        for each in nodes:
            status = self._held(nodes, each).most_common(1)[0][0]
            number = each.name.rpartition("-")[2]
            cells.append(Text(f"{self._marks[status]} {number}", STYLES[status]))
        for at in range(0, len(cells), GRID_COLUMNS):
            table.add_row(*cells[at : at + GRID_COLUMNS])
        return table

    def _splits(self, nodes: Sequence[DemoNode]) -> list[RenderableType]:
        """Of whom the others do not hold the same: how many hold what. Keeps its height."""
        if self._last is not None:
            return []
        lines: list[RenderableType] = []
        for each in nodes:
            held = self._held(nodes, each)
            if len(held) > 1 and len(lines) < SPLITS_MAX:
                counts = (f"{count} {status or 'unknown'}" for status, count in held.items())
                lines.append(Text(f"{each.name}: {', '.join(sorted(counts))}", "dim"))
        return lines + [Text()] * (SPLITS_MAX - len(lines))

    def _held(self, nodes: Sequence[DemoNode], of: DemoNode) -> Counter[Status | None]:
        watching = [each for each in nodes if each.condition == "up" and each is not of]
        return Counter(each.holds(of.name) for each in watching)

    def _closing(self, last: Record) -> Text:
        style = "bold green" if last.kind is Kind.DONE else "bold red"
        word = LAST_WORDS[last.kind]
        return Text.assemble((f"{word:{KEY_WIDTH}}", style), f"  {last.time:6.2f} s  {last.text}")
