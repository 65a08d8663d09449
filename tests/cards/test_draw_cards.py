"""Simulated evenings of few and of many people, through the importer and the answers, drawn whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from bot.cards.compare import ComparisonCard
from bot.cards.leaderboard import LeaderboardCard
from bot.cards.maps import MapCard
from bot.cards.picture import CardOptions
from bot.cards.player import PlayerCard
from bot.cards.scoreboard import ScoreboardCard
from bot.cards.session import SessionCard
from bot.cards.timeline import TimelineCard
from bot.cards.weapons import WeaponsCard
from bot.cards.words import DE, EN
from bot.db.engine import Database
from bot.ingest.importer import Incoming
from parsers import is_stats_file_name
from tests.cards.test_layout import check
from tests.stats.games import import_all
from tools import draw_cards
from tools.simulate.backlog import play_backlog

EVENING = datetime(2025, 11, 20, 23, 41, 17)


def played(seed: int, per_side: tuple[int, int], rounds: int) -> list[Incoming]:
    files = play_backlog(seed, rounds, last_evening_end=EVENING, players_per_side=per_side)
    return [Incoming(one.name, one.data) for one in files if is_stats_file_name(one.name)]


@pytest.mark.parametrize("per_side", [(2, 2), (6, 6), (12, 20)], ids=str)
async def test_every_picture_of_simulated_play_fits(database: Database, per_side: tuple[int, int]) -> None:
    await import_all(database, played(13, per_side, 20))
    for words in (EN, DE):
        async with database.read() as connection:
            found = await draw_cards.cards(connection, CardOptions(words=words), 4)
        assert {type(card) for card in found} == {
            SessionCard,
            TimelineCard,
            ScoreboardCard,
            PlayerCard,
            ComparisonCard,
            LeaderboardCard,
            MapCard,
            WeaponsCard,
        }
        for card in found:
            check(card)
        names = [card.name for card in found]
        assert len(names) == len(set(names))


async def test_the_tool_writes_png_and_svg(tmp_path: Path) -> None:
    database = tmp_path / "some.db"
    database.write_bytes(draw_cards.EXAMPLE.read_bytes())
    before = database.read_bytes()
    files = await draw_cards.draw_all(database, tmp_path, CardOptions(), 1)
    assert {file.suffix for file in files} == {".png", ".svg"}
    assert all(0 < file.stat().st_size < 2**20 for file in files)
    assert database.read_bytes() == before
