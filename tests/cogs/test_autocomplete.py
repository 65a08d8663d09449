"""What is offered while typing: found by any name, only what is seen here, quickly, and never what is hidden."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from bot.client import StatsBot
from bot.cogs.autocomplete import Entry, Index, search
from tests.cogs.conftest import a_match, let_see, play
from tests.standins.discord import World

HERE = frozenset((1,))


def entries(*names: str, server: int = 1) -> list[Entry]:
    return [Entry(f"id{n}", name, (name.casefold(),), frozenset((server,))) for n, name in enumerate(names)]


def found(text: str, *names: str) -> list[str]:
    return [item.label for item in search(entries(*names), text, HERE)]


def test_the_beginning_comes_first_then_any_part_then_what_is_alike() -> None:
    assert found("ann", "Joanna", "hanna", "Annika", "Bert") == ["Annika", "Joanna", "hanna"]
    assert found("anika", "Bert", "Annika", "Zoe") == ["Annika"]
    assert found("zz", "Annika") == []


def test_an_earlier_name_finds_the_person() -> None:
    person = Entry("id", "Now", ("now", "before"), HERE)
    assert search([person], "bef", HERE) == [person]


def test_nothing_typed_offers_the_order_of_the_index() -> None:
    assert found("", "c", "a", "b") == ["c", "a", "b"]
    assert len(found(" ", *(str(n) for n in range(99)))) == 25


def test_what_is_not_seen_here_is_not_offered() -> None:
    assert search(entries("Annika", server=2), "annika", HERE) == []
    assert search(entries("Annika", server=2), "", frozenset()) == []


@pytest.mark.parametrize("typed", ["^1Ann", "\u202eann", "ANN", " ann "])
def test_what_is_typed_is_cleaned_as_names_are(typed: str) -> None:
    from parsers import strip_colors

    assert found(strip_colors(typed), "Annika") == ["Annika"]


def test_five_thousand_players_take_little_memory() -> None:
    gc.collect()
    tracemalloc.start()
    made = Index()
    shared = frozenset((1,))
    made.players = tuple(
        Entry(f"{n:08X}", f"player {n}", (f"player {n}", f"earlier {n}", f"first {n}"), shared) for n in range(5000)
    )
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5_000_000
    assert search(made.players, "player 4999", shared)[0].label == "player 4999"
    assert len(search(made.players, "plyer", shared)) == 25


async def test_players_are_offered_by_whatever_name_they_had(bot: StatsBot, world: World) -> None:
    await play(bot, a_match({1: "Old"}), a_match({1: "^1New", 2: "Twin", 3: "Twin"}, start="2026-10-27T20:00"))
    await let_see(bot, world)
    alice = world.user("alice")
    assert [(c.name, c.value) for c in await alice.autocomplete("link", player="old")] == [("New", "00000001")]
    twins = [choice.name for choice in await alice.autocomplete("link", player="twin")]
    assert twins == ["Twin (00000002)", "Twin (00000003)"]
    assert len(await alice.autocomplete("link", player="")) == 6


async def test_a_direct_message_sees_no_game_server(bot: StatsBot, world: World) -> None:
    await play(bot, a_match())
    assert search(bot.index.players, "", frozenset()) == []


async def test_sessions_and_maps_are_offered_recent_first(bot: StatsBot, world: World) -> None:
    await play(bot, a_match(), a_match(start="2026-10-27T20:00", map_name="oasis"))
    assert [item.label for item in bot.index.maps] == ["oasis", "supply"]
    assert [item.known[0] for item in bot.index.sessions] == ["2026-10-27", "2026-10-26"]
    assert all(item.value.isdigit() for item in bot.index.sessions)


async def test_what_was_imported_is_offered_after_word_of_it(bot: StatsBot, world: World) -> None:
    before = bot.index.players
    await play(bot, a_match())
    bot.index.players = before
    for _ in range(50):
        bot.rounds_came()
    async with asyncio.timeout(5):
        while not bot.index.players:  # noqa: ASYNC110 - nobody is told when it was read
            await asyncio.sleep(0.01)
    assert len(bot.index.players) == 6
