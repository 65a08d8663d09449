"""map, weapon: how attacks on a map go, and who handles what best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import MapOption, PeriodOption, ask, scope_of
from bot.cli.answers.output import (
    clock,
    console_of,
    day_of,
    many,
    minutes,
    number,
    scope_text,
    table_of,
    text_of,
    value_of,
)
from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.stats.maps import MapAnswer, MapInfo
    from bot.stats.weapons import WeaponAnswer, WeaponTable


def map_command(
    name: Annotated[str | None, typer.Argument(help="A map, or a part of its name; all of them if not given.")] = None,
    *,
    by: Annotated[str, typer.Option("--by", help="Metric that its best players are ranked by.")] = "dpm",
    period: PeriodOption = "all",
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a map: attacks won and held, fastest attacks, best players, last matches."""
    from bot.stats.maps import find_map, list_maps, map_answer
    from bot.stats.plain import plain

    if name is None:
        _list_maps(ask(lambda connection: list_maps(connection, server=server)), as_json)
        return

    async def question(connection: AsyncConnection) -> tuple[MapAnswer, str]:
        scope, zone = await scope_of(connection, period, server, None)
        found = await find_map(connection, name, server=server)
        return await map_answer(connection, found, scope=scope, metric=by), zone

    answer, zone = ask(question)
    if not answer.rounds:
        fail(f"no counted rounds in this selection ({scope_text(answer.scope)})", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(answer))
    else:
        show_map(console_of(), answer, zone)


def _list_maps(found: list[MapInfo], as_json: bool) -> None:
    from bot.stats.plain import plain

    if not found:
        fail("no counted rounds are stored yet", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(found))
        return
    console = console_of()
    rows = [(text_of(i.name), str(i.rounds), str(i.matches), day_of(i.last_played_at, "UTC")) for i in found]
    console.print(table_of(console, many(len(found), "map"), ["Map", ">Rounds", ">Matches", ">Last"], rows))


def show_map(console: Console, answer: MapAnswer, zone: str) -> None:
    """Print a map."""
    from bot.stats.maps import ATTACK_RULE

    where = scope_text(replace(answer.scope, map_name=None))
    console.print(text_of(f"{answer.name},", style="bold"), text_of(where))
    first, second, drawn = answer.results.values()
    console.print(
        text_of(
            f"{many(answer.rounds, 'round')}; complete matches: {first} won by those who attacked first, "
            f"{second} by those who attacked second, {drawn} drawn"
        )
    )
    rows = [
        (
            title,
            str(attacks.decided),
            str(attacks.completed),
            str(attacks.held),
            str(attacks.gave_up),
            number(attacks.win_percent, 1),
            minutes(None if attacks.mean_seconds is None else round(attacks.mean_seconds)),
        )
        for title, attacks in (("first", answer.first), ("second", answer.second), ("both", answer.attacks))
    ]
    columns = ["Attack", ">Rounds", ">Won", ">Held", ">Gave up", ">Won %", ">Mean time"]
    console.print()
    console.print(table_of(console, "Attacks", columns, rows))
    console.print(text_of(ATTACK_RULE))
    if answer.fastest:
        console.print()
        fast = [
            (minutes(i.seconds), clock(i.ended_at, zone, day=True), text_of(", ".join(p.name for p in i.attackers)))
            for i in answer.fastest
        ]
        console.print(table_of(console, "Fastest attacks", [">Time", ">When", "Attackers"], fast))
    if answer.best.entries:
        console.print()
        metric = answer.best.metric
        best = [
            (str(e.rank), text_of(e.player.name), value_of(metric, e.value), str(e.rounds)) for e in answer.best.entries
        ]
        console.print(table_of(console, f"Best players, {metric.title}", [">#", "Player", ">Value", ">Rounds"], best))


def weapon_command(
    name: Annotated[
        str | None, typer.Argument(help="A weapon, or a part of its name; all of them if not given.")
    ] = None,
    *,
    by: Annotated[
        str | None,
        typer.Option("--by", help="accuracy, kills, headshots or headshot_percent; accuracy or kills if not given."),
    ] = None,
    period: PeriodOption = "all",
    map_name: MapOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many places to show.")] = 20,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what weapons do, or the best players of one."""
    from bot.stats.plain import plain
    from bot.stats.weapons import WeaponOrder, find_weapon, weapon_answer, weapon_table

    try:
        order = None if by is None else WeaponOrder(by.strip().lower().replace("-", "_").replace("%", "_percent"))
    except ValueError:
        fail(f"--by is one of {', '.join(WeaponOrder)}, not {by!r}", ExitCode.USAGE)

    async def question(connection: AsyncConnection) -> WeaponTable | WeaponAnswer:
        scope, _ = await scope_of(connection, period, server, map_name)
        if name is None:
            return await weapon_table(connection, scope=scope)
        return await weapon_answer(connection, find_weapon(name), order=order, scope=scope, limit=limit)

    answer = ask(question)
    if answer.why_empty is not None:
        fail(f"no answer: {answer.why_empty.value} ({scope_text(answer.scope)})", ExitCode.PROBLEM)
    if as_json:
        print_json(plain(answer))
        return
    from bot.stats.weapons import WeaponTable

    if isinstance(answer, WeaponTable):
        show_weapons(console_of(), answer)
    else:
        show_weapon(console_of(), answer)


def show_weapons(console: Console, answer: WeaponTable) -> None:
    """Print the table of all weapons."""
    rows = [
        (
            line.sums.weapon.display,
            str(line.sums.kills),
            number(line.kill_share, 1),
            number(line.sums.accuracy, 1),
            number(line.sums.headshot_percent, 1),
            str(line.players),
        )
        for line in answer.weapons
    ]
    columns = ["Weapon", ">Kills", ">% of kills", ">Accuracy %", ">Headshot %", ">Players"]
    console.print(table_of(console, f"Weapons, {scope_text(answer.scope)}", columns, rows))


def show_weapon(console: Console, answer: WeaponAnswer) -> None:
    """Print the best players of a weapon."""
    rows = [
        (
            str(entry.rank),
            text_of(entry.player.name),
            str(entry.sums.kills),
            number(entry.sums.accuracy, 1),
            str(entry.sums.headshots),
            number(entry.sums.headshot_percent, 1),
            str(entry.sums.shots),
        )
        for entry in answer.entries
    ]
    title = f"{answer.weapon.display} by {answer.order.value.replace('_', ' ')}, {scope_text(answer.scope)}"
    columns = [">#", "Player", ">Kills", ">Accuracy %", ">Headshots", ">Headshot %", ">Shots"]
    console.print(table_of(console, title, columns, rows))
    what = "hits" if answer.order.value == "headshot_percent" else "shots"
    least = (
        f" From {answer.min_sample} {what}: {answer.qualified} of {answer.seen} players." if answer.min_sample else ""
    )
    console.print(text_of(f"{answer.formula}.{least}"))
