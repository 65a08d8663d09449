"""Form: latest maps, streaks, and the latest sessions beside the time before."""

from __future__ import annotations

from bot.db.engine import Database
from bot.stats.form import RECENT_SESSIONS, MapOutcome, PlayerForm, player_form
from bot.stats.leaderboards import ALL_ROUNDS, Scope
from bot.stats.players import find_player
from tests.stats.games import Person, at, import_all, people, play_match

BLUE = people(3, 11)


async def ask(database: Database, scope: Scope = ALL_ROUNDS) -> PlayerForm:
    async with database.read() as connection:
        return await player_form(connection, (await find_player(connection, "anna")).id, scope=scope)


async def play(database: Database, results: str, *, latest_damage: int = 1000) -> None:
    """Let anna play a map a day: w won, l lost, d drawn, u undecided."""
    files = []
    for day, result in enumerate(results, 1):
        damage = latest_damage if day > len(results) - RECENT_SESSIONS else 1000
        red = [Person(1, "anna", damage_given=damage), *people(2, 2)]
        how = {"w": (True, False), "l": (True, True), "d": (False, False), "u": (True, False)}[result]
        files += play_match(
            at(f"2025-03-{day:02}T20:00"),
            "supply",
            BLUE,
            red,
            first_completes=how[0],
            second_completes=how[1],
            only=1 if result == "u" else None,
        )
    await import_all(database, files)


async def test_streaks_and_the_latest_maps_latest_first(database: Database) -> None:
    await play(database, "wwwlduww")
    form = await ask(database)
    won, lost, drawn = MapOutcome.WON, MapOutcome.LOST, MapOutcome.DRAWN
    assert form.latest == (won, won, drawn, lost, won, won, won)
    assert (form.streak.outcome, form.streak.length) == (won, 2)
    assert (form.longest_won, form.longest_lost) == (3, 1)


async def test_the_latest_sessions_beside_those_before(database: Database) -> None:
    await play(database, "wwlllwwww", latest_damage=2000)
    form = await ask(database)
    dpm = form.values[0]
    assert (dpm.recent, dpm.before, dpm.better) == (200.0, 100.0, True)
    assert (form.recent_rounds, form.rounds_before) == (10, 8)
    wins = form.values[-1]
    assert (wins.recent, wins.before) == (80.0, 50.0)
    same = next(value for value in form.values if value.metric.key == "accuracy")
    assert (same.recent, same.better) == (25.0, None)


async def test_without_a_decided_map_or_a_time_before(database: Database) -> None:
    await play(database, "u")
    form = await ask(database)
    assert form.latest == ()
    assert (form.streak.outcome, form.streak.length, form.longest_won) == (None, 0, 0)
    assert form.values[0].recent == 100.0
    assert form.values[0].before is None
    assert form.values[0].better is None
    nothing = await ask(database, Scope(map_name="none"))
    assert nothing.recent_rounds == 0
    assert nothing.values[0].recent is None
