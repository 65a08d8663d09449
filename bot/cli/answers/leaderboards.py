"""leaderboard, records: who is best at what, and what was the best ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import MapOption, PeriodOption, ask, scope_of
from bot.cli.answers.output import LONG_TEXT, clock, console_of, many, scope_text, table_of, text_of, value_of
from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.stats.leaderboards import Leaderboard, Metric
    from bot.stats.record_lines import Grain
    from bot.stats.records import RecordMark, Records


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
        scope, _ = await scope_of(connection, period, server, map_name)
        return await leaderboard(connection, metric, scope=scope, min_rounds=min_rounds, limit=limit)

    answer = ask(question)
    if answer.why_empty is not None:
        least = f" of {_least(answer)}" if answer.why_empty.name == "BELOW_MINIMUM" else ""
        fail(f"no leaderboard: {answer.why_empty.value}{least} ({scope_text(answer.scope)})", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(answer))
    else:
        show_leaderboard(console_of(), answer)


def show_leaderboard(console: Console, answer: Leaderboard) -> None:
    """Print a leaderboard."""
    metric = answer.metric
    unit = f" ({metric.unit})" if metric.unit else ""
    rows = [
        (
            str(entry.rank),
            text_of(entry.player.name),
            value_of(metric, entry.value, unit=False),
            str(entry.rounds),
            text_of(entry.player.guid),
        )
        for entry in answer.entries
    ]
    title = f"{metric.title}{unit}, {scope_text(answer.scope)}"
    console.print(table_of(console, title, [">#", "Player", ">Value", ">Rounds", "GUID"], rows))
    console.print(text_of(f"{metric.formula}. From {_least(answer)}: {answer.qualified} of {answer.seen} players."))


def _least(answer: Leaderboard) -> str:
    sample = ""
    if answer.metric.sample is not None:
        sample = f" and {answer.min_sample} {'shots' if answer.metric.sample.name == 'SHOTS' else 'kills'}"
    return f"{many(answer.min_rounds, 'round')}{sample}"


def _show_metrics(found: Iterable[Metric], as_json: bool) -> None:
    from bot.stats.plain import plain

    if as_json:
        print_json(plain(list(found)))
        return
    rows = [(metric.key, metric.title, metric.formula) for metric in found]
    console = console_of()
    console.print(table_of(console, "Metrics", ["Metric", "Title", LONG_TEXT], rows))


def records_command(
    metric: Annotated[str | None, typer.Argument(help="One metric alone, with more than its best mark.")] = None,
    *,
    of: Annotated[str, typer.Option("--of", help="Best single round, match or session.")] = "round",
    period: PeriodOption = "all",
    map_name: MapOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many marks of one metric.")] = 10,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the best single rounds, matches or sessions ever."""
    from bot.stats.plain import plain
    from bot.stats.record_lines import Grain
    from bot.stats.records import records
    from bot.stats.records_overview import all_records

    try:
        grain = Grain(of.strip().lower())
    except ValueError:
        fail(f"--of is round, match or session, not {of!r}", ExitCode.USAGE)

    async def question(connection: AsyncConnection) -> tuple[Records, ...]:
        scope, _ = await scope_of(connection, period, server, map_name)
        if metric is None:
            return await all_records(connection, grain=grain, scope=scope)
        return (await records(connection, metric, grain=grain, scope=scope, limit=limit),)

    found = ask(question)
    why = [item.why_empty for item in found if item.why_empty is not None]
    if len(why) == len(found):
        fail(f"no records: {why[0].value} ({scope_text(found[0].scope)})", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(found if metric is None else found[0]))
    else:
        show_records(console_of(), found, grain)


def show_records(console: Console, found: Iterable[Records], grain: Grain) -> None:
    """Print the marks of some metrics."""
    found = list(found)
    rows = [
        (
            item.metric.title if place == 0 else "",
            str(mark.rank),
            value_of(item.metric, mark.value),
            text_of(mark.player.name),
            text_of(_where(mark)),
        )
        for item in found
        for place, mark in enumerate(item.marks)
    ]
    title = f"Best single {grain.value}, {scope_text(found[0].scope)}"
    console.print(table_of(console, title, ["", ">#", ">Value", "Player", "Where"], rows))
    if len(found) == 1:
        console.print(text_of(f"{found[0].metric.formula}."))
    minimum = next((item.minimum for item in found if item.minimum is not None), None)
    if minimum is not None:
        console.print(
            text_of(
                f"Rates from {minimum.seconds // 60} minutes on a team; accuracy from {minimum.shots} shots, "
                f"K/D from {minimum.kills} kills."
            )
        )
    for reason, count in found[0].left_out.items():
        console.print(text_of(f"Left out: {many(count, 'round')}, {reason.replace('_', ' ')}", style="yellow"))


def _where(mark: RecordMark) -> str:
    when = clock(mark.ended_at, mark.server.time_zone, day=True)
    return f"{mark.map_name}, {when}" if mark.map_name else f"session {mark.session_id}, {when}"
