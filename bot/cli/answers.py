"""session, match, player, leaderboard, export: questions about games, answered in the terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, TypeVar

import typer

from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, load, print_json, run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config import Settings
    from bot.db.engine import Database
    from bot.stats.errors import QuestionError
    from bot.stats.leaderboards import Leaderboard, Metric, Scope
    from bot.stats.matches import MatchAnswer, RoundInfo
    from bot.stats.players import PlayerAnswer
    from bot.stats.sessions import SessionAnswer, SessionPage
    from bot.stats.totals import Totals

T = TypeVar("T")

MEDIUM, WIDE = 76, 110
"""Columns of a terminal from which the tables show more, and still more."""

NARROWEST = 8
"""Letters that a column of names keeps, however narrow the terminal is."""

LONG_TEXT = "Computed as"
"""The one column whose texts go over several lines."""

MATCH_KEY = re.compile(r"\d{4}-\d{2}-\d{2}-\d{6}-.+", re.DOTALL)

PeriodOption = Annotated[
    str,
    typer.Option("--period", help="all, 30d, season, 2025, 2025-Q4, 2025-10, 2025-10-26 or 2025-10-01..2025-10-26."),
]
MapOption = Annotated[str | None, typer.Option("--map", help="Only rounds on this map.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("session")(session_command)
    app.command("match")(match_command)
    app.command("player")(player_command)
    app.command("leaderboard")(leaderboard_command)
    app.command("export")(export_command)


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database for questions alone; one that is not there is not made.

    Raises:
        DatabaseError: there is none, or it is not at this version's schema.
    """
    from bot.db import migrate
    from bot.db.engine import Database, DatabaseError

    database = Database(settings.database_url)
    try:
        if not _is_there(database):
            raise DatabaseError(f"there is no database {database.url.database} yet; `sync` or `import` makes it")
        await migrate.require_current(database)
        yield database
    finally:
        await database.close()


def _is_there(database: Database) -> bool:
    return not database.is_sqlite or database.is_memory or Path(str(database.url.database)).is_file()


def _ask(question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Run a question on the configured database; end the command with the reason where it has no answer."""
    from bot.stats.errors import QuestionError

    settings = load()

    async def main() -> T:
        async with opened_database(settings) as database, database.read() as connection:
            return await question(connection)

    try:
        return run(main)
    except QuestionError as error:
        _refuse(error)


def _refuse(error: QuestionError) -> NoReturn:
    """End the command with a question's reason, and what there is to choose from."""
    from bot.stats.errors import AmbiguousError

    if isinstance(error, AmbiguousError):
        for choice in error.choices:
            typer.echo(f"  {_choice(choice)}", err=True)
    fail(str(error), ExitCode.PROBLEM)


def _choice(choice: Any) -> str:
    from bot.stats.players import PlayerHit
    from bot.stats.sessions import SessionInfo

    if isinstance(choice, PlayerHit):
        also = "" if choice.matched in (choice.player.name, choice.player.guid) else f", also {choice.matched}"
        return f"{choice.player.guid or 'no GUID ':<8}  {_printable(choice.player.name)}{_printable(also)}"
    if isinstance(choice, SessionInfo):
        start = _clock(choice.started_at, choice.server.time_zone)
        return f"{choice.day}#{choice.number}  {start}, {choice.rounds} rounds, {choice.server.name}"
    return _printable(str(choice))


# ---------------------------------------------------------------------- session


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
    from bot.stats.sessions import find_session, list_sessions, session_answer

    if recent:
        _show_list(_ask(lambda c: list_sessions(c, server=server, offset=20 * (page - 1), limit=20)), as_json)
        return

    async def question(connection: AsyncConnection) -> SessionAnswer:
        return await session_answer(connection, await find_session(connection, selector, server=server))

    answer = _ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        _show_session(_console(), answer)


def _show_list(page: SessionPage, as_json: bool) -> None:
    from bot.stats.plain import plain

    if not page.sessions:
        fail("there are no sessions" + (" on this page" if page.total else " yet"), ExitCode.PROBLEM)
    if as_json:
        print_json(plain(page))
        return
    console = _console()
    rows = [
        (
            item.selector,
            _clock(item.started_at, item.server.time_zone, zone_name=True),
            _hours(item.seconds),
            str(item.rounds),
            str(item.matches),
            _text(item.server.name),
        )
        for item in page.sessions
    ]
    columns = ["Session", "Start", "Played", ">Rounds", ">Maps", "Server"]
    console.print(_table(console, _many(page.total, "session"), columns, rows))


def _show_session(console: Console, answer: SessionAnswer) -> None:
    zone = answer.server.time_zone
    span = f"{_clock(answer.started_at, zone)} - {_clock(answer.ended_at, zone, zone_name=True)}"
    console.print(_text(f"Session {answer.day},", style="bold"), _text(f"{answer.server.name}, {span}"))
    left_out = f", {answer.rounds_left_out} more not counted" if answer.rounds_left_out else ""
    console.print(_text(f"{_many(len(answer.matches), 'map')}, {_many(answer.rounds, 'round')}{left_out}"))
    if not answer.counted:
        console.print(_text("Not in the statistics: only bots, too few people or filler maps.", style="yellow"))
    for number, line_up in enumerate(answer.line_ups, 1):
        console.print()
        name = f"Line-up {number}: " if len(answer.line_ups) > 1 else ""
        score = f"{name}Team A {line_up.team_a.score} : {line_up.team_b.score} Team B"
        console.print(_text(score, style="bold"))
        for team in (line_up.team_a, line_up.team_b):
            most = max((member.rounds for member in team.members), default=0)
            members = [
                member.player.name + (f" ({member.rounds})" if member.rounds < most else "") for member in team.members
            ]
            console.print(_indented(f"{team.label.value}: {', '.join(members)}"))
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
                _text(match.map_name),
                _round_text(match.round_1, first),
                _round_text(match.round_2, second),
                _text(winner or match.result or "", style="" if match.result else "yellow"),
                points,
            )
        )
    console.print(_table(console, "Matches", [">#", "Map", "Round 1", "Round 2", "Winner", ">A:B"], rows))
    if answer.players:
        console.print()
        _show_totals(console, "Players, most valuable first", [(p.player.name, p.totals) for p in answer.players])
    _show_flags(console, answer.flags)


def _round_text(played: RoundInfo | None, attackers: str | None) -> Text:
    if played is None:
        return _text("missing", style="yellow")
    how = {
        "completed": f"{_minutes(played.seconds)}",
        "held": f"held {_minutes(played.seconds)}",
        "gave_up": f"gave up {_minutes(played.seconds)}",
        "aborted": f"broken off {_minutes(played.seconds)}",
        "unknown": f"{_minutes(played.seconds)}, winner unknown",
    }[played.outcome.value]
    style = "yellow" if played.excluded or played.outcome.value == "aborted" else ""
    reason = f" ({played.excluded.replace('_', ' ')})" if played.excluded else ""
    return _text((f"{attackers}: " if attackers else "") + how + reason, style=style)


FLAG_TEXTS = {
    "kills_unbalanced": "kills and deaths differ: somebody's numbers were lost",
    "damage_unbalanced": "damage given and received differ: somebody's numbers were lost",
    "team_damage_unbalanced": "team damage given and received differ: somebody's numbers were lost",
    "aborted": "broken off by a map change or restart",
    "early_end": "ended before the limit: the attackers gave up",
    "no_round_1": "round 2 without its round 1: its numbers hold both, and do not count until that arrives",
    "duplicate_guid": "two lines of one GUID",
    "lines_rejected": "lines that could not be read",
    "incomplete_file": "the file was cut off",
    "denied_out_of_range": "denied time is impossible: left out of its rates",
    "header_disagrees": "file name and header name different rounds",
}


def _show_flags(console: Console, flags: Any) -> None:
    if not flags:
        return
    console.print()
    for flag in flags:
        count = f"{flags[flag]} x " if isinstance(flags, dict) else ""
        console.print(_text(f"Note: {count}{FLAG_TEXTS.get(flag, flag)}", style="yellow"))


# ---------------------------------------------------------------------- match


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

    answer = _ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        _show_match(_console(), answer)


def _show_match(console: Console, answer: MatchAnswer) -> None:
    match, zone = answer.match, answer.server.time_zone
    start = _clock(match.started_at, zone, zone_name=True, day=True)
    console.print(_text(f"{match.map_name},", style="bold"), _text(f"{answer.server.name}, {start}"))
    console.print(_text(f"key {match.key}"))
    result = {
        None: "undecided",
        "draw": "draw",
        "r1_attackers": "won by those who attacked first",
        "r2_attackers": "won by those who attacked second",
    }[match.result]
    console.print(_text(f"{result}: {match.why.value}", style="bold" if match.result else "yellow"))
    names = {True: "1st", False: "2nd", None: "both"}
    for played in match.rounds:
        limit = "" if played.time_limit is None else f" of {_minutes(played.time_limit)}"
        console.print()
        text = _text(f"Round {played.number}: ")
        text.append_text(_round_text(played, None)).append(limit)
        rows = [(f"{_side(row.side)} {row.name}", row.totals) for row in answer.by_round.get(played.id, ())]
        _show_totals(console, text, rows, per_round=True)
    if len(match.rounds) > 1 and answer.players:
        console.print()
        attack = [(f"{names[row.attacked_first]} {row.player.name}", row.totals) for row in answer.players]
        _show_totals(console, "Both rounds (1st or 2nd: which attack was theirs)", attack)
    _show_flags(console, match.flags)


def _side(side: int) -> str:
    return {1: "Ax", 2: "Al"}.get(side, "? ")


# ---------------------------------------------------------------------- player


def player_command(
    name: Annotated[list[str], typer.Argument(help="A name, part of one, or the beginning of a GUID.")],
    *,
    period: PeriodOption = "all",
    map_name: MapOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a player: totals, form, favourite weapons, maps and names."""
    from bot.stats.plain import plain
    from bot.stats.players import find_player, player_answer

    async def question(connection: AsyncConnection) -> tuple[PlayerAnswer, str]:
        scope, zone = await _scope(connection, period, server, map_name)
        player = await find_player(connection, " ".join(name))
        return await player_answer(connection, player.id, scope=scope), zone

    answer, zone = _ask(question)
    if not answer.totals.rounds:
        fail(f"{_printable(answer.player.name)} has no counted rounds in this selection", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(answer))
    else:
        _show_player(_console(), answer, zone)


def _show_player(console: Console, answer: PlayerAnswer, zone: str) -> None:
    from bot.stats.leaderboards import METRICS

    totals = answer.totals
    console.print(_text(answer.player.name, style="bold"), _text(answer.player.guid))
    seen = [
        _clock(at, zone, zone_name=at == answer.last_seen_at, day=True)
        for at in (answer.first_seen_at, answer.last_seen_at)
    ]
    console.print(_text(f"Seen {seen[0]} to {seen[1]}"))
    others = [item.name for item in answer.names if item.name != answer.player.name]
    if others:
        console.print(_text(f"Also {', '.join(others)}"))
    console.print()
    played = f"{_many(totals.rounds, 'round')}, {_hours(totals.time_played)}"
    wins = f"{_many(totals.matches_won, 'map')} won, {totals.matches_lost} lost, {totals.matches_drawn} drawn"
    console.print(_text(f"{_scope_text(answer.scope)}: {played}; {wins}"))
    ranks = []
    for key, rank in answer.ranks.items():
        metric = METRICS[key]
        place = f"{rank.rank} of {rank.of}" if rank.rank else f"from {rank.min_rounds} rounds"
        ranks.append((metric.title, _value(metric, rank.value), place))
    console.print(_table(console, None, ["", ">Value", ">Rank"], ranks))
    console.print()
    _show_totals(
        console,
        "Latest sessions",
        [(_day(s.started_at, s.server.time_zone), s.totals) for s in answer.sessions],
    )
    console.print()
    _show_totals(console, "Maps", [(item.map_name, item.totals) for item in answer.maps[:8]])
    console.print()
    weapons = [
        (
            item.display,
            str(item.kills),
            str(item.deaths),
            _number(item.accuracy, 1),
            _number(item.headshot_percent, 1),
        )
        for item in answer.weapons[:8]
    ]
    console.print(_table(console, "Weapons", ["Weapon", ">Kills", ">Deaths", ">Accuracy %", ">Headshot %"], weapons))


# ---------------------------------------------------------------------- leaderboard


def leaderboard_command(
    metric: Annotated[str, typer.Argument(help="What to rank by; --metrics lists them.")] = "dpm",
    *,
    metrics: Annotated[bool, typer.Option("--metrics", help="List the metrics and how they are computed.")] = False,
    period: PeriodOption = "all",
    map_name: MapOption = None,
    min_rounds: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Rounds a player needs; by default 50 for rates, 10 for counts, or less where little was played.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many places to show.")] = 20,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the players by a metric."""
    from bot.stats.leaderboards import METRICS, leaderboard
    from bot.stats.plain import plain

    if metrics:
        _show_metrics(METRICS.values(), as_json)
        return

    async def question(connection: AsyncConnection) -> Leaderboard:
        scope, _ = await _scope(connection, period, server, map_name)
        return await leaderboard(connection, metric, scope=scope, min_rounds=min_rounds, limit=limit)

    answer = _ask(question)
    if answer.why_empty is not None:
        least = f" of {_least(answer)}" if answer.why_empty.name == "BELOW_MINIMUM" else ""
        fail(f"no leaderboard: {answer.why_empty.value}{least} ({_scope_text(answer.scope)})", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(answer))
    else:
        _show_leaderboard(_console(), answer)


def _show_leaderboard(console: Console, answer: Leaderboard) -> None:
    metric = answer.metric
    unit = f" ({metric.unit})" if metric.unit else ""
    rows = [
        (
            str(entry.rank),
            _text(entry.player.name),
            _value(metric, entry.value, unit=False),
            str(entry.rounds),
            _text(entry.player.guid),
        )
        for entry in answer.entries
    ]
    title = f"{metric.title}{unit}, {_scope_text(answer.scope)}"
    console.print(_table(console, title, [">#", "Player", ">Value", ">Rounds", "GUID"], rows))
    console.print(_text(f"{metric.formula}. From {_least(answer)}: {answer.qualified} of {answer.seen} players."))


def _least(answer: Leaderboard) -> str:
    sample = ""
    if answer.metric.sample is not None:
        sample = f" and {answer.min_sample} {'shots' if answer.metric.sample.name == 'SHOTS' else 'kills'}"
    return f"{_many(answer.min_rounds, 'round')}{sample}"


def _show_metrics(found: Iterable[Metric], as_json: bool) -> None:
    from bot.stats.plain import plain

    if as_json:
        print_json(plain(list(found)))
        return
    rows = [(metric.key, metric.title, metric.formula) for metric in found]
    console = _console()
    console.print(_table(console, "Metrics", ["Metric", "Title", LONG_TEXT], rows))


# ---------------------------------------------------------------------- export


def export_command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if not given.")
    ] = None,
    *,
    server: ServerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, which an export always is.")] = False,
) -> None:
    """Write every fact as JSON lines, the same for the same files however they came in."""
    from bot.stats.errors import NotFoundError
    from bot.stats.export import dump_line, export

    settings = load()

    async def lines(database: Database) -> AsyncGenerator[str, None]:
        empty = True
        async with aclosing(export(database, server=server)) as records:
            async for record in records:
                empty = False
                yield dump_line(record) + "\n"
        if empty:
            raise NotFoundError(
                "nothing to export: "
                + ("no rounds are stored" if server is None else f"no rounds of a server {server!r} are stored")
            )

    async def main() -> None:
        async with opened_database(settings) as database:
            if output is None:
                async with aclosing(lines(database)) as found:
                    async for line in found:
                        sys.stdout.buffer.write(line.encode())
                sys.stdout.buffer.flush()
                return
            # Nobody shall take half an export for a whole one.
            unfinished = output.with_name(output.name + ".part")
            try:
                with unfinished.open("w", encoding="utf-8", newline="") as file:
                    async with aclosing(lines(database)) as found:
                        async for line in found:
                            file.write(line)
                unfinished.replace(output)
            finally:
                unfinished.unlink(missing_ok=True)

    try:
        run(main)
    except NotFoundError as error:
        _refuse(error)
    except OSError as error:
        fail(f"cannot write {output or 'the export'}: {error.strerror or error}", ExitCode.PROBLEM)


# ---------------------------------------------------------------------- scope


async def _scope(
    connection: AsyncConnection, period: str, server: str | None, map_name: str | None
) -> tuple[Scope, str]:
    """Return the scope that the options ask for, and the zone in which days and seasons are meant."""
    from zoneinfo import ZoneInfo

    from sqlalchemy import select

    from bot.db.schema import servers
    from bot.stats.errors import NotFoundError
    from bot.stats.leaderboards import Scope
    from bot.stats.periods import parse_period

    found = (await connection.execute(select(servers.c.name, servers.c.time_zone).order_by(servers.c.id))).all()
    mine = [row for row in found if server in (None, row.name)]
    if server is not None and not mine:
        known = ", ".join(row.name for row in found) or "none yet"
        raise NotFoundError(f"there is no server {server!r}; known: {known}")
    zone = mine[0].time_zone if mine else "UTC"
    return Scope(parse_period(period, ZoneInfo(zone), time.time()), server, map_name), zone


def _scope_text(scope: Scope) -> str:
    parts = [scope.period.label]
    if scope.map_name is not None:
        parts.append(f"map {_printable(scope.map_name)}")
    if scope.server is not None:
        parts.append(f"server {scope.server}")
    return ", ".join(parts)


# ---------------------------------------------------------------------- output


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def _printable(text: str) -> str:
    """Return a text from outside without anything that a terminal would act on."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _text(value: str, *, style: str = "") -> Text:
    """Return a text that is shown as it is: never read as markup."""
    from rich.text import Text

    return Text(_printable(value), style=style)


def _indented(value: str) -> Padding:
    from rich.padding import Padding

    return Padding(_text(value), (0, 0, 0, 2))


def _table(
    console: Console, title: str | Text | None, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]
) -> Table:
    """Return a table that fits the console: a column that begins with `>` holds numbers, which are never cut."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    shown = _text(title, style="bold") if isinstance(title, str) else title
    table = Table(title=shown, title_justify="left", title_style="", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = [column.removeprefix(">") for column in columns]
    widths = [max(cell_len(str(text)) for text in [name, *cells]) for name, *cells in zip(names, *rows, strict=True)]
    shrinking = [place for place, column in enumerate(columns) if not column.startswith(">")]
    # Two columns of space between two columns, and the table's edges.
    while sum(widths) + 2 * len(widths) + 1 > console.width:
        widest = max(shrinking, key=lambda place: widths[place])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    for place, (name, width) in enumerate(zip(names, widths, strict=True)):
        text = place in shrinking
        long_text = name == LONG_TEXT
        table.add_column(
            name,
            justify="left" if text else "right",
            no_wrap=not long_text,
            overflow="fold" if long_text else "ellipsis",
            width=width,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _show_totals(
    console: Console, title: str | Text, rows: Sequence[tuple[str, Totals]], *, per_round: bool = False
) -> None:
    """Print one line of numbers a player (or map, or session)."""
    columns = [column for column in _TOTALS if console.width >= column.from_width]
    if per_round:
        columns = [column for column in columns if column.title != "R"]
    lines: list[list[str | Text]] = []
    for name, sums in rows:
        lines.append([_text(name), *(column.cell(sums) for column in columns)])
    console.print(_table(console, title, ["", *(f">{column.title}" for column in columns)], lines))


class _Column(NamedTuple):
    """A number of a player's totals: its heading, its text, and the narrowest terminal that shows it."""

    title: str
    cell: Callable[[Totals], str]
    from_width: int = 0


_TOTALS = (
    _Column("R", lambda t: str(t.rounds)),
    _Column("K", lambda t: str(t.kills)),
    _Column("D", lambda t: str(t.deaths)),
    _Column("K/D", lambda t: f"{t.kd:.2f}"),
    _Column("DPM", lambda t: _number(t.dpm, 0)),
    _Column("Acc%", lambda t: _number(t.accuracy, 1)),
    _Column("HS%", lambda t: _number(t.headshot_percent, 1)),
    _Column("Rev", lambda t: _number(t.revives_given, 0), MEDIUM),
    _Column("Gibs", lambda t: str(t.gibs), MEDIUM),
    _Column("Time", lambda t: _minutes(t.time_played), MEDIUM),
    _Column("Damage", lambda t: str(t.damage_given), WIDE),
    _Column("Taken", lambda t: str(t.damage_received), WIDE),
    _Column("Eff%", lambda t: _number(t.efficiency, 1), WIDE),
    _Column("Useful%", lambda t: _number(t.useful_kill_percent, 1), WIDE),
    _Column("Denied", lambda t: "-" if t.denied_playtime is None else _minutes(t.denied_playtime), WIDE),
    _Column("Alive%", lambda t: _number(t.alive_percent, 1), WIDE),
)


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _value(metric: Metric, value: float | None, *, unit: bool = True) -> str:
    shown = _number(value, metric.decimals)
    return f"{shown} {metric.unit}" if unit and metric.unit and value is not None else shown


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _minutes(seconds: int | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def _hours(seconds: int) -> str:
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min" if seconds >= 3600 else f"{seconds // 60} min"


def _day(at: int, zone: str) -> str:
    return _clock(at, zone, day=True)[:10]


def _clock(at: int, zone: str, *, zone_name: bool = False, day: bool = False) -> str:
    """Return a time in the server's zone; with the zone's name where it has to be said which one that is."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    shown = f"{local:%Y-%m-%d %H:%M}" if day else f"{local:%H:%M}"
    return f"{shown} {zone}" if zone_name else shown
