"""player, compare: what somebody did, and how people stand beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import MapOption, PeriodOption, ask, scope_of
from bot.cli.answers.output import (
    clock,
    console_of,
    day_of,
    hours,
    many,
    number,
    printable,
    scope_text,
    show_totals,
    table_of,
    text_of,
    value_of,
)
from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.stats.compare import ComparedMetric, Comparison
    from bot.stats.form import PlayerForm
    from bot.stats.partners import PartnersAnswer
    from bot.stats.players import PlayerAnswer


def player_command(
    name: Annotated[list[str], typer.Argument(help="A name, part of one, or the beginning of a GUID.")],
    *,
    period: PeriodOption = "all",
    map_name: MapOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a player: totals, form, favourite weapons, maps and names."""
    from bot.stats.form import player_form
    from bot.stats.partners import partners_answer
    from bot.stats.plain import plain
    from bot.stats.players import find_player, player_answer

    async def question(connection: AsyncConnection) -> tuple[PlayerAnswer, PlayerForm, PartnersAnswer, str]:
        scope, zone = await scope_of(connection, period, server, map_name)
        player = await find_player(connection, " ".join(name))
        answer = await player_answer(connection, player.id, scope=scope)
        form = await player_form(connection, player.id, scope=scope)
        return answer, form, await partners_answer(connection, player, scope=scope, limit=5), zone

    answer, form, company, zone = ask(question)
    if not answer.totals.rounds:
        fail(f"{printable(answer.player.name)} has no counted rounds in this selection", ExitCode.PROBLEM)
    if as_json:
        mates = {"partners": plain(company.partners), "opponents": plain(company.opponents)}
        print_json({**plain(answer), **mates, "form": plain(form)})
    else:
        console = console_of()
        show_player(console, answer, zone)
        show_company(console, form, company)


def show_player(console: Console, answer: PlayerAnswer, zone: str) -> None:
    """Print a player."""
    from bot.stats.leaderboards import METRICS

    totals = answer.totals
    console.print(text_of(answer.player.name, style="bold"), text_of(answer.player.guid))
    seen = [
        clock(at, zone, zone_name=at == answer.last_seen_at, day=True)
        for at in (answer.first_seen_at, answer.last_seen_at)
    ]
    console.print(text_of(f"Seen {seen[0]} to {seen[1]}"))
    others = [item.name for item in answer.names if item.name != answer.player.name]
    if others:
        console.print(text_of(f"Also {', '.join(others)}"))
    console.print()
    played = f"{many(totals.rounds, 'round')}, {hours(totals.time_played)}"
    wins = f"{many(totals.matches_won, 'map')} won, {totals.matches_lost} lost, {totals.matches_drawn} drawn"
    console.print(text_of(f"{scope_text(answer.scope)}: {played}; {wins}"))
    ranks = []
    for key, rank in answer.ranks.items():
        metric = METRICS[key]
        place = f"{rank.rank} of {rank.of}" if rank.rank else f"from {rank.min_rounds} rounds"
        ranks.append((metric.title, value_of(metric, rank.value), place))
    console.print(table_of(console, None, ["", ">Value", ">Rank"], ranks))
    console.print()
    show_totals(
        console,
        "Latest sessions",
        [(day_of(s.started_at, s.server.time_zone), s.totals) for s in answer.sessions],
    )
    console.print()
    show_totals(console, "Maps", [(item.map_name, item.totals) for item in answer.maps[:8]])
    console.print()
    weapons = [
        (
            item.display,
            str(item.kills),
            str(item.deaths),
            number(item.accuracy, 1),
            number(item.headshot_percent, 1),
        )
        for item in answer.weapons[:8]
    ]
    console.print(table_of(console, "Weapons", ["Weapon", ">Kills", ">Deaths", ">Accuracy %", ">Headshot %"], weapons))


def show_company(console: Console, form: PlayerForm, company: PartnersAnswer) -> None:
    """Print a player's form, and with whom and against whom he wins."""
    from bot.stats.form import FORM_RULE

    console.print()
    if form.streak.outcome is not None:
        latest = " ".join(outcome.value[0].upper() for outcome in form.latest)
        streak = f"{many(form.streak.length, 'map')} {form.streak.outcome.value} in a row"
        console.print(text_of(f"Latest maps: {latest}; {streak}, at most {form.longest_won} won."))
    if form.rounds_before:
        rows = [
            (item.metric.title, value_of(item.metric, item.recent), value_of(item.metric, item.before))
            for item in form.values
        ]
        console.print(table_of(console, f"Form. {FORM_RULE}", ["", ">Latest", ">Before"], rows))
    for title, found, least in (
        ("Wins most with", company.partners, company.min_maps),
        ("Wins most against", company.opponents, company.min_maps_against),
    ):
        if found:
            rows = [(item.player.name, number(item.record.win_percent, 1), str(item.record.maps)) for item in found]
            console.print()
            console.print(table_of(console, f"{title}, from {many(least, 'map')}", ["Player", ">Won %", ">Maps"], rows))


def compare_command(
    names: Annotated[list[str], typer.Argument(help="Two to four names, or beginnings of GUIDs.")],
    *,
    period: PeriodOption = "all",
    map_name: MapOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two to four players: every metric, and maps won with and against each other."""
    from bot.stats.compare import compare
    from bot.stats.plain import plain
    from bot.stats.players import find_player

    async def question(connection: AsyncConnection) -> Comparison:
        scope, _ = await scope_of(connection, period, server, map_name)
        found = [await find_player(connection, name) for name in names]
        return await compare(connection, [player.id for player in found], scope=scope)

    answer = ask(question)
    if as_json:
        print_json(plain(answer))
    else:
        show_comparison(console_of(), answer)


def show_comparison(console: Console, answer: Comparison) -> None:
    """Print players side by side."""
    from bot.stats.compare import PERCENTILE_RULE

    names = [printable(player.name) for player in answer.players]
    rows = [(item.metric.title, *(_compared(item, place) for place in range(len(names)))) for item in answer.metrics]
    title = f"{' - '.join(names)}, {scope_text(answer.scope)}"
    console.print(table_of(console, title, ["", *(f">{name[:14]}" for name in names)], rows))
    console.print(text_of(f"In brackets the percentile. {PERCENTILE_RULE}"))
    console.print()
    pairs = []
    for pair in answer.pairs:
        one, other = pair.player.name, pair.other.name
        for what, record in (
            (f"{one} against {other}", pair.against),
            (f"{one} with {other}", pair.together),
            (f"{one} without {other}", pair.without),
            (f"{other} without {one}", pair.other_without),
        ):
            percent = number(record.win_percent, 1)
            pairs.append((text_of(what), str(record.won), str(record.lost), str(record.drawn), percent))
    console.print(table_of(console, "Maps", ["", ">Won", ">Lost", ">Drawn", ">Won %"], pairs))


def _compared(item: ComparedMetric, place: int) -> str:
    value = item.values[place]
    rank = "" if value.percentile is None else f" ({value.percentile:.0f})"
    return f"{'*' if value.best else ''}{number(value.value, item.metric.decimals)}{rank}"
