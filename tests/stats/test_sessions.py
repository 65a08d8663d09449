"""Sessions: finding the one that is meant, and what it answers."""

from __future__ import annotations

import pytest

from bot.db.engine import Database
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.matches import RoundOutcome, WhyResult, match_answer
from bot.stats.session_list import SessionInfo, list_sessions
from bot.stats.sessions import find_session, session_answer
from bot.stats.teams import TeamLabel
from tests.stats.games import OMNIBOT, Person, at, import_all, people, play_match

RED, BLUE = people(3), people(3, 11)
A, B = TeamLabel.A, TeamLabel.B


async def started(database: Database, selector: str, *, server: str | None = None) -> str:
    """Return the local time at which the session of a selector began."""
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection, selector, server=server))
    return f"{answer.day} {len(answer.matches)} {answer.server.name}"


async def test_last_is_the_one_that_ended_last(database: Database) -> None:
    await import_all(database, play_match(at("2025-03-04T21:00"), "supply", RED, BLUE))
    await import_all(database, play_match(at("2025-03-01T21:00"), "supply", RED, BLUE))
    for selector in ("last", "", " LAST "):
        assert await started(database, selector) == "2025-03-04 1 main"


async def test_an_evening_past_midnight_is_found_by_either_date(database: Database) -> None:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T23:20"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T23:50"), "te_escape2", RED, BLUE),
        ],
    )
    assert await started(database, "2025-03-04") == "2025-03-04 2 main"
    assert await started(database, "2025-03-05") == "2025-03-04 2 main"
    with pytest.raises(NotFoundError, match="nobody played on 2025-03-06"):
        await started(database, "2025-03-06")


async def test_a_date_means_the_evening_that_began_on_it(database: Database) -> None:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T23:50"), "supply", RED, BLUE),
            *play_match(at("2025-03-05T21:00"), "te_escape2", RED, BLUE),
        ],
    )
    assert await started(database, "2025-03-05") == "2025-03-05 1 main"


async def test_what_nobody_counts_hides_no_evening(database: Database) -> None:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T23:50"), "supply", RED, BLUE),
            *play_match(at("2025-03-05T15:00"), "te_escape2", RED[:1], BLUE[:1]),
        ],
    )
    assert await started(database, "2025-03-05") == "2025-03-04 1 main"


async def test_two_sessions_of_a_day_are_told_apart_by_number(database: Database) -> None:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T15:00"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T21:00"), "te_escape2", RED, BLUE),
            *play_match(at("2025-03-04T21:30"), "te_escape2", RED, BLUE),
        ],
    )
    with pytest.raises(AmbiguousError) as found:
        await started(database, "2025-03-04")
    assert [(c.selector, c.rounds) for c in found.value.choices if isinstance(c, SessionInfo)] == [
        ("2025-03-04#1", 2),
        ("2025-03-04#2", 4),
    ]
    assert await started(database, "2025-03-04#1") == "2025-03-04 1 main"
    assert await started(database, "2025-03-04#2") == "2025-03-04 2 main"
    for number in ("0", "3"):
        with pytest.raises(NotFoundError, match=f"#{number} on 2025-03-04"):
            await started(database, f"2025-03-04#{number}")


async def test_every_selector_of_the_list_finds_its_session(database: Database) -> None:
    for day in ("04T15", "04T21", "05T21", "07T21"):
        await import_all(database, play_match(at(f"2025-03-{day}:00"), "supply", RED, BLUE))
    async with database.read() as connection:
        page = await list_sessions(connection)
        assert [item.selector for item in page.sessions] == ["2025-03-07", "2025-03-05", "2025-03-04#2", "2025-03-04#1"]
        for item in page.sessions:
            assert await find_session(connection, item.selector) == item.id
            assert await find_session(connection, str(item.id)) == item.id
        second = await list_sessions(connection, offset=2, limit=1)
        assert (second.sessions, second.total) == ((page.sessions[2],), 4)


@pytest.mark.parametrize(
    "selector", ["yesterday", "2025-02-30", "2025-3-4", "999", "9" * 15, "-1", "1; DROP TABLE", "\u0663"]
)
async def test_what_is_no_session_is_said(database: Database, selector: str) -> None:
    await import_all(database, play_match(at("2025-03-04T21:00"), "supply", RED, BLUE))
    with pytest.raises(NotFoundError):
        await started(database, selector)


async def test_servers_apart(database: Database) -> None:
    files = play_match(at("2025-03-04T21:00"), "supply", RED, BLUE)
    await import_all(database, files, server="one")
    # The same hour of the clock, nine hours earlier in the world, on another date there.
    await import_all(database, files, server="two", zone="Asia/Tokyo")
    assert await started(database, "last", server="two") == "2025-03-04 1 two"
    assert await started(database, "2025-03-04", server="one") == "2025-03-04 1 one"
    with pytest.raises(AmbiguousError):
        await started(database, "2025-03-04")
    with pytest.raises(NotFoundError, match="no server 'three'; known: one, two"):
        await started(database, "last", server="three")
    async with database.read() as connection:
        with pytest.raises(AmbiguousError, match="one, two"):
            await match_answer(connection, files[0].name)
        assert (await match_answer(connection, files[0].name, server="two")).server.name == "two"


async def test_no_session_says_why(database: Database) -> None:
    with pytest.raises(NotFoundError, match="no rounds are stored yet"):
        await started(database, "last")
    await import_all(database, play_match(at("2025-03-04T21:00"), "supply", RED[:1], BLUE[:1]))
    with pytest.raises(NotFoundError, match="none of the 2 stored rounds counts"):
        await started(database, "last")
    # By its date it can be looked at all the same.
    assert await started(database, "2025-03-04") == "2025-03-04 1 main"


async def test_the_score_of_an_evening(database: Database) -> None:
    """Sides swap at half-time and stay for the next map, as players do."""
    guest = Person(99, "guest")
    await import_all(
        database,
        [
            # BLUE attacks first, and nobody gets through: a draw.
            *play_match(at("2025-03-04T20:00"), "supply", RED, BLUE, first_completes=False),
            # RED attacks first and gets through, BLUE does not.
            *play_match(at("2025-03-04T20:30"), "te_escape2", BLUE, RED),
            # BLUE attacks first; both get through, so RED was faster. A guest stands in.
            *play_match(at("2025-03-04T21:00"), "et_brewdog", [*RED[:2], guest], BLUE, second_completes=True),
            # RED held, BLUE gets through.
            *play_match(at("2025-03-04T21:30"), "sw_oasis", BLUE, RED, first_completes=False, second_completes=True),
            *play_match(at("2025-03-04T22:00"), "adlernest", RED, BLUE, only=1),
        ],
    )
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
    (line_up,) = answer.line_ups
    assert {member.player.name for member in line_up.team_a.members} == {"p11", "p12", "p13"}
    assert [(m.player.name, m.rounds) for m in line_up.team_b.members] == [
        ("p1", 9),
        ("p2", 9),
        ("p3", 7),
        ("guest", 2),
    ]
    assert [(m.points_a, m.points_b, m.winner, m.attacked_first) for m in answer.matches] == [
        (1, 1, None, A),
        (0, 2, B, B),
        (0, 2, B, A),
        (2, 0, A, B),
        (None, None, None, A),
    ]
    assert [m.match.why for m in answer.matches] == [
        WhyResult.BOTH_HELD,
        WhyResult.SECOND_HELD,
        WhyResult.SECOND_FASTER,
        WhyResult.FIRST_HELD,
        WhyResult.NO_ROUND_2,
    ]
    assert (line_up.team_a.score, line_up.team_b.score) == (3, 5)
    assert answer.maps == ("supply", "te_escape2", "et_brewdog", "sw_oasis", "adlernest")


async def test_new_line_ups_begin_a_new_score(database: Database) -> None:
    mixed, others = [*RED[:1], *BLUE[1:]], [*BLUE[:1], *RED[1:]]
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T20:30"), "te_escape2", mixed, others),
            # Mixed again at half-time: this map has no two teams.
            *play_match(at("2025-03-04T21:00"), "et_brewdog", mixed, others, in_round_2=(RED, BLUE)),
        ],
    )
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
    assert [(teams.team_a.score, teams.team_b.score, teams.matches) for teams in answer.line_ups] == [
        (2, 0, (1,)),
        (2, 0, (2, 3)),
        (0, 0, (3,)),
    ]
    assert {m.player.name for m in answer.line_ups[1].team_a.members} == {"p11", "p2", "p3"}
    assert [m.line_up for m in answer.matches] == [1, 2, None]
    assert answer.matches[2].points_a is None
    assert answer.matches[2].match.result is not None


async def test_rounds_that_do_not_count_are_shown_and_never_added_up(database: Database) -> None:
    orphan = play_match(at("2025-03-04T20:30"), "te_escape2", BLUE, RED, only=2)
    await import_all(database, [*play_match(at("2025-03-04T20:00"), "supply", RED, BLUE), *orphan])
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
        assert (answer.rounds, answer.rounds_left_out, answer.flags["no_round_1"]) == (2, 1, 1)
        assert {p.totals.kills for p in answer.players} == {8}
        missing = answer.matches[1]
        assert (missing.match.status, missing.match.why) == ("orphan", WhyResult.NO_ROUND_1)
        assert (missing.points_a, missing.line_up, missing.match.round_1) == (None, None, None)
        alone = await match_answer(connection, orphan[0].name)
        assert alone.players == ()
        assert {row.totals.kills for row in alone.by_round[alone.match.rounds[0].id]} == {8}
        assert {row.basis for row in alone.by_round[alone.match.rounds[0].id]} == {"cumulative"}
    await import_all(database, play_match(at("2025-03-04T20:30"), "te_escape2", BLUE, RED, only=1))
    async with database.read() as connection:
        healed = await session_answer(connection, await find_session(connection))
    assert (healed.rounds, healed.rounds_left_out, healed.flags) == (4, 0, {})
    assert {p.totals.kills for p in healed.players} == {16}


async def test_bots_are_in_no_team_and_no_table(database: Database) -> None:
    bots = [Person(0, f"[BOT]{n}", guid_text=OMNIBOT, kills=50) for n in range(2)]
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [*RED, bots[0]], [*BLUE, bots[1]]))
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
        match = await match_answer(connection, "", match_id=answer.matches[0].match.id)
    assert answer.rounds == 2
    (line_up,) = answer.line_ups
    names = {m.player.name for team in (line_up.team_a, line_up.team_b) for m in team.members}
    assert names == {p.player.name for p in answer.players} == {p.player.name for p in match.players}
    assert names == {"p1", "p2", "p3", "p11", "p12", "p13"}


async def test_players_are_ordered_by_the_stated_rule(database: Database) -> None:
    best = Person(1, "best", damage_given=3000, kills=9, deaths=3, revives_given=3, denied_playtime=90)
    medic = Person(2, "medic", damage_given=900, kills=3, deaths=4, revives_given=9, denied_playtime=20)
    weak = Person(3, "weak", damage_given=500, kills=1, deaths=9, revives_given=0, denied_playtime=5)
    guest = Person(4, "guest", damage_given=9000, kills=30, deaths=1, revives_given=9, denied_playtime=300)
    usual = people(3, 11, revives_given=2, denied_playtime=30)
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [best, medic, weak], usual),
            *play_match(at("2025-03-04T20:30"), "supply", [best, medic, weak], usual),
            *play_match(at("2025-03-04T21:00"), "supply", [best, medic, weak, guest], usual, only=1),
        ],
    )
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
    assert answer.mvp is not None
    # The medic's ranks: 5th, 5th, 5th, 1st; the usual ones': 2nd, 2nd, 2nd, 3rd. Alike people stand by GUID.
    assert [p.player.name for p in answer.players] == ["best", "p11", "p12", "p13", "medic", "weak", "guest"]
    assert [p.regular for p in answer.players] == [True] * 6 + [False]


async def test_the_order_of_equal_players_does_not_depend_on_the_import(database: Database) -> None:
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", BLUE[::-1], RED[::-1]))
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
        match = await match_answer(connection, "", match_id=answer.matches[0].match.id)
    names = ["p1", "p2", "p3", "p11", "p12", "p13"]
    assert [p.player.name for p in answer.players] == names
    assert [p.player.name for p in match.players] == names


async def test_a_layout_without_denied_time_and_revives(database: Database) -> None:
    await import_all(
        database,
        [
            *play_match(at("2024-03-04T20:00"), "supply", RED, BLUE, layout=33),
            *play_match(at("2024-03-04T20:30"), "supply", RED, BLUE, layout=33),
        ],
    )
    async with database.read() as connection:
        answer = await session_answer(connection, await find_session(connection))
    for person in answer.players:
        assert person.totals.revives_given is None
        assert person.totals.revives_per_round is None
        assert person.totals.denied_per_minute is None
        assert person.totals.kills == 16


async def test_a_match_by_key_file_and_place(database: Database) -> None:
    files = play_match(at("2025-03-04T20:00"), "supply", RED, BLUE)
    await import_all(database, [*files, *play_match(at("2025-03-04T20:30"), "supply", RED, BLUE)])
    async with database.read() as connection:
        answer = await match_answer(connection, "2025-03-04-201003-supply")
        for file in files:
            assert await match_answer(connection, file.name) == answer
        assert (answer.match.position, answer.match.map_name) == (1, "supply")
        assert [r.outcome for r in answer.match.rounds] == [RoundOutcome.COMPLETED, RoundOutcome.HELD]
        assert {p.player.name: p.attacked_first for p in answer.players} == dict.fromkeys(
            ("p11", "p12", "p13"), True
        ) | dict.fromkeys(("p1", "p2", "p3"), False)
        assert {p.totals.rounds for p in answer.players} == {2}
        second = await match_answer(connection, "2025-03-04-204003-supply")
        assert second.match.position == 2
        with pytest.raises(NotFoundError):
            await match_answer(connection, "2025-03-04-201003-suppl_")


async def test_a_question_about_the_last_session_takes_few_queries(database: Database) -> None:
    for minute in ("20:00", "20:30", "21:00", "21:30"):
        await import_all(database, play_match(at(f"2025-03-04T{minute}"), "supply", RED, BLUE))
    before = database.statements
    async with database.read() as connection:
        await session_answer(connection, await find_session(connection))
    # BEGIN is counted as well where the driver is told to send it.
    assert database.statements - before <= 7
