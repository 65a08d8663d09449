"""match, round: both rounds of a map or one of them, and every player."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import ask
from bot.cli.answers.halves import round_text, show_flags
from bot.cli.answers.output import clock, console_of, minutes, show_totals, table_of, text_of
from bot.cli.common import JsonOption, ServerOption, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.stats.matches import MatchAnswer
    from bot.stats.rounds import RoundAnswer

MATCH_KEY = re.compile(r"\d{4}-\d{2}-\d{2}-\d{6}-.+", re.DOTALL)


def match_command(
    which: Annotated[str, typer.Argument(help="A match's key or file name, or a session as in `session`.")] = "last",
    position: Annotated[
        int | None, typer.Argument(min=1, help="Which match of that session; the last one if not given.")
    ] = None,
    *,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a match: both rounds of a map, its result and why, and every player."""
    from bot.stats.errors import NotFoundError
    from bot.stats.matches import match_answer
    from bot.stats.plain import plain
    from bot.stats.sessions import find_session, session_answer

    async def question(connection: AsyncConnection) -> MatchAnswer:
        if MATCH_KEY.fullmatch(which):
            return await match_answer(connection, which, server=server)
        session = await session_answer(connection, await find_session(connection, which, server=server))
        index = len(session.matches) if position is None else position
        if index > len(session.matches):
            raise NotFoundError(f"the session {which} has {len(session.matches)} matches, not {index}")
        match = session.matches[index - 1].match
        return await match_answer(connection, match.key, match_id=match.id)

    answer = ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        show_match(console_of(), answer)


def show_match(console: Console, answer: MatchAnswer) -> None:
    """Print a match."""
    match, zone = answer.match, answer.server.time_zone
    start = clock(match.started_at, zone, zone_name=True, day=True)
    console.print(text_of(f"{match.map_name},", style="bold"), text_of(f"{answer.server.name}, {start}"))
    console.print(text_of(f"key {match.key}"))
    result = {
        None: "undecided",
        "draw": "draw",
        "r1_attackers": "won by those who attacked first",
        "r2_attackers": "won by those who attacked second",
    }[match.result]
    console.print(text_of(f"{result}: {match.why.value}", style="bold" if match.result else "yellow"))
    names = {True: "1st", False: "2nd", None: "both"}
    for played in match.rounds:
        limit = "" if played.time_limit is None else f" of {minutes(played.time_limit)}"
        console.print()
        text = text_of(f"Round {played.number}: ")
        text.append_text(round_text(played, None)).append(limit)
        rows = [(f"{side_of(row.side)} {row.name}", row.totals) for row in answer.by_round.get(played.id, ())]
        show_totals(console, text, rows, per_round=True)
    if len(match.rounds) > 1 and answer.players:
        console.print()
        attack = [(f"{names[row.attacked_first]} {row.player.name}", row.totals) for row in answer.players]
        show_totals(console, "Both rounds (1st or 2nd: which attack was theirs)", attack)
    show_flags(console, match.flags)


def side_of(side: int) -> str:
    """Return a short word for a side."""
    return {1: "Ax", 2: "Al"}.get(side, "? ")


def round_command(
    which: Annotated[
        str, typer.Argument(help="last, SESSION-MATCH-ROUND such as last-3-2, a round's number, or a file's name.")
    ] = "last",
    *,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one round: how it ended, every player, his weapons, and the awards."""
    from bot.stats.plain import plain
    from bot.stats.rounds import find_round, round_answer

    async def question(connection: AsyncConnection) -> RoundAnswer:
        return await round_answer(connection, await find_round(connection, which, server=server))

    answer = ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        show_round(console_of(), answer)


def show_round(console: Console, answer: RoundAnswer) -> None:
    """Print a round."""
    played, zone = answer.round, answer.server.time_zone
    start = clock(played.started_at, zone, zone_name=True, day=True)
    console.print(
        text_of(f"{answer.map_name}, round {played.number},", style="bold"), text_of(f"{answer.server.name}, {start}")
    )
    console.print(text_of(f"{answer.selector}, {played.file_name}"))
    limit = "" if played.time_limit is None else f" of {minutes(played.time_limit)}"
    console.print(round_text(played, None).append(limit))
    for side in (1, 2):
        rows = [(row.name, row.totals) for row in answer.players if row.side == side]
        if rows:
            role = "attacked" if side == played.attackers else "defended"
            console.print()
            show_totals(console, f"{'Axis' if side == 1 else 'Allies'}, {role}", rows, per_round=True)
    if answer.awards:
        console.print()
        awards = [(text_of(item.title), text_of(item.player_name), text_of(item.text)) for item in answer.awards]
        console.print(table_of(console, "Awards", ["Award", "Player", "Value"], awards))
    show_flags(console, played.flags)
