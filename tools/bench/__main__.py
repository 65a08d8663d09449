"""Measure: `python -m tools.bench`, or `make bench`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools.bench import fetching, importing, mirroring, steady, web
from tools.bench.environment import Environment
from tools.bench.material import STANDARD_FILES
from tools.bench.measure import Comparison, MeasureError, Outcome, compare
from tools.bench.report import append_history, busy, print_outcome, summary


class Group(StrEnum):
    """What can be measured alone."""

    FETCH = "fetch"
    PARSE = "parse"
    IMPORT = "import"
    POLL = "poll"
    START = "start"
    IDLE = "idle"
    MIRROR = "mirror"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. `names` is the size of the large folder, `idle_seconds` how long to watch."""

    only: tuple[str, ...] = tuple(Group)
    runs: int = 5
    files: int = STANDARD_FILES
    names: int = fetching.MANY_NAMES
    idle_seconds: float = 15.0
    long: bool = False


async def comparisons(environment: Environment, options: Options) -> list[Comparison]:
    """Return every comparison that was asked for."""
    files, found = options.files, []
    if Group.FETCH in options.only:
        found += await fetching.comparisons(environment, files, many=options.names, whole=options.long)
    if Group.PARSE in options.only:
        found.append(importing.parse(environment, files))
    if Group.IMPORT in options.only:
        found += await importing.imports(environment, files, whole=options.long)
        found.append(await importing.backlog(environment, files))
    if Group.POLL in options.only:
        found += await steady.polls(environment, [files, options.names])
    if Group.START in options.only:
        found.append(steady.start())
    if Group.IDLE in options.only:
        found.append(await steady.idle(environment, files, options.idle_seconds))
    if Group.MIRROR in options.only:
        found += mirroring.comparisons(environment, min(files, mirroring.OBJECTS))
    if Group.WEB in options.only:
        found += web.comparisons(environment, files, whole=options.long)
    return found


async def measure(options: Options, output: Path, console: Console) -> list[Outcome]:
    """Measure what was asked for, print each comparison when it is done, and append all of it to the history.

    Raises:
        MeasureError: ours failed.
    """
    began, load = datetime.now(UTC), os.getloadavg()[0]
    outcomes: list[Outcome] = []
    try:
        async with Environment(output) as environment:
            for comparison in await comparisons(environment, options):
                with console.status(comparison.title) as status:
                    outcome = await compare(
                        comparison,
                        options.runs,
                        lambda who, run, runs, title=comparison.title: status.update(  # type: ignore[misc]
                            f"{title}: {who}, run {run} of {runs}"
                        ),
                    )
                outcomes.append(outcome)
                print_outcome(outcome, console)
    finally:
        if outcomes:
            path = append_history(output, outcomes, began=began, options=asdict(options), load_before=load)
            console.print(summary(outcomes), highlight=False)
            if (warning := busy(load)) is not None:
                console.print(warning, style="yellow", highlight=False)
            console.print(f"appended to {path}", highlight=False)
    return outcomes


def main(
    only: Annotated[
        str, typer.Option(help=f"What to measure, separated by commas: {','.join(Group)}. All if not given.")
    ] = "",
    runs: Annotated[int, typer.Option(min=1, help="How often each contender runs.")] = 5,
    files: Annotated[int, typer.Option(min=1, help="How many files; targets in seconds are about 3,253.")] = (
        STANDARD_FILES
    ),
    names: Annotated[int, typer.Option(min=1, help="How many names the large folder has.")] = fetching.MANY_NAMES,
    idle_seconds: Annotated[float, typer.Option(min=0.1, help="How long an idle process is watched.")] = 15.0,
    long: Annotated[
        bool,
        typer.Option(
            "--long", help="Also what takes long: 30,000 files, slow tools with all files, a million player rounds."
        ),
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for the history and the files to measure with.")] = Path(
        "bench-output"
    ),
) -> None:
    """Measure each of our numbers beside its limit or beside another tool, in the same run."""
    wanted = tuple(part.strip() for part in only.split(",") if part.strip()) or tuple(Group)
    if unknown := [part for part in wanted if part not in tuple(Group)]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(Group)}", param_hint="--only")
    options = Options(wanted, runs, files, names, idle_seconds, long)
    # Wide enough for every column also where the output is no terminal.
    console = Console() if Console().is_terminal else Console(width=160)
    try:
        asyncio.run(measure(options, output, console))
    except MeasureError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
