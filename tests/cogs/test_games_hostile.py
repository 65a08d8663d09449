"""Names from strangers in every answer about games: nothing pings, formats, links or breaks a limit of Discord's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.texts import Language, Told, match_told, round_told, session_told
from bot.cards.texts_maps import map_told, maps_lines, status_told, weapon_told, weapons_told
from bot.cards.texts_people import comparison_told, leaderboard_told, player_told, records_told
from bot.cards.words import words_for
from bot.client import StatsBot
from bot.cogs.panel import panel
from bot.db.engine import Database
from bot.locales import catalogue
from bot.stats.compare import COMPARED, ComparedMetric, ComparedPair, ComparedValue, Comparison
from bot.stats.form import MapOutcome, PlayerForm, Streak
from bot.stats.hiding import without
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Leaderboard, LeaderboardEntry
from bot.stats.maps import Attacks, FastAttack, MapAnswer, MapInfo
from bot.stats.matches import PlayerInfo, ServerInfo, match_answer
from bot.stats.partners import MapRecord, Partner, PartnersAnswer
from bot.stats.players import PlayerAnswer, PlayerName
from bot.stats.record_lines import RECORD_MINIMUMS, Grain
from bot.stats.records import RecordMark, Records
from bot.stats.rounds import RoundAward, find_round, round_answer
from bot.stats.server_status import OnlinePlayer, ServerStatus
from bot.stats.sessions import find_session, session_answer
from bot.stats.totals import Totals
from bot.stats.weapons import WeaponAnswer, WeaponEntry, WeaponLine, WeaponOrder, WeaponSums, WeaponTable
from parsers import WEAPONS, MapResult
from tests.cogs.gaming import evening, played, shows
from tests.standins.discord import World
from tests.stats.games import Person, at, import_all, play_match

NASTY = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "@everyone",
            "@here",
            "<@1>",
            "<@&2>",
            "<#3>",
            "</last:4>",
            "<t:1:R>",
            "[click](https://evil.example)",
            "https://evil.example",
            "```ansi\n\x1b[31m",
            "||spoiler||",
            "**bold**__under__~~strike~~",
            "# heading",
            "> quote",
            "-# small",
            "1. list",
            "\u202egnihtemos",
            "Z\u0300\u0301\u0302\u0303\u0304\u0305algo",
            "^1^2^3",
            "",
            "\\",
            "`" * 40,
            "a" * 500,
        ]
    ),
)

LIVE = re.compile(r"(?:@(?:everyone|here)|<@[!&]?\d|<#\d|<a?:\w+:\d|</[^>]+:\d|\]\()|https?:/")
"""What would ping or link; our own timestamps are not among it."""


def unescaped(text: str) -> str:
    """Return what Discord would read as markup: without what a backslash takes the meaning of."""
    return re.sub(r"\\.", "", text, flags=re.DOTALL)


def told_of(name: str, say: Language) -> list[Told]:
    """Return every kind of answer, with a name wherever one can stand."""
    player = PlayerInfo(1, "ABCDEF01", name)
    other = PlayerInfo(2, "ABCDEF02", name)
    totals = Totals(rounds=3, kills=5, deaths=2, time_played=600, damage_given=1000, accuracy_shots=9)
    record = MapRecord(3, 1, 0)
    metric = METRICS["dpm"]
    scope = replace(ALL_ROUNDS, map_name=name, server=(name,))
    value = ComparedValue(12.5, 3, None, 50.0, True)
    compared = tuple(ComparedMetric(METRICS[key], (value,) * 4, 1, 0, 9) for key in COMPARED)
    pair = ComparedPair(player, other, record, record, record, record)
    board = Leaderboard(
        metric, scope, 1, 0, 3, 40, 40, tuple(LeaderboardEntry(n, player, 9.0, 3) for n in range(40)), None
    )
    mark = RecordMark(1, player, 9.0, ServerInfo(1, name, "UTC"), 1, name, name, 1, 1, 1741114800)
    marks = tuple(
        Records(item, Grain.ROUND, scope, RECORD_MINIMUMS[Grain.ROUND], (mark,) * 5, {"bots": 3}, None)
        for item in METRICS.values()
    )
    sums = WeaponSums(WEAPONS[4], 10, 40, 3, 1, 2)
    entries = tuple(WeaponEntry(n, player, 25.0, sums) for n in range(40))
    form = PlayerForm((MapOutcome.WON,) * 10, Streak(MapOutcome.WON, 3), 4, 2, (), 3, 3)
    company = PartnersAnswer(player, scope, (Partner(other, record),) * 10, (Partner(other, record),) * 10, 1, 1, 9, 9)
    names = (PlayerName(name, 1, 2), PlayerName(name + "x", 1, 2))
    answer = PlayerAnswer(player, scope, 1, 2, names, totals, {}, (), (), (), ())
    fast = FastAttack(90, 1, 1, name, 1, 1741114800, (player,) * 12)
    a_map = MapAnswer(name, scope, 9, dict.fromkeys(MapResult, 1), Attacks(1, 1), Attacks(), (fast,) * 5, board, (), ())
    online = tuple(OnlinePlayer(name, 1, 1) for _ in range(64))
    return [
        player_told(answer, form, company, say),
        comparison_told(Comparison((player, other) * 2, scope, (3,) * 4, compared, (pair,) * 6), say),
        leaderboard_told(board, say),
        records_told(marks, Grain.ROUND, say),
        records_told(marks[:1], Grain.SESSION, say),
        map_told(a_map, say),
        Told("maps", (), tuple(maps_lines([MapInfo(name, 1, 1, 1)], say))),
        weapons_told(WeaponTable(scope, (WeaponLine(sums, 3, 50.0),) * 28, None), say),
        weapon_told(WeaponAnswer(WEAPONS[4], WeaponOrder.KILLS, scope, sums, 0, 40, 40, entries, None), say),
        status_told(ServerStatus("main", name, name, online, 64, 20.0, True, name, 1741114800, 0.01), say),
    ]


def check(told: Told, name: str) -> None:
    """Fail where an answer would do more than show a name, or is more than Discord takes."""
    text = "\n".join((told.title, *told.brief, *told.full))
    assert not LIVE.search(unescaped(text)), (name, text)
    assert "\u202e" not in text
    assert "\x1b" not in text
    for blocks in (told.brief, told.full):
        view = panel(told.title, *blocks)
        shown = sum(len(item.content) for item in view.walk_children() if hasattr(item, "content"))
        assert shown <= 4000
        assert view.total_children_count <= 40
    # Pairs of marks that are open would format what follows them.
    assert unescaped(text).count("**") % 2 == 0, text


@given(NASTY)
@settings(max_examples=150, deadline=None)
def test_no_name_pings_links_or_breaks_a_limit(name: str) -> None:
    for tag in ("en", "de"):
        for told in told_of(name, Language(catalogue().texts(tag), words_for(tag))):
            check(told, name)


@given(NASTY)
@settings(max_examples=60, deadline=None)
def test_lines_stay_lines(name: str) -> None:
    """A name with line breaks cannot begin a heading, a list or a quote of its own."""
    say = Language(catalogue().texts("en"), words_for("en"))
    usual = [len("\n".join(told.full).splitlines()) for told in told_of("anna", say)]
    assert [len("\n".join(told.full).splitlines()) for told in told_of(name, say)] == usual


async def test_evenings_with_any_names(database: Database) -> None:
    """Sessions, matches and rounds as they are stored, with every name in them replaced."""
    await import_all(database, evening())
    async with database.read() as connection:
        session = await session_answer(connection, await find_session(connection))
        match = await match_answer(connection, session.matches[0].match.key)
        played = await round_answer(connection, await find_round(connection))
    everybody = frozenset(player.player.id for player in session.players)

    @given(NASTY)
    @settings(max_examples=80, deadline=None)
    def holds(name: str) -> None:
        server = replace(session.server, name=name)
        maps = tuple(replace(item, match=replace(item.match, map_name=name)) for item in session.matches)
        one = replace(session, server=server, matches=maps)
        two = replace(match, server=server, match=replace(match.match, map_name=name))
        three = replace(played, server=server, map_name=name, awards=(RoundAward(name, None, name, name, False),) * 20)
        for tag in ("en", "de"):
            say = Language(catalogue().texts(tag), words_for(tag))
            hidden = everybody
            check(session_told(without(one, hidden, name), say), name)
            check(match_told(without(two, hidden, name), say), name)
            check(round_told(without(three, hidden, name), say), name)

    holds()


HOSTILE: list[Callable[[int], str]] = [
    lambda n: f"@everyone{n}",
    lambda n: f"<@{n}>",
    lambda n: f"[x](https://evil.example/{n})",
    lambda n: f"```{n}||",
    lambda n: f"# {n} **_~~",
    lambda n: f"</last:{n}>",
]


async def test_hostile_names_through_the_whole_bot(bot: StatsBot, world: World) -> None:
    people = [Person(n + 1, make(n), kills=n + 1) for n, make in enumerate(HOSTILE)]
    files = play_match(at("2025-03-04T20:00"), "supply", people[:3], people[3:])
    await shows(bot, world.guild, await played(bot, files))
    alice = world.user("alice")
    for line, options in (
        ("last", {}),
        ("match", {}),
        ("round", {}),
        ("leaderboard", {"metric": "kills"}),
        ("map", {"map": "supply"}),
        ("weapon", {"weapon": "MP40"}),
        ("player", {"player": "00000001"}),
        ("compare", {"player1": "00000001", "player2": "00000002"}),
    ):
        reply = await alice.slash(line, options=options)
        assert not LIVE.search(unescaped(reply.text)), (line, reply.text)
    offered = await alice.autocomplete("player", player="")
    assert {choice.value for choice in offered} == {f"{n + 1:08X}" for n in range(len(HOSTILE))}
    assert world.record.pings == []
