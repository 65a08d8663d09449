"""session: an evening's result, teams, matches and players."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import ask
from bot.cli.answers.halves import round_text, show_flags
from bot.cli.answers.output import clock, console_of, hours, indented, many, show_totals, table_of, text_of
from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.stats.session_list import SessionPage
    from bot.stats.sessions import SessionAnswer


def session_command(
    selector: Annotated[
        str, typer.Argument(help="last, a date such as 2025-10-26, with #2 for the second of that day, or a number.")
    ] = "last",
    *,
    recent: Annotated[bool, typer.Option("--list", help="List recent sessions instead.")] = False,
    page: Annotated[int, typer.Option(min=1, max=100_000, help="Page of the list.")] = 1,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session: result, teams, matches and players."""
    from bot.stats.plain import plain
    from bot.stats.session_list import list_sessions
    from bot.stats.sessions import find_session, session_answer

    if recent:
        _show_list(ask(lambda c: list_sessions(c, server=server, offset=20 * (page - 1), limit=20)), as_json)
        return

    async def question(connection: AsyncConnection) -> SessionAnswer:
        return await session_answer(connection, await find_session(connection, selector, server=server))

    answer = ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        show_session(console_of(), answer)


def _show_list(page: SessionPage, as_json: bool) -> None:
    from bot.stats.plain import plain

    if not page.sessions:
        fail("there are no sessions" + (" on this page" if page.total else " yet"), ExitCode.PROBLEM)
    if as_json:
        print_json(plain(page))
        return
    console = console_of()
    rows = [
        (
            item.selector,
            clock(item.started_at, item.server.time_zone, zone_name=True),
            hours(item.seconds),
            str(item.rounds),
            str(item.matches),
            text_of(item.server.name),
        )
        for item in page.sessions
    ]
    columns = ["Session", "Start", "Played", ">Rounds", ">Maps", "Server"]
    console.print(table_of(console, many(page.total, "session"), columns, rows))


def show_session(console: Console, answer: SessionAnswer) -> None:
    """Print a session."""
    zone = answer.server.time_zone
    span = f"{clock(answer.started_at, zone)} - {clock(answer.ended_at, zone, zone_name=True)}"
    console.print(text_of(f"Session {answer.day},", style="bold"), text_of(f"{answer.server.name}, {span}"))
    left_out = f", {answer.rounds_left_out} more not counted" if answer.rounds_left_out else ""
    console.print(text_of(f"{many(len(answer.matches), 'map')}, {many(answer.rounds, 'round')}{left_out}"))
    if not answer.counted:
        console.print(text_of("Not in the statistics: only bots, too few people or filler maps.", style="yellow"))
    for number, line_up in enumerate(answer.line_ups, 1):
        console.print()
        name = f"Line-up {number}: " if len(answer.line_ups) > 1 else ""
        score = f"{name}Team A {line_up.team_a.score} : {line_up.team_b.score} Team B"
        console.print(text_of(score, style="bold"))
        for team in (line_up.team_a, line_up.team_b):
            most = max((member.rounds for member in team.members), default=0)
            members = [
                member.player.name + (f" ({member.rounds})" if member.rounds < most else "") for member in team.members
            ]
            console.print(indented(f"{team.label.value}: {', '.join(members)}"))
    console.print()
    rows = []
    for item in answer.matches:
        match = item.match
        first = item.attacked_first
        second = None if first is None else first.other
        points = "" if item.points_a is None else f"{item.points_a}:{item.points_b}"
        winner = "draw" if match.result == "draw" else item.winner.value if item.winner else ""
        if match.result is None:
            winner = "orphan" if match.status == "orphan" else "undecided"
        rows.append(
            (
                str(match.position),
                text_of(match.map_name),
                round_text(match.round_1, first),
                round_text(match.round_2, second),
                text_of(winner or match.result or "", style="" if match.result else "yellow"),
                points,
            )
        )
    console.print(table_of(console, "Matches", [">#", "Map", "Round 1", "Round 2", "Winner", ">A:B"], rows))
    if answer.players:
        console.print()
        show_totals(console, "Players, most valuable first", [(p.player.name, p.totals) for p in answer.players])
    show_flags(console, answer.flags)
