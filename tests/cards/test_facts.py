"""What stands on the pictures is what the answers say: on the sheet and in the description alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.cards.alt import Part, told
from bot.cards.compare import AXES, comparison_card
from bot.cards.drawing.painter import sheet_of
from bot.cards.drawing.sheet import Drawn, Point
from bot.cards.leaderboard import leaderboard_card
from bot.cards.letters import one_line, slug
from bot.cards.maps import map_card
from bot.cards.numbers import clock, day, hours, number, percent, short
from bot.cards.picture import ALT_TEXT_LIMIT, Card, CardError, CardOptions, ThemeName
from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.timeline import timeline_card
from bot.cards.weapons import weapons_card
from bot.cards.words import DE, EN
from bot.db.engine import Database
from bot.stats.compare import compare
from bot.stats.leaderboards import leaderboard
from bot.stats.maps import map_answer
from bot.stats.matches import match_answer
from bot.stats.players import find_player, player_answer
from bot.stats.sessions import find_session, session_answer
from bot.stats.weapons import weapon_table
from tests.stats.games import Person, at, import_all, people, play_match

OPTIONS = CardOptions(as_of=1_763_676_000)


def texts(card: Card) -> list[str]:
    """Every text on the sheet."""
    return [thing.text for thing in sheet_of(card, ThemeName.DARK).things if isinstance(thing, Drawn)]


@pytest.fixture
async def evening(database: Database) -> Database:
    """Three maps: the first attackers win, then the second ones, then nobody; and one without its round 2."""
    axis = [Person(1, "anna", kills=9, deaths=3, damage_given=2000, hits=30, shots=100), *people(2, first=2)]
    allies = [Person(4, "B[o]b", kills=2, deaths=8, damage_given=500), *people(2, first=5)]
    played = [
        *play_match(at("2025-10-20 20:00"), "supply", axis, allies, first_completes=True, second_completes=False),
        *play_match(at("2025-10-20 20:30"), "adlernest", axis, allies, first_completes=True, second_completes=True),
        *play_match(at("2025-10-20 21:00"), "goldrush", axis, allies, first_completes=False, second_completes=False),
        *play_match(at("2025-10-20 21:30"), "brewdog", axis, allies, only=1),
    ]
    await import_all(database, played)
    return database


async def ask(database: Database, question: Any, *arguments: Any, **named: Any) -> Any:
    async with database.read() as connection:
        return await question(connection, *arguments, **named)


async def the_session(database: Database) -> Any:
    return await ask(database, session_answer, await ask(database, find_session))


async def test_a_session_says_who_won_and_why(evening: Database) -> None:
    answer = await the_session(evening)
    card = session_card(answer, OPTIONS)
    teams = answer.line_ups[0]
    assert (card.line_ups[0].team_a.score, card.line_ups[0].team_b.score) == (
        str(teams.team_a.score),
        str(teams.team_b.score),
    )
    assert card.title == "Mon 20 Oct 2025"
    on_sheet = texts(card)
    for expected in ("supply", "adlernest", "goldrush", "brewdog", "missing", "1 : 1", "anna", "B[o]b"):
        assert expected in on_sheet
    for shown, played in zip(card.maps, answer.matches, strict=True):
        assert shown.first.team == played.attacked_first
        assert shown.second.team == ("" if played.match.round_2 is None else played.attacked_first.other)
    assert [item.points for item in card.maps] == ["2 : 0", "0 : 2", "1 : 1", "\N{EN DASH}"]
    assert card.line_ups[0].verdict == ("Draw" if teams.team_a.score == teams.team_b.score else "Team A wins")
    for item in answer.players:
        assert f"{item.player.name} (" in card.alt_text
        assert f"DPM {item.totals.dpm:.0f}, K/D {item.totals.kd:.2f}" in card.alt_text
        assert f"{item.totals.dpm:.0f}" in on_sheet
        assert f"{item.totals.kd:.2f}" in on_sheet
        assert f"{item.totals.accuracy:.1f}%" in on_sheet
    assert "full hold 10:00" in card.alt_text
    assert "brewdog B" in card.alt_text or "brewdog A" in card.alt_text


async def test_everything_on_a_session_card_comes_from_its_texts(evening: Database) -> None:
    card = session_card(await the_session(evening), OPTIONS)
    said = repr(card)
    for text in texts(card):
        assert text.rstrip(",") in said or text in (":", "A : B") or ", " in text


async def test_an_attack_that_is_not_known_has_no_number(evening: Database) -> None:
    answer = await the_session(evening)
    item = answer.matches[0]
    first = replace(item.match.rounds[0], seconds=None)
    broken = replace(item, match=replace(item.match, rounds=(first,)))
    card = session_card(replace(answer, matches=(broken,)), OPTIONS)
    assert card.maps[0].first.text == "\N{EN DASH}"
    assert card.maps[0].second.text == "missing"
    timeline = timeline_card(replace(answer, matches=(broken,)), OPTIONS)
    assert timeline.matches[0].attacks[0].share is None


async def test_what_the_answer_does_not_have_is_a_dash(evening: Database) -> None:
    answer = await the_session(evening)
    unknown = replace(answer.players[0].totals, revives_given=None, time_played=0, accuracy_shots=0)
    card = session_card(replace(answer, players=(replace(answer.players[0], totals=unknown),)), OPTIONS)
    assert card.players[0].values[0] == "\N{EN DASH}"
    assert card.players[0].values[2] == "\N{EN DASH}"
    assert card.players[0].values[4] == "\N{EN DASH}"


async def test_labels_of_mixed_line_ups_are_not_mixed_up(evening: Database) -> None:
    answer = await the_session(evening)
    one = answer.line_ups[0]
    twice = replace(answer, line_ups=(replace(one, matches=(1, 2, 4)), replace(one, matches=(3,))))
    card = session_card(twice, OPTIONS)
    assert {item.team for item in card.players} == {""}
    assert [item.name for item in card.line_ups] == ["Line-up 1, maps 1\N{EN DASH}2, 4", "Line-up 2, map 3"]
    assert "Line-up 2, map 3, Team A" in card.alt_text


async def test_a_session_without_teams_or_result_says_so(evening: Database) -> None:
    answer = await the_session(evening)
    card = session_card(replace(answer, line_ups=(), counted=False), OPTIONS)
    assert card.without_teams == EN.no_teams
    assert EN.session_not_counted in card.alt_text
    undecided = replace(answer.matches[3], line_up=1)
    card = session_card(replace(answer, matches=(undecided,)), OPTIONS)
    assert card.line_ups[0].verdict == EN.no_result
    assert card.line_ups[0].team_a.score == "\N{EN DASH}"


async def test_scoreboards_have_every_player(evening: Database) -> None:
    session = await the_session(evening)
    answer = await ask(evening, match_answer, session.matches[0].match.key)
    card = match_card(answer, OPTIONS)
    assert card.verdict == "Won by those who attacked first"
    assert [group.title for group in card.groups] == ["Attacked first, winners", "Attacked second"]
    for item in answer.players:
        assert f"{item.player.name} DPM {item.totals.dpm:.0f}" in card.alt_text
    second = round_card(answer, 2, OPTIONS)
    played = answer.match.round_2
    for row in answer.by_round[played.id]:
        assert f"{row.name} DPM {row.totals.dpm:.0f}" in second.alt_text
    assert "Axis, attacked" in second.alt_text or "Axis, defended" in second.alt_text
    with pytest.raises(CardError, match="no round 3"):
        round_card(answer, 3, OPTIONS)


async def test_a_round_that_is_missing_is_refused(evening: Database) -> None:
    session = await the_session(evening)
    answer = await ask(evening, match_answer, session.matches[3].match.key)
    with pytest.raises(CardError, match="no round 2"):
        round_card(answer, 2, OPTIONS)
    assert "round 2 is missing" in match_card(answer, OPTIONS).alt_text


async def test_a_player_has_his_numbers_ranks_and_form(evening: Database) -> None:
    found = await ask(evening, find_player, "anna")
    answer = await ask(evening, player_answer, found.id)
    card = player_card(answer, OPTIONS)
    assert card.title == "anna"
    for tile, rank in zip(card.tiles, answer.ranks.values(), strict=True):
        assert tile.rank == f"#{rank.rank} of {rank.of}"
        assert f"{tile.label} {tile.value} ({tile.rank})" in card.alt_text
    assert f"{answer.totals.rounds} rounds" in card.alt_text
    assert [point.rounds for point in card.form] == [str(item.totals.rounds) for item in reversed(answer.sessions)]
    assert [point.dpm for point in card.form] == [f"{item.totals.dpm:.0f}" for item in reversed(answer.sessions)]
    newest = answer.sessions[0]
    older = replace(newest, started_at=newest.started_at - 7 * 86_400)
    days = [point.day for point in player_card(replace(answer, sessions=(newest, older)), OPTIONS).form]
    assert days == ["13 Oct", "20 Oct"]
    below = replace(answer, ranks={key: replace(rank, rank=None) for key, rank in answer.ranks.items()})
    assert all(tile.rank.startswith("from ") for tile in player_card(below, OPTIONS).tiles)


async def test_a_comparison_draws_the_percentiles(evening: Database) -> None:
    ids = [(await ask(evening, find_player, name)).id for name in ("anna", "B[o]b")]
    answer = await ask(evening, compare, ids)
    card = comparison_card(answer, OPTIONS)
    by_key = {item.metric.key: item for item in answer.metrics}
    for place, player in enumerate(card.players):
        assert player.percentiles == tuple(by_key[key].values[place].percentile for key in AXES)
        for title, value, shown in zip(card.metrics, player.values, player.shown, strict=True):
            assert f"{title} {value} ({shown})" in card.alt_text
    assert "anna" in texts(card)


async def test_a_leaderboard_has_its_places_and_minimum(evening: Database) -> None:
    answer = await ask(evening, leaderboard, "kills")
    card = leaderboard_card(answer, OPTIONS)
    assert [place.name for place in card.places] == [entry.player.name for entry in answer.entries]
    assert f"min. {answer.min_rounds} round" in card.alt_text
    assert card.places[0].share == 1
    for entry in answer.entries:
        assert f"{entry.rank} {entry.player.name} {entry.value:.0f} ({entry.rounds})" in card.alt_text
    empty = await ask(evening, leaderboard, "kills", min_rounds=999)
    assert "nobody reaches the minimum" in leaderboard_card(empty, OPTIONS).alt_text


async def test_weapons_have_their_shares(evening: Database) -> None:
    answer = await ask(evening, weapon_table)
    card = weapons_card(answer, OPTIONS)
    assert [row.name for row in card.weapons] == [line.sums.weapon.display for line in answer.weapons]
    assert f"Kills {answer.weapons[0].sums.kills}" in card.alt_text


async def test_attack_times_mark_holds(evening: Database) -> None:
    answer = await the_session(evening)
    card = timeline_card(answer, OPTIONS)
    hows = [[bar.how for bar in item.attacks] for item in card.matches]
    assert hows == [["reached", "held"], ["reached", "reached"], ["held", "held"], ["reached", "other"]]
    assert "full hold" in card.alt_text
    assert "missing" in card.alt_text


async def test_a_map_marks_how_its_attacks_went(evening: Database) -> None:
    answer = await ask(evening, map_answer, "adlernest")
    held = await ask(evening, map_answer, "goldrush")
    card = map_card(replace(answer, timeline=(*answer.timeline, *held.timeline)), OPTIONS)
    assert [mark.kind.value for mark in card.marks] == ["first", "second", "held", "held"]
    assert [round(mark.along, 2) for mark in card.marks] == [0, 0.33, 0.67, 1]
    assert card.marks[0].share == answer.timeline[0].seconds / 600
    assert card.levels[-1] == (1, "10:00")
    shown = {thing.shape for thing in sheet_of(card, ThemeName.DARK).things if isinstance(thing, Point)}
    assert len(shown) == 3
    for told_there in ("1st attack, completed: 1", "2nd attack, completed: 1", "full hold: 2"):
        assert told_there in texts(card)
        assert told_there in card.alt_text
    assert f"20 Oct 2025 2nd attack {clock(held.timeline[-1].seconds)} full hold" in card.alt_text


async def test_german_uses_its_own_separators(evening: Database) -> None:
    card = session_card(await the_session(evening), CardOptions(words=DE, as_of=1_763_676_000))
    assert "K/D 3,00" in card.alt_text
    assert card.title == "Mo 20. Okt 2025"
    assert "Stand 20. Nov 2025" in card.foot[-1]


async def test_the_zone_is_the_askers_or_the_servers(evening: Database) -> None:
    answer = await the_session(evening)
    assert "20:00" in session_card(answer, OPTIONS).subtitles[0]
    assert "CEST" in session_card(answer, OPTIONS).subtitles[0]
    assert "18:00" in session_card(answer, replace(OPTIONS, zone="UTC")).subtitles[0]


def test_numbers_read_as_the_language_has_them() -> None:
    assert number(1234.5, EN, 1) == "1,234.5"
    assert number(1234.5, DE, 1) == "1.234,5"
    assert number(None, EN) == "\N{EN DASH}"
    assert percent(12.34, DE) == "12,3 %"
    assert (short(9999, EN), short(18_201, EN), short(2_500_000, DE)) == ("9,999", "18.2k", "2,50M")
    assert (clock(59), clock(3600), clock(None)) == ("0:59", "1:00:00", "\N{EN DASH}")
    assert (hours(3540, EN), hours(5040, EN)) == ("59 min", "1 h 24 min")
    assert day(1_763_676_000, "Europe/Berlin", EN, weekday=True) == "Thu 20 Nov 2025"


def test_a_long_description_leaves_out_and_counts() -> None:
    parts = [Part("Maps", tuple(f"map {n}" for n in range(200))), Part("Players", ("anna",))]
    text = told("Head.", parts, "and {count} more")
    assert len(text) <= ALT_TEXT_LIMIT
    assert text.endswith("Players: anna.")
    shown = text.count("map ")
    assert f"and {200 - shown} more" in text
    assert len(told("x" * 5000, [], "")) == ALT_TEXT_LIMIT


def test_a_file_name_is_plain() -> None:
    assert slug("../../etc/passwd\x00\u202e") == "etc-passwd"
    assert slug("\u795e") == "card"
    assert one_line("a\u202eb") == "ab"
