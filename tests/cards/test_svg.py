"""Pictures for the web page: text as text, named for screen readers, with nothing in them that runs."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings

from bot.cards.drawing.painter import paint
from bot.cards.picture import Card, CardOptions, ImageFormat, ThemeName
from bot.cards.player import player_card
from bot.cards.session import session_card
from bot.stats.matches import PlayerInfo
from bot.stats.players import PlayerAnswer
from bot.stats.sessions import SessionAnswer, SessionPlayer
from bot.stats.totals import Totals
from tests.cards import answers

SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {
    "svg", "title", "desc", "defs", "style", "g", "path", "text", "tspan", "use", "clipPath", "rect",
}  # fmt: skip


def drawn(card: Card) -> ET.Element:
    data, _, _ = paint(card, ThemeName.DARK, ImageFormat.SVG, 2.0)
    return ET.fromstring(data)


def named(name: str) -> SessionAnswer:
    player = SessionPlayer(PlayerInfo(1, "0000ABCD", name), Totals(rounds=2, kills=3, time_played=600), True)
    server = replace(answers.SERVER, name=name)
    return SessionAnswer(1, server, answers.START, answers.START + 900, True, 2, 0, (), (), (player,), {})


def harmless(root: ET.Element) -> None:
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in HARMLESS
        for key, value in element.attrib.items():
            assert not key.lower().startswith("on")
            assert not value.strip().lower().startswith(("javascript:", "data:", "http"))
            if key.endswith("href"):
                assert value.startswith("#")


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><image href=x onerror=y>',
        "]]>",
        "&amp;&",
        "x' onload='y",
        "url(http://x)",
        "$x^2$",
        "\\frac{1}{2}",
    ],
)
def test_a_hostile_name_is_only_text(name: str) -> None:
    root = drawn(session_card(named(name), CardOptions()))
    harmless(root)
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert name in texts
    assert name in (root.findtext(f"{SVG}desc") or "")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(answers.sessions(12))
def test_any_session_is_harmless(answer: SessionAnswer) -> None:
    harmless(drawn(session_card(answer, CardOptions())))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(answers.players())
def test_a_screen_reader_gets_the_facts(answer: PlayerAnswer) -> None:
    card = player_card(answer, CardOptions())
    root = drawn(card)
    assert root.get("role") == "img"
    labels = (root.get("aria-labelledby") or "").split()
    assert [root.find(f"*[@id='{label}']") is not None for label in labels] == [True, True]
    assert root.findtext(f"{SVG}title") == card.title
    assert root.findtext(f"{SVG}desc") == card.alt_text


def test_text_stays_text_and_keeps_its_width_in_other_typefaces() -> None:
    root = drawn(session_card(named("anna"), CardOptions()))
    texts = list(root.iter(f"{SVG}text"))
    assert "anna" in ["".join(text.itertext()) for text in texts]
    assert all(float(text.get("textLength", "0")) > 0 for text in texts)
    assert all("'Roboto'" in text.get("style", "") for text in texts)
    assert all("sans-serif; " in text.get("style", "") for text in texts)
    assert root.get("width") == root.get("viewBox", "").split()[2] == "640"


def test_the_same_card_gives_the_same_bytes() -> None:
    card = session_card(named("anna"), CardOptions())
    for image in ImageFormat:
        assert paint(card, ThemeName.LIGHT, image, 2.0) == paint(card, ThemeName.LIGHT, image, 2.0)
