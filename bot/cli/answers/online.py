"""server: who is on a game server now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.output import console_of, many, table_of, text_of
from bot.cli.common import ExitCode, JsonOption, configured_servers, fail, load, print_json, run

if TYPE_CHECKING:
    from rich.console import Console

    from bot.stats.server_status import ServerStatus


def server_command(
    name: Annotated[str | None, typer.Argument(help="Name of the game server; all of them if not given.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask the game servers who is online, on which map."""
    from bot.stats.plain import plain
    from bot.stats.server_status import ServerStatus, ServerStatuses, StatusAddress, StatusError

    found = {server.name: StatusAddress(server.host, server.game_port) for server in configured_servers(load())}
    if not found:
        fail("no game server is configured; set SSH_HOST, or run `python -m bot setup`", ExitCode.CONFIG)
    if name is not None and name not in found:
        fail(f"no game server {name!r} is configured; known: {', '.join(sorted(found))}", ExitCode.PROBLEM)
    wanted = list(found) if name is None else [name]

    async def main() -> list[ServerStatus | BaseException]:
        statuses = ServerStatuses(found)
        return await asyncio.gather(*(statuses.ask(server) for server in wanted), return_exceptions=True)

    answers = run(main)
    online = [answer for answer in answers if isinstance(answer, ServerStatus)]
    errors = [answer for answer in answers if isinstance(answer, StatusError)]
    for answer in answers:
        if not isinstance(answer, (ServerStatus, StatusError)):
            raise answer
    if as_json:
        print_json(plain(online))
    else:
        for status in online:
            show_status(console_of(), status)
    for error in errors:
        typer.echo(f"Error: {error}", err=True)
    if errors:
        raise typer.Exit(ExitCode.SERVER)


def show_status(console: Console, status: ServerStatus) -> None:
    """Print who is on a server."""
    slots = "" if status.max_players is None else f" of {status.max_players}"
    limit = "" if status.time_limit is None else f", limit {status.time_limit:g} min"
    locked = ", password needed" if status.needs_password else ""
    console.print(text_of(f"{status.title},", style="bold"), text_of(f"map {status.map_name}{limit}{locked}"))
    console.print(
        text_of(f"{many(len(status.players), 'player')}{slots}, answered in {status.round_trip * 1000:.0f} ms")
    )
    if status.players:
        rows = [(text_of(player.name), str(player.score), str(player.ping)) for player in status.players]
        console.print(table_of(console, None, ["Player", ">Score", ">Ping ms"], rows))
