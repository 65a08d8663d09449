"""How high a picture gets is known before it is drawn: a page that holds it does not jump."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.cards.compare import comparison_card
from bot.cards.drawing.painter import paint, sheet_of
from bot.cards.leaderboard import leaderboard_card
from bot.cards.maps import map_card
from bot.cards.picture import Card, CardOptions, ImageFormat, ThemeName
from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.sizes import height
from bot.cards.theme import SMALL
from bot.cards.timeline import timeline_card
from bot.cards.weapons import weapons_card
from bot.cards.words import DE, EN
from tests.cards import answers

SPARE = 4 * SMALL.line
"""Units that may stay empty: where lines break is counted without a typeface."""

many = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)

OPTIONS = (CardOptions(words=EN), CardOptions(words=DE, as_of=answers.START))


@st.composite
def cards(draw: st.DrawFn) -> list[Card]:
    """Return a card of each kind."""
    options = draw(st.sampled_from(OPTIONS))
    evening, match = draw(answers.sessions()), draw(answers.match_answers())
    return [
        session_card(evening, options),
        timeline_card(evening, options),
        match_card(match, options),
        *(round_card(match, played.number, options) for played in match.match.rounds),
        player_card(draw(answers.players()), options),
        comparison_card(draw(answers.comparisons()), options),
        leaderboard_card(draw(answers.leaderboards()), options),
        map_card(draw(answers.maps()), options),
        weapons_card(draw(answers.weapon_tables()), options),
    ]


@many
@given(cards())
def test_no_picture_is_higher_than_was_said_nor_much_lower(found: list[Card]) -> None:
    for card in found:
        drawn = sheet_of(card, ThemeName.DARK).below
        assert drawn <= height(card) <= drawn + SPARE, type(card).__name__


@pytest.mark.parametrize("image", list(ImageFormat))
def test_a_picture_is_as_high_as_was_asked_for(image: ImageFormat) -> None:
    from tests.cards.test_svg import named

    card = session_card(named("anna"), CardOptions())
    drawn = paint(card, ThemeName.DARK, image, 1.0)
    taller = paint(card, ThemeName.DARK, image, 1.0, drawn[2] + 50)
    assert taller[1:] == (drawn[1], drawn[2] + 50)
    assert paint(card, ThemeName.DARK, image, 1.0, drawn[2] - 50) == drawn


def test_what_nothing_draws_has_no_height() -> None:
    from tests.cards.test_studio import Untrue

    with pytest.raises(TypeError, match="Untrue"):
        height(Untrue())
