"""The command `python -m gossip.sim`: the random swarm, and the papers."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path

import click

from gossip.errors import GossipError
from gossip.sim import scenario, swarm, work
from gossip.sim.papers import PAPERS, prepare


@click.group()
def main() -> None:
    """Pools of the production core in virtual time."""


@main.command("swarm")
@click.option("--seeds", default=200, help="How many runs.")
@click.option("--first", default=1, help="The seed of the first run.")
@click.option("--seconds", default=300, help="Virtual seconds of a run.")
@click.option("--jobs", default=1, help="Processes.")
def swarm_command(seeds: int, first: int, seconds: int, jobs: int) -> None:
    """Random pools with random faults and all checks on. Even seeds must agree at the end."""
    run = partial(swarm.run, seconds=seconds)
    try:
        reports = list(work.each(run, range(first, first + seeds), jobs))
    except swarm.Violation as violation:
        click.echo(str(violation), err=True)
        sys.exit(1)
    if seeds == 1:
        click.echo(f"seed {first}: {reports[0].nodes} nodes, trace {reports[0].trace}")
    click.echo(swarm.summary(reports))


@main.command("paper")
@click.argument("names", type=click.Choice(list(PAPERS)), nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="The short form, as CI runs it.")
@click.option("--jobs", default=1, help="Processes.")
@click.option("--runs", type=click.IntRange(min=1), help="Lifeguard: most runs of a grid's cell.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Lifeguard: a file of finished runs, which grows; what is in it is not run again.",
)
@click.option("--pictures", type=click.Path(path_type=Path), help="A folder for the pictures.")
def paper_command(
    names: tuple[str, ...],
    quick: bool,
    jobs: int,
    runs: int | None,
    keep: Path | None,
    pictures: Path | None,
) -> None:
    """Repeats published experiments; prints their tables beside the published ones."""
    # Asked to end as by Ctrl-C: what was finished is kept, and no process stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    effort = work.Effort(quick, jobs, runs, keep)
    prepare(names, effort)
    misses: list[str] = []
    for name in names:
        result = PAPERS[name](effort)
        click.echo(result.markdown() + "\n")
        misses += result.misses
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            for picture, drawing in result.pictures.items():
                (pictures / f"{picture}.svg").write_text(drawing)
    if misses:
        click.echo("\n".join(misses), err=True)
        sys.exit(1)


@main.command("run")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--seed", default=1)
def run_command(path: Path, seed: int) -> None:
    """Runs a scenario file and prints what the nodes hold in the end."""
    try:
        click.echo(scenario.run(scenario.load(path.read_text()), seed))
    except GossipError as error:  # the file is wrong, or what it expects did not come
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
