"""The simulated game server from the command line: fill a folder, keep playing into it, serve it over SFTP.

python -m tools.simulate gamestats --rounds 200
python -m tools.simulate gamestats --rounds 200 --serve 2022 --every 60 --slow 5
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tools.simulate.backlog import moved, write_backlog, write_file, write_played
from tools.simulate.evenings import play_evenings
from tools.simulate.hazards import DEFAULT_HAZARDS, Hazards
from tools.simulate.sftp_server import SimulatedSftpServer, write_slowly
from tools.simulate.truth import PlayedRound
from tools.simulate.writer import LAYOUTS

_LIVE_NUMBER = 1_000_000
_STEPS = 10


class Newline(StrEnum):
    """The line ends of the written files."""

    CRLF = "crlf"
    LF = "lf"


class Trouble(StrEnum):
    """How much goes wrong on the server."""

    NONE = "none"
    SOME = "some"
    MUCH = "much"


_NEWLINES = {Newline.CRLF: "\r\n", Newline.LF: "\n"}
_HAZARDS = {Trouble.NONE: Hazards.none(), Trouble.SOME: Hazards(), Trouble.MUCH: Hazards.hostile()}


def _layout(value: str) -> int | None:
    if value == "by-date":
        return None
    if not value.isdigit() or int(value) not in LAYOUTS:
        raise typer.BadParameter(f"one of {', '.join(map(str, LAYOUTS))}, by-date")
    return int(value)


async def _write_live(folder: Path, played: PlayedRound, slow: float) -> None:
    """Write a round that ends now, whole or bit by bit as a slow disk shows it to a reader."""
    if slow > 0:
        await write_slowly(folder / played.name, played.data, step=-(-len(played.data) // _STEPS), delay=slow / _STEPS)
    else:
        write_file(folder, played.name, played.data, played.written_at, None)
    for file in played.beside:
        write_file(folder, file.name, file.data, file.written_at, None)


async def keep_playing(
    folder: Path,
    seed: int,
    *,
    every: float,
    slow: float = 0.0,
    layout: int | None = 38,
    newline: str = "\r\n",
    milliseconds: bool = False,
    hazards: Hazards = DEFAULT_HAZARDS,
    zone: ZoneInfo | None = None,
    say: Callable[[str], None] | None = typer.echo,
) -> None:
    """One more round every so many seconds, each written as if it had just ended, for ever.

    `slow` is how many seconds the writing of a file takes; a reader sees it half written meanwhile. `zone` is that of
    the server's clock; this machine's where there is none.
    """
    today = datetime.now(zone).date()
    evenings = play_evenings(
        seed,
        first_evening=today,
        layout=layout,
        newline=newline,
        milliseconds=milliseconds,
        hazards=hazards,
        first_number=_LIVE_NUMBER,
    )
    for number in count(1):
        await asyncio.sleep(every)
        played = next(evenings)
        now = datetime.now(zone).replace(microsecond=0, tzinfo=None)
        played = moved(played, now - played.written_at)
        await _write_live(folder, played, slow)
        if say is not None:
            say(f"{number}: {played.name}")


def _fill(
    folder: Path,
    seed: int,
    rounds: int | None,
    evenings: int | None,
    first_evening: datetime | None,
    last_evening_end: datetime | None,
    layout: int | None,
    newline: str,
    milliseconds: bool,
    hazards: Hazards,
) -> int:
    """Write the rounds that lie in the past; how many there are."""
    if first_evening is None and evenings is None:
        yesterday = datetime.now() - timedelta(days=1)  # noqa: DTZ005 - the server's own clock
        end = last_evening_end or yesterday.replace(hour=23, minute=40, second=0)
        return len(
            write_backlog(
                folder,
                seed,
                rounds or 0,
                last_evening_end=end,
                layout=layout,
                newline=newline,
                milliseconds=milliseconds,
                hazards=hazards,
            )
        )
    start = first_evening.date() if first_evening else date(2025, 1, 1)
    number = 0
    for played in play_evenings(
        seed,
        evenings=evenings,
        rounds=rounds,
        first_evening=start,
        layout=layout,
        newline=newline,
        milliseconds=milliseconds,
        hazards=hazards,
    ):
        write_played(folder, played)
        number += 1
    return number


def main(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made if it is not there.")],
    *,
    rounds: Annotated[int | None, typer.Option(min=0, help="How many round files to write.")] = None,
    evenings: Annotated[int | None, typer.Option(min=0, help="How many evenings to play.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same evenings.")] = 1,
    layout: Annotated[str, typer.Option(help="Tab fields per line: 33, 36, 37, 38, or by-date.")] = "38",
    newline: Annotated[Newline, typer.Option(help="Line ends of the files.")] = Newline.CRLF,
    milliseconds: Annotated[bool, typer.Option(help="Write the newer header with the round's milliseconds.")] = False,
    trouble: Annotated[Trouble, typer.Option(help="How much goes wrong on the server.")] = Trouble.SOME,
    first_evening: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the first evening.")
    ] = None,
    last_evening_end: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M"], help="End of the last evening; last night at 23:40 if not said."),
    ] = None,
    serve: Annotated[int | None, typer.Option(min=0, help="Serve the folder over SFTP on this port (0: any).")] = None,
    user: Annotated[str, typer.Option(help="Who may log in.")] = "et",
    password: Annotated[
        str | None, typer.Option(envvar="SIMULATED_SFTP_PASSWORD", help="The user's password; made up if not said.")
    ] = None,
    every: Annotated[float | None, typer.Option(min=0.01, help="Play one more round every so many seconds.")] = None,
    slow: Annotated[float, typer.Option(min=0, help="Seconds that writing such a round takes.")] = 0.0,
) -> None:
    """Play believable ET:Legacy stopwatch rounds into a folder, as a game server does."""
    if rounds is None and evenings is None and serve is None and every is None:
        raise typer.BadParameter("say what to do: --rounds, --evenings, --serve or --every")
    if last_evening_end is not None and (first_evening is not None or evenings is not None):
        raise typer.BadParameter("--last-evening-end goes with --rounds alone")
    fields, line_end, hazards = _layout(layout), _NEWLINES[newline], _HAZARDS[trouble]
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    if rounds is not None or evenings is not None:
        written = _fill(
            folder, seed, rounds, evenings, first_evening, last_evening_end, fields, line_end, milliseconds, hazards
        )
    typer.echo(f"{written} rounds in {folder}")

    word = password or secrets.token_urlsafe(9)

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            if serve is not None:
                server = await stack.enter_async_context(SimulatedSftpServer(folder, port=serve, users={user: word}))
                typer.echo(f"sftp://{user}@{server.host}:{server.port}/")
                if password is None:
                    typer.echo(f"password: {word}")
                typer.echo(server.known_hosts_line, nl=False)
            if every is not None:
                await keep_playing(
                    folder,
                    seed,
                    every=every,
                    slow=slow,
                    layout=fields,
                    newline=line_end,
                    milliseconds=milliseconds,
                    hazards=hazards,
                )
            await asyncio.Event().wait()

    if serve is not None or every is not None:
        asyncio.run(run())


if __name__ == "__main__":
    typer.run(main)
