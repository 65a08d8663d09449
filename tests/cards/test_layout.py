"""Every text of every picture lies inside it and on no other text, whoever played, in both languages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bot.cards.compare import comparison_card
from bot.cards.drawing.painter import sheet_of
from bot.cards.drawing.render import figure_of
from bot.cards.drawing.sheet import Drawn, Sheet
from bot.cards.leaderboard import leaderboard_card
from bot.cards.letters import one_line
from bot.cards.maps import map_card
from bot.cards.picture import ALT_TEXT_LIMIT, Card, CardOptions, ThemeName
from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.theme import DARK
from bot.cards.timeline import timeline_card
from bot.cards.weapons import weapons_card
from bot.cards.words import DE, EN
from bot.stats.compare import Comparison
from bot.stats.leaderboards import Leaderboard
from bot.stats.maps import MapAnswer
from bot.stats.matches import MatchAnswer
from bot.stats.players import PlayerAnswer
from bot.stats.sessions import SessionAnswer
from bot.stats.weapons import WeaponTable
from tests.cards import answers
from tests.cards.answers import HARD_NAMES, START

TOLERANCE = 0.75
"""Units: what the outlines of letters stick out of the widths they are set with."""

# Not made smaller: drawing a failing evening over and over takes minutes, and the message names the two texts.
many = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
languages = st.sampled_from((CardOptions(words=EN, as_of=START), CardOptions(words=DE)))


def text_boxes(sheet: Sheet) -> list[tuple[str, Bbox]]:
    """Where the renderer puts each text, in units from the bottom left."""
    figure = figure_of(sheet)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    return [
        (artist.get_text(), artist.get_window_extent(renderer))
        for artist in figure.findobj(Text)
        if isinstance(artist, Text) and artist.get_text()
    ]


def mistakes(sheet: Sheet) -> list[str]:
    found = []
    boxes = sorted(text_boxes(sheet), key=lambda item: item[1].x0)
    for text, box in boxes:
        if box.x0 < -TOLERANCE or box.y0 < -TOLERANCE:
            found.append(f"{text!r} leaves the picture: {box}")
        if box.x1 > sheet.width + TOLERANCE or box.y1 > sheet.below + TOLERANCE:
            found.append(f"{text!r} leaves the picture: {box}")
    for place, (text, box) in enumerate(boxes):
        for other_text, other in boxes[place + 1 :]:
            if other.x0 > box.x1:
                break
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            if width > TOLERANCE and height > 2 * TOLERANCE:
                found.append(f"{text!r} lies on {other_text!r}: {box} {other}")
    return found


def check(card: Card) -> None:
    assert mistakes(sheet_of(card, ThemeName.DARK)) == []
    assert 0 < len(card.alt_text) <= ALT_TEXT_LIMIT
    assert card.alt_text.isprintable()


@many
@given(answers.sessions(), languages)
def test_sessions_fit(answer: SessionAnswer, options: CardOptions) -> None:
    card = session_card(answer, options)
    check(card)
    check(timeline_card(answer, options))
    # However wide names and numbers are, no column of them is given up.
    shown = {thing.text for thing in sheet_of(card, ThemeName.DARK).things if isinstance(thing, Drawn)}
    assert not card.players or set(card.columns) <= shown
    assert not card.maps or {item.points for item in card.maps} <= shown


@many
@given(answers.match_answers(), languages)
def test_scoreboards_fit(answer: MatchAnswer, options: CardOptions) -> None:
    check(match_card(answer, options))
    for played in answer.match.rounds:
        check(round_card(answer, played.number, options))


@many
@given(answers.players(), languages)
def test_players_fit(answer: PlayerAnswer, options: CardOptions) -> None:
    check(player_card(answer, options))


@many
@given(answers.comparisons(), languages)
def test_comparisons_fit(answer: Comparison, options: CardOptions) -> None:
    check(comparison_card(answer, options))


@many
@given(answers.leaderboards(), languages)
def test_leaderboards_fit(answer: Leaderboard, options: CardOptions) -> None:
    check(leaderboard_card(answer, options))


@many
@given(answers.weapon_tables(), languages)
def test_weapons_fit(answer: WeaponTable, options: CardOptions) -> None:
    check(weapons_card(answer, options))


@many
@given(answers.maps(), languages)
def test_maps_fit(answer: MapAnswer, options: CardOptions) -> None:
    check(map_card(answer, options))


def test_the_check_sees_texts_that_overlap_or_leave() -> None:
    from bot.cards.theme import BODY

    sheet = Sheet(DARK)
    sheet.text(40, 40, "one", BODY)
    sheet.text(50, 45, "two", BODY)
    sheet.text(sheet.width - 5, 100, "three", BODY, width=400)
    sheet.below = 200
    found = mistakes(sheet)
    assert any("lies on" in line for line in found)
    assert any("leaves" in line for line in found)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_text_becomes_one_visible_line(text: str) -> None:
    shown = one_line(text)
    assert shown
    assert shown.isprintable()
    assert shown == shown.strip()
    assert not any(one in shown for one in "\u202e\u2066\n\t\u200b")


@pytest.mark.parametrize("name", HARD_NAMES)
def test_every_letter_has_a_glyph(name: str, recwarn: pytest.WarningsRecorder) -> None:
    from bot.cards.drawing import glyphs
    from bot.cards.theme import BODY

    shown = glyphs.drawable(one_line(name))
    assert all(ord(letter) in glyphs._alphabet() for letter in shown)
    sheet = Sheet(DARK)
    sheet.text(40, 40, one_line(name), BODY)
    sheet.below = 100
    text_boxes(sheet)
    assert not recwarn.list


def test_letters_without_a_glyph_are_spelled_out() -> None:
    from bot.cards.drawing import glyphs

    assert glyphs.drawable("\uae40") == "Gim"
    assert glyphs.drawable("\u795e\u98a8") == "\u795e\u98a8"
    assert glyphs.drawable("\U000e0100") == "\N{REPLACEMENT CHARACTER}"


def test_names_that_do_not_fit_end_with_an_ellipsis() -> None:
    from bot.cards.drawing.sheet import ELLIPSIS, fitted, text_width
    from bot.cards.theme import BODY

    widths = [text_width(fitted("W" * 40, BODY, width), BODY) for width in (50, 100, 200)]
    assert fitted("W" * 40, BODY, 100).endswith(ELLIPSIS)
    assert all(width <= room for width, room in zip(widths, (50, 100, 200), strict=True))
    assert all(one < other for one, other in pairwise(widths))
    assert fitted("short", BODY, 100) == "short"
