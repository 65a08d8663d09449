"""Made-up answers of any size, with the names that people give themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from bot.stats.compare import ComparedMetric, ComparedValue, Comparison
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Leaderboard, LeaderboardEntry, Scope, WhyEmpty
from bot.stats.maps import Attacks, MapAnswer, TimelinePoint
from bot.stats.matches import (
    MatchAnswer,
    MatchInfo,
    PlayerInfo,
    PlayerInMatch,
    PlayerInRound,
    RoundInfo,
    RoundOutcome,
    ServerInfo,
    WhyResult,
)
from bot.stats.players import (
    RANKED,
    PlayerAnswer,
    PlayerMap,
    PlayerName,
    PlayerSession,
    PlayerWeapon,
    Rank,
)
from bot.stats.sessions import SessionAnswer, SessionLineUp, SessionMatch, SessionPlayer, Team, TeamMember
from bot.stats.teams import TeamLabel
from bot.stats.totals import Totals
from bot.stats.weapons import WeaponLine, WeaponSums, WeaponTable
from parsers import WEAPONS, MapResult

START = 1_763_672_400
SERVER = ServerInfo(1, "main", "Europe/Berlin")

HARD_NAMES = (
    "W" * 35,
    "i" * 35,
    "\u795e\u98a8\u30d7\u30ec\u30a4\u30e4\u30fc" * 4,
    "\uae40\ucca0\uc218",
    "\u4e2d\u56fd\u73a9\u5bb6\u7b80\u4f53\u5b57",
    "\u041f\u0440\u0438\u0432\u0435\u0442",
    "Z\u0351\u036b\u0343a\u0306\u0308\u030al\u0342\u030bgo\u0300\u0301\u0302\u0303\u0304",
    "\u202etxt.exe\u202c",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f9e8\U0001f480\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "$x^2$ \\frac{1}{2}",
    "<script>alert(1)</script>",
    "]]>&lt;!--",
    "a\nb\tc\x00d",
    " ",
    "\u200b",
    "\U0010ffff\ue000",
    "\ufdfd" * 5,
    "{count} {0} %s",
)

names = st.one_of(
    st.sampled_from(HARD_NAMES),
    st.text(min_size=1, max_size=35),
    st.text(alphabet=st.characters(codec="latin-1"), min_size=1, max_size=35),
)


@st.composite
def totals(draw: st.DrawFn, most_rounds: int = 30) -> Totals:
    count = st.integers(0, 1_000_000)
    maybe: Any = st.none() | count
    return Totals(
        rounds=draw(st.integers(1, max(1, most_rounds))),
        time_played=draw(st.integers(0, 4_000_000)),
        kills=draw(count),
        deaths=draw(st.integers(0, 3) | count),
        accuracy_hits=draw(st.integers(0, 5000)),
        accuracy_shots=draw(st.integers(0, 20000)),
        accuracy_headshots=draw(st.integers(0, 900)),
        damage_given=draw(count),
        damage_received=draw(count),
        revives_given=draw(maybe),
        denied_playtime=draw(maybe),
    )


@st.composite
def infos(draw: st.DrawFn, most: int = 40, least: int = 0) -> list[PlayerInfo]:
    found = draw(st.lists(names, min_size=least, max_size=most))
    return [PlayerInfo(number, f"{number:08X}", name) for number, name in enumerate(found, 1)]


map_names = st.sampled_from(
    ("supply", "et_brewdog", "sw_goldrush_te", "m" * 64, "W" * 64, "etl_sp_delivery_te_final_b3")
)


@st.composite
def rounds(draw: st.DrawFn, number: int) -> RoundInfo:
    outcome = draw(st.sampled_from(RoundOutcome))
    return RoundInfo(
        id=draw(st.integers(1, 10_000)),
        file_name=f"round-{number}.txt",
        number=number,
        config="legacy6",
        defender=1,
        winner=draw(st.integers(0, 2)),
        outcome=outcome,
        time_limit=draw(st.none() | st.integers(1, 7200)),
        seconds=draw(st.none() | st.integers(0, 7200)),
        seconds_from="header",
        started_at=START,
        ended_at=START + 600,
        axis=3,
        allies=3,
        bots=0,
        flags=(),
        excluded=draw(st.none() | st.just("few_players")),
    )


@st.composite
def matches(draw: st.DrawFn, position: int = 1) -> MatchInfo:
    halves = draw(st.sampled_from(((1,), (2,), (1, 2), (1, 2), (1, 2))))
    complete = len(halves) == 2
    return MatchInfo(
        id=position,
        key=f"2025-11-20-2122{position:02}-supply",
        position=position,
        map_name=draw(map_names),
        status="complete" if complete else "unfinished",
        result=draw(st.none() | st.sampled_from(MapResult)) if complete else None,
        why=draw(st.sampled_from(WhyResult)),
        started_at=START + 1200 * position,
        ended_at=START + 1200 * position + 1200,
        rounds=tuple(draw(rounds(number)) for number in halves),
    )


@st.composite
def session_matches(draw: st.DrawFn, position: int, line_ups: int) -> SessionMatch:
    match = draw(matches(position))
    number = draw(st.none() | st.integers(1, line_ups)) if line_ups else None
    first = None if number is None else draw(st.sampled_from(TeamLabel))
    if match.result is None or first is None:
        return SessionMatch(match, number, first, None, None, None)
    if match.result is MapResult.DRAW:
        return SessionMatch(match, number, first, None, 1, 1)
    winner = first if match.result is MapResult.R1_ATTACKERS else first.other
    a_won = winner is TeamLabel.A
    return SessionMatch(match, number, first, winner, 2 * a_won, 2 * (not a_won))


@st.composite
def sessions(draw: st.DrawFn, most_players: int = 40) -> SessionAnswer:
    people = draw(infos(most_players))
    count = draw(st.integers(0, 6)) if len(people) > 1 else 0
    played = [draw(session_matches(position, count)) for position in range(1, draw(st.integers(0, 20)) + 1)]
    counted = draw(st.integers(0, 40))
    line_ups = []
    for number in range(1, count + 1):
        mine = [item for item in played if item.line_up == number]
        split = draw(st.integers(0, len(people)))
        members = [TeamMember(person, draw(st.integers(1, 9))) for person in people]
        both = draw(st.integers(0, 2))
        line_ups.append(
            SessionLineUp(
                Team(TeamLabel.A, tuple(members[: split + both]), sum(item.points_a or 0 for item in mine)),
                Team(TeamLabel.B, tuple(members[split:]), sum(item.points_b or 0 for item in mine)),
                tuple(item.match.position for item in mine),
            )
        )
    return SessionAnswer(
        id=1,
        server=replace(SERVER, name=draw(names)),
        started_at=START,
        ended_at=START + draw(st.integers(0, 40_000)),
        counted=draw(st.booleans()),
        rounds=counted,
        rounds_left_out=draw(st.integers(0, 3)),
        matches=tuple(played),
        line_ups=tuple(line_ups),
        players=tuple(SessionPlayer(person, draw(totals(counted)), draw(st.booleans())) for person in people),
        flags={},
    )


@st.composite
def match_answers(draw: st.DrawFn) -> MatchAnswer:
    match = draw(matches())
    by_round = {}
    for played in match.rounds:
        people = draw(infos(24))
        by_round[played.id] = tuple(
            PlayerInRound(person, person.name, draw(st.integers(0, 2)), "own", draw(totals(1))) for person in people
        )
    firsts = st.sampled_from((True, False, None))
    sums = tuple(PlayerInMatch(person, draw(firsts), draw(totals(2))) for person in draw(infos(48)))
    return MatchAnswer(replace(SERVER, name=draw(names)), 1, match, by_round, sums)


@st.composite
def players(draw: st.DrawFn) -> PlayerAnswer:
    info = PlayerInfo(7, "0000ABCD", draw(names))
    value = st.none() | st.floats(0, 1e6)
    ranks = {
        key: Rank(key, draw(value), draw(st.none() | st.integers(1, 9999)), draw(st.integers(0, 99999)), 50)
        for key in draw(st.sampled_from(((), RANKED)))
    }
    sessions_played = [
        PlayerSession(number, SERVER, START - 86_400 * 7 * number, draw(totals(40)))
        for number in range(draw(st.integers(0, 14)))
    ]
    weapons = [
        PlayerWeapon(
            weapon.name,
            weapon.display,
            draw(st.integers(0, 99_999)),
            3,
            4,
            5,
            1,
            draw(st.none() | st.floats(0, 100)),
            None,
        )
        for weapon in draw(st.lists(st.sampled_from(WEAPONS), max_size=8))
    ]
    return PlayerAnswer(
        player=info,
        scope=draw(st.sampled_from((ALL_ROUNDS, Scope(server="x" * 60, map_name="m" * 64)))),
        first_seen_at=START - 9_000_000,
        last_seen_at=START,
        names=(PlayerName(info.name, START, START),),
        totals=draw(st.just(Totals()) | totals(3000)),
        ranks=ranks,
        sessions=tuple(sessions_played),
        rounds=(),
        weapons=tuple(weapons),
        maps=tuple(PlayerMap(draw(map_names), draw(totals(400))) for _ in range(draw(st.integers(0, 8)))),
    )


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    people = draw(infos(4, 2))
    compared = []
    for metric in METRICS.values():
        values = tuple(
            ComparedValue(
                draw(st.none() | st.floats(0, 1e5)),
                draw(st.integers(0, 9999)),
                None,
                draw(st.none() | st.floats(0, 100)),
                draw(st.booleans()),
            )
            for _ in people
        )
        compared.append(ComparedMetric(metric, values, draw(st.integers(1, 50)), 0, draw(st.integers(0, 9999))))
    played = tuple(draw(st.integers(0, 9999)) for _ in people)
    return Comparison(tuple(people), ALL_ROUNDS, played, tuple(compared), ())


@st.composite
def leaderboards(draw: st.DrawFn) -> Leaderboard:
    metric = draw(st.sampled_from(list(METRICS.values())))
    people = draw(infos(30))
    values = sorted((draw(st.floats(0, 1e7)) for _ in people), reverse=True)
    entries = tuple(
        LeaderboardEntry(place, person, value, draw(st.integers(1, 99_999)))
        for place, (person, value) in enumerate(zip(people, values, strict=True), 1)
    )
    why = None if entries else draw(st.sampled_from(WhyEmpty))
    qualified = len(entries) + draw(st.integers(0, 5000)) if entries else 0
    return Leaderboard(metric, ALL_ROUNDS, 50, 1000, 900, qualified + 7, qualified, entries, why)


@st.composite
def weapon_tables(draw: st.DrawFn) -> WeaponTable:
    count = st.integers(0, 10_000_000)
    lines = tuple(
        WeaponLine(
            WeaponSums(weapon, draw(count), draw(count), draw(count), draw(count), draw(count)),
            draw(st.integers(1, 99_999)),
            draw(st.none() | st.floats(0, 100)),
        )
        for weapon in draw(st.lists(st.sampled_from(WEAPONS), max_size=28, unique=True))
    )
    return WeaponTable(ALL_ROUNDS, lines, None if lines else WhyEmpty.NONE_IN_SCOPE)


@st.composite
def maps(draw: st.DrawFn) -> MapAnswer:
    ended = sorted(draw(st.lists(st.integers(START - 10**8, START), max_size=200)))
    timeline = tuple(
        TimelinePoint(
            place,
            at,
            draw(st.sampled_from((1, 2))),
            draw(st.integers(0, 7200)),
            None,
            draw(st.sampled_from(RoundOutcome)),
        )
        for place, at in enumerate(ended)
    )
    name = draw(names)
    scope = Scope(map_name=name)
    results = dict.fromkeys(MapResult, 1)
    board = draw(leaderboards())
    return MapAnswer(name, scope, len(timeline), results, Attacks(), Attacks(), (), board, (), timeline)
