"""Draws an evening."""

from __future__ import annotations

from bot.cards.drawing.parts import Cell, Column, foot, head, note, table
from bot.cards.drawing.sheet import Align, Sheet, flowed
from bot.cards.facts import Attack
from bot.cards.session import LineUpView, SessionCard, TeamView
from bot.cards.theme import BODY, GAP, HERO, SCORE, SMALL, STRONG, Theme


def draw(sheet: Sheet, card: SessionCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles, warnings=card.warnings)
    if card.without_teams:
        sheet.text(sheet.left, sheet.below, card.without_teams, STRONG)
        sheet.below += STRONG.line + GAP
    for item in card.line_ups:
        _line_up(sheet, item, card.and_more, compact=len(card.line_ups) > 1)
    if card.more_line_ups:
        note(sheet, card.more_line_ups)
        sheet.below += GAP
    if card.maps:
        _maps(sheet, card)
    if card.players:
        _players(sheet, card)
    foot(sheet, card.foot)


def _line_up(sheet: Sheet, item: LineUpView, and_more: str, *, compact: bool) -> None:
    theme, middle = sheet.theme, sheet.left + sheet.inner / 2
    style = SCORE if compact else HERO
    lines = 2 if compact else 4
    side = sheet.inner / 2 - 28
    names = [
        flowed(team.members, SMALL, side, lines, _more(and_more, len(team.members)))
        for team in (item.team_a, item.team_b)
    ]
    title = f"{item.name}: {item.verdict}" if item.name else item.verdict
    tall = 12 + BODY.line + style.line + 4 + SMALL.line * max(len(rows) for rows in names) + 14
    sheet.box(sheet.left - 10, sheet.below, sheet.inner + 20, tall, theme.panel)
    top = sheet.below + 12
    sheet.text(middle, top, title, STRONG, colour=theme.accent, align="center")
    top += BODY.line
    sheet.text(middle, top, ":", style, colour=theme.muted, align="center")
    for place, (team, rows) in enumerate(zip((item.team_a, item.team_b), names, strict=True)):
        _team(sheet, team, rows, place, top, style.size, middle, compact)
    sheet.below += tall + GAP + 6


def _team(
    sheet: Sheet, team: TeamView, names: list[str], place: int, top: float, size: float, middle: float, compact: bool
) -> None:
    theme = sheet.theme
    style = SCORE if compact else HERO
    left = place == 0
    edge = sheet.left + 8 if left else sheet.right - 8
    align: Align = "left" if left else "right"
    score_at = middle - 22 if left else middle + 22
    colour = theme.teams[place]
    width = sheet.text(score_at, top, team.score, style, colour=colour, align="right" if left else "left", width=120)
    badge = 24.0
    x = edge if left else edge - badge
    sheet.badge(x, top, style.line, team.label, colour, width=badge)
    room = abs(score_at - edge) - width - badge - 24
    name_at = edge + badge + 10 if left else edge - badge - 10
    sheet.text(name_at, top + (style.line - STRONG.line) / 2, team.title, STRONG, align=align, width=max(room, 20))
    y = top + style.line + 4
    for row in names:
        sheet.text(edge, y, row, SMALL, colour=theme.ink if team.won else theme.muted, align=align)
        y += SMALL.line


def _more(and_more: str, count: int) -> list[str]:
    return [and_more.format(count=number) for number in range(count + 1)]


def _maps(sheet: Sheet, card: SessionCard) -> None:
    theme = sheet.theme
    first, second = card.map_titles
    columns = [
        Column("", "right", SMALL),
        Column("", "left", STRONG, flexible=True),
        Column(first, "left"),
        Column(second, "left"),
        Column("A : B", "right", STRONG),
    ]
    rows = [
        [
            Cell(item.number, theme.muted),
            Cell(item.name),
            _attack(item.first, theme),
            _attack(item.second, theme),
            Cell(item.points, _team_colour(item.winner, theme) if item.winner else theme.ink),
        ]
        for item in card.maps
    ]
    table(sheet, columns, rows, title=card.maps_title)
    if card.more_maps:
        note(sheet, card.more_maps)
    sheet.below += GAP + 6


def _attack(item: Attack, theme: Theme) -> Cell:
    return Cell(item.text, theme.warning if item.doubtful else None, item.team, _team_colour(item.team, theme))


def _team_colour(team: str, theme: Theme) -> str:
    return {"A": theme.teams[0], "B": theme.teams[1]}.get(team, theme.muted)


def _players(sheet: Sheet, card: SessionCard) -> None:
    theme = sheet.theme
    with_teams = any(player.team for player in card.players)
    columns = [Column("", "right", SMALL)]
    if with_teams:
        columns.append(Column("", "left"))
    columns.append(Column("", "left", STRONG, flexible=True))
    columns.extend(Column(title, "right", STRONG if place == 0 else BODY) for place, title in enumerate(card.columns))
    rows = []
    for player in card.players:
        cells = [Cell(player.place, theme.muted)]
        if with_teams:
            cells.append(Cell("", badge=player.team, fill=_team_colour(player.team, theme)))
        cells.append(Cell(player.name, after=player.partial))
        cells.extend(Cell(value) for value in player.values)
        rows.append(cells)
    table(sheet, columns, rows, title=card.players_title)
    if card.more_players:
        note(sheet, card.more_players)
