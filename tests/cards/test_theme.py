"""Colours that everybody can read, and the same words in each language."""

from __future__ import annotations

from dataclasses import fields
from string import Formatter

import pytest

from bot.cards.drawing.sheet import DASHES, MARKERS
from bot.cards.theme import DARK, LIGHT, THEMES, Theme, contrast
from bot.cards.words import DE, EN, Words, words_for
from bot.stats.leaderboards import METRICS, WhyEmpty
from bot.stats.matches import WhyResult


def test_contrast_is_as_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name.value)
def test_every_text_can_be_read_on_what_it_stands_on(theme: Theme) -> None:
    weak = {pair: contrast(*pair) for pair in theme.text_pairs() if contrast(*pair) < 4.5}
    assert weak == {}


DISCORD_DARK = ("#313338", "#2b2d31", "#323339", "#1a1a1e")


def test_the_dark_card_stands_on_discord() -> None:
    # The card has a ground of its own; who looks at it with a transparent client still reads the main text.
    for ground in DISCORD_DARK:
        assert contrast(DARK.ink, ground) >= 4.5


def seen_with(colour: str, matrix: tuple[tuple[float, float, float], ...]) -> tuple[float, ...]:
    """A colour as somebody without one kind of cones sees it (Vienot, Brettel and Mollon 1999), linear light."""
    channels = [(int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
    return tuple(sum(weight * channel for weight, channel in zip(row, channels, strict=True)) for row in matrix)


PROTAN = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTAN = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("matrix", [PROTAN, DEUTAN], ids=["protan", "deutan"])
def test_the_teams_look_different_without_red_or_green_cones(
    theme: Theme, matrix: tuple[tuple[float, float, float], ...]
) -> None:
    for one, other in (theme.teams, theme.sides, theme.series[:2]):
        apart = sum((a - b) ** 2 for a, b in zip(seen_with(one, matrix), seen_with(other, matrix), strict=True)) ** 0.5
        assert apart > 0.2


def test_lines_differ_in_more_than_colour() -> None:
    assert len(set(DASHES)) == len(set(MARKERS)) == len(DARK.series) == len(LIGHT.series)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_each_language_fills_in_the_same() -> None:
    for item in fields(Words):
        ours, theirs = getattr(EN, item.name), getattr(DE, item.name)
        assert type(ours) is type(theirs)
        if isinstance(ours, str):
            assert placeholders(ours) == placeholders(theirs), item.name
            assert theirs, item.name
        elif isinstance(ours, tuple):
            assert len(ours) == len(theirs)


def test_german_has_a_word_for_everything() -> None:
    assert set(DE.metrics) == set(DE.formulas) == set(METRICS)
    assert set(DE.why_empty) == {why.name for why in WhyEmpty}
    assert set(DE.reasons) == set(EN.reasons) == {why.name for why in WhyResult}
    assert {why.name: why.value for why in WhyResult} == EN.reasons


@pytest.mark.parametrize(("locale", "language"), [("de", "de"), ("en-GB", "en"), ("fr", "en"), (None, "en")])
def test_a_locale_finds_its_words(locale: str | None, language: str) -> None:
    assert words_for(locale).language == language
