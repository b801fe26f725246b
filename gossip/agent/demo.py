"""`gossip demo`: a real cluster in one command. The options, the signals and the exit code.

What happens is in `demo_scenario`, how it looks in `demo_view` and `demo_live`.
"""

from __future__ import annotations

import asyncio
import logging

import click
from rich.console import Console

from gossip.agent.demo_live import LiveTable
from gossip.agent.demo_record import Record
from gossip.agent.demo_scenario import Scenario
from gossip.agent.demo_view import JsonLines, Lines, View

REFRESH_SECONDS = 0.1
INTERRUPTED = 130


@click.command("demo")
@click.option("--nodes", type=click.IntRange(3, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def command(context: click.Context, nodes: int, as_json: bool) -> None:
    """Run a real cluster on 127.0.0.1 and watch it join, gossip, lose a node and part with one.

    Every node has its own UDP and TCP sockets and memberlist's LAN timers. Ends by itself in less
    than 30 seconds; the exit code is 1 if a step did not come to pass.
    """
    # What a member does is on the screen already; a log line would tear the table.
    logging.getLogger("gossip").addHandler(logging.NullHandler())
    try:
        done = asyncio.run(perform(nodes, as_json))
    except KeyboardInterrupt:
        context.exit(INTERRUPTED)
    context.exit(0 if done else 1)


async def perform(nodes: int, as_json: bool) -> bool:
    """One run, shown; gives whether every step came to pass. Leaves no socket open."""
    main = asyncio.current_task()
    assert main is not None
    broken: list[OSError] = []

    def show(record: Record) -> None:
        # Also called from the tasks that read events: a closed pipe there must end the whole.
        try:
            view.show(record)
        except OSError as error:
            broken.append(error)
            main.cancel()

    scenario = Scenario(nodes, show)
    view = choose_view(scenario, as_json)
    with view:
        drawing = asyncio.create_task(draw(view))
        try:
            return await scenario.run()
        except asyncio.CancelledError:
            if broken:
                raise broken[0] from None
            scenario.interrupted()
            raise
        finally:
            drawing.cancel()
            await scenario.close()


def choose_view(scenario: Scenario, as_json: bool) -> View:
    console = Console(highlight=False)
    if as_json:
        return JsonLines()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveTable(scenario, console)
    return Lines()


async def draw(view: View) -> None:
    while True:
        view.refresh()
        await asyncio.sleep(REFRESH_SECONDS)
