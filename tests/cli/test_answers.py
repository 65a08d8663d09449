"""Questions on the command line: tables, JSON, reasons and exit codes."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bot.cli import answers
from bot.cli.common import ExitCode
from bot.db.engine import Database
from bot.ingest.importer import Incoming
from tests.standins.status_server import status_server
from tests.stats.games import Person, at, import_all, people, play_match

Ask = Callable[..., Any]

RED = [Person(1, "[bold]anna[/bold]"), Person(2, "o'neill|_*"), Person(0xABCDEF01, "^1be^7rta")]
BLUE = people(3, 11)


@pytest.fixture
def stored(migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Incoming]], None]:
    """Put files into the database that the commands will ask."""
    path = tmp_path / "asked.db"
    shutil.copyfile(migrated_sqlite, path)
    url = f"sqlite+aiosqlite:///{path}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "80")

    async def put(files: list[Incoming]) -> None:
        database = Database(url)
        try:
            await import_all(database, files)
        finally:
            await database.close()

    return lambda files: asyncio.run(put(files))


@pytest.fixture
def evening(stored: Callable[[list[Incoming]], None]) -> None:
    stored(
        [
            *play_match(at("2025-03-04T20:00"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T20:30"), "te_escape2", BLUE, RED, second_completes=True),
            *play_match(at("2025-03-04T21:00"), "et_brewdog", RED, BLUE, only=2),
        ]
    )


@pytest.fixture
def ask() -> Ask:
    app = typer.Typer()
    answers.register(app)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, list(words), catch_exceptions=False)


def right(result: Any) -> str:
    text: str = result.stdout
    assert result.exit_code == ExitCode.OK, result.output
    assert "\x1b" not in text
    return text


def refused(result: Any) -> str:
    assert result.exit_code == ExitCode.PROBLEM, result.output
    assert result.stdout == ""
    reason: str = result.stderr
    return reason


@pytest.mark.usefixtures("evening")
def test_a_session(ask: Ask) -> None:
    text = right(ask("session"))
    assert "Session 2025-03-04, main, 20:00 - 21:22 Europe/Ljubljana" in text
    assert "3 maps, 4 rounds, 1 more not counted" in text
    assert "Team A 4 : 0 Team B" in text
    assert "orphan" in text
    assert "its numbers hold both" in text
    assert right(ask("session", "2025-03-04")) == right(ask("session", "last", "--server", "main")) == text


@pytest.mark.usefixtures("evening")
def test_names_are_shown_as_they_are(ask: Ask) -> None:
    for words in (["session"], ["match", "last", "1"], ["leaderboard", "kills"], ["player", "anna"]):
        text = right(ask(*words))
        assert "[bold]anna[/bold]" in text, words
        assert "^1" not in text
    for words in (["session"], ["match", "last", "1"], ["leaderboard", "kills"]):
        assert "o'neill|_*" in right(ask(*words))
        assert "berta" in right(ask(*words))


@pytest.mark.usefixtures("evening")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(
    ask: Ask, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (["session"], ["session", "--list"], ["match", "last", "1"], ["leaderboard"], ["player", "anna"]):
        lines = right(ask(*words)).splitlines()
        if width >= 80:
            assert max(map(len, lines)) <= width, words
        for line in lines:
            cells = line.split()
            assert not any(cell.endswith("…") and cell[0].isdigit() for cell in cells), line
    wide = right(ask("session"))
    assert ("Alive%" in wide) == (width == 120)


@pytest.mark.usefixtures("evening")
def test_a_match_by_session_and_place_by_key_and_by_file(ask: Ask) -> None:
    text = right(ask("match", "last", "2"))
    assert text.startswith("te_escape2, main, 2025-03-04 20:30 Europe/Ljubljana\n")
    assert "won by those who attacked second: both attacks succeeded" in text
    assert "Round 1: 10:00 of 10:00" in text
    assert right(ask("match", "2025-03-04-204003-te_escape2")) == text
    assert right(ask("match", "2025-03-04-205203-te_escape2-round-2.txt")) == text
    assert "et_brewdog" in right(ask("match"))
    assert "has 3 matches, not 4" in refused(ask("match", "last", "4"))
    assert "no match" in refused(ask("match", "2025-03-04-204003-none"))


@pytest.mark.usefixtures("evening")
def test_a_player(ask: Ask) -> None:
    text = right(ask("player", "abcd"))
    assert text.startswith("berta ABCDEF01\n")
    assert "all time: 4 rounds, 40 min; 0 maps won, 2 lost, 0 drawn" in text
    assert "MP 40" in text
    assert "map supply: 2 rounds" in right(ask("player", "berta", "--map", "supply"))


@pytest.mark.usefixtures("evening")
def test_several_players_to_choose_from(ask: Ask) -> None:
    error = refused(ask("player", "p1"))
    assert "p11" in error
    assert "p12" in error
    assert "'p1' fits 3 players" in error
    assert "nobody is called 'zoe'" in refused(ask("player", "zoe"))
    assert "no counted rounds" in refused(ask("player", "p11", "--period", "1d"))


@pytest.mark.usefixtures("evening")
def test_a_leaderboard(ask: Ask) -> None:
    text = right(ask("leaderboard", "kd", "--limit", "2"))
    assert text.startswith("K/D, all time")
    assert "kills / deaths; the kills themselves without a death." in text
    assert "From 1 round: 6 of 6 players." in " ".join(text.split())
    assert "choose from dpm, kd" in refused(ask("leaderboard", "skill"))
    assert "nobody reaches the minimum of 9 rounds" in refused(ask("leaderboard", "--min-rounds", "9"))
    assert "was never played" in refused(ask("leaderboard", "--map", "none"))
    assert "no counted rounds in this selection (2019)" in refused(ask("leaderboard", "--period", "2019"))
    assert "is no period" in refused(ask("leaderboard", "--period", "soon"))
    assert "no server 'x'; known: main" in refused(ask("leaderboard", "--server", "x"))
    assert "headshot_percent" in right(ask("leaderboard", "--metrics"))


@pytest.mark.usefixtures("evening")
def test_json(ask: Ask) -> None:
    session = json.loads(right(ask("session", "--json")))
    assert session["line_ups"][0]["team_a"]["score"] == 4
    assert session["players"][0]["totals"]["dpm"] == 100.0
    match = json.loads(right(ask("match", "last", "1", "--json")))
    assert match["match"]["result"] == "r1_attackers"
    assert {row["player"]["name"] for row in match["players"]} >= {"[bold]anna[/bold]", "o'neill|_*"}
    player = json.loads(right(ask("player", "berta", "--json")))
    assert player["ranks"]["dpm"]["of"] == 6
    board = json.loads(right(ask("leaderboard", "accuracy", "--json", "--limit", "3")))
    assert [entry["value"] for entry in board["entries"]] == [25.0] * 3
    assert board["metric"]["formula"].startswith("100 x hits / shots")
    assert len(json.loads(right(ask("session", "--list", "--json")))["sessions"]) == 1
    assert json.loads(right(ask("leaderboard", "--metrics", "--json")))[0]["key"] == "dpm"


@pytest.mark.usefixtures("evening")
def test_export(ask: Ask, tmp_path: Path) -> None:
    lines = right(ask("export")).splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "session": 1,
        "match": 3,
        "round": 5,
        "player_round": 30,
        "weapon": 30,
    }
    assert right(ask("export", "--output", str(tmp_path / "dump.jsonl"))) == ""
    assert (tmp_path / "dump.jsonl").read_text("utf-8").splitlines() == lines
    assert "no rounds of a server 'x'" in refused(ask("export", "--server", "x", "-o", str(tmp_path / "none.jsonl")))
    assert "cannot write" in refused(ask("export", "-o", str(tmp_path / "no folder" / "dump.jsonl")))
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["dump.jsonl"]


def test_two_sessions_of_a_day_to_choose_from(ask: Ask, stored: Callable[[list[Incoming]], None]) -> None:
    stored(
        [
            *play_match(at("2025-03-04T15:00"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T21:00"), "supply", RED, BLUE),
        ]
    )
    error = refused(ask("session", "2025-03-04"))
    assert "2025-03-04#2  21:00, 2 rounds, main" in error
    assert "21:00 - 21:22" in right(ask("session", "2025-03-04#2"))
    text = right(ask("session", "--list"))
    assert text.index("2025-03-04#2") < text.index("2025-03-04#1")
    assert "no sessions on this page" in refused(ask("session", "--list", "--page", "2"))


def test_nothing_is_stored(ask: Ask, stored: Callable[[list[Incoming]], None]) -> None:
    for words in (["session"], ["match"], ["leaderboard"], ["export"]):
        assert "no rounds are stored" in refused(ask(*words)), words
    assert "nobody is called" in refused(ask("player", "anna"))
    assert "no sessions yet" in refused(ask("session", "--list"))


def test_a_database_that_is_not_there_is_not_made(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "none.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{path}")
    for words in (["session"], ["export"]):
        result = ask(*words)
        assert result.exit_code == ExitCode.DATABASE
        assert "there is no database" in result.stderr
    assert not path.exists()
    path.touch()
    assert "db upgrade" in ask("session").stderr


@pytest.mark.usefixtures("evening")
def test_a_reader_who_has_seen_enough_ends_an_export_quietly(tmp_path: Path) -> None:
    program = "import typer; from bot.cli import answers; a = typer.Typer(); answers.register(a); a()"
    root = Path(__file__).resolve().parents[2]
    export = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {program}", "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert export.stdout is not None
    assert export.stderr is not None
    export.stdout.close()
    assert export.stderr.read().decode() == ""
    export.stderr.close()
    assert export.wait(timeout=60) == 0


def test_the_commands_are_known_without_loading_what_answers_them() -> None:
    """The command line has to start fast: only a question that is asked loads the database's libraries."""
    root = Path(__file__).resolve().parents[2]
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import typer; from bot.cli import answers; "
        "answers.register(typer.Typer()); print(*sorted({'sqlalchemy', 'asyncssh', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


@pytest.mark.usefixtures("evening")
def test_a_round(ask: Ask) -> None:
    text = right(ask("round", "last-1-2"))
    assert text.startswith("supply, round 2, main, 2025-03-04 20:12 Europe/Ljubljana\n")
    assert "held 10:00 of 10:00" in text
    assert "Axis, defended" in text
    assert "Allies, attacked" in text
    assert right(ask("round", "2025-03-04-202203-supply-round-2.txt")) == text
    assert "says no round" in refused(ask("round", "yesterday"))


@pytest.mark.usefixtures("evening")
def test_a_comparison(ask: Ask) -> None:
    text = right(ask("compare", "anna", "berta"))
    assert text.startswith("[bold]anna[/bold] - berta, all time")
    assert "[bold]anna[/bold] against berta" in text
    assert "In brackets the percentile." in text
    assert "not the same player twice" in refused(ask("compare", "anna", "anna"))
    assert "nobody is called 'zoe'" in refused(ask("compare", "anna", "zoe"))


@pytest.mark.usefixtures("evening")
def test_records(ask: Ask) -> None:
    assert "no records: nobody reaches the minimum" in refused(ask("records", "kd", "--of", "session"))
    assert "no records of rounds" in refused(ask("records", "rounds"))
    assert ask("records", "--of", "year").exit_code == ExitCode.USAGE


@pytest.mark.usefixtures("evening")
def test_a_map_and_all_of_them(ask: Ask) -> None:
    text = right(ask("map", "sup"))
    assert text.startswith("supply, all time\n")
    assert "1 won by those who attacked first, 0 by those who attacked second" in " ".join(text.split())
    assert "Fastest attacks" in text
    assert "te_escape2" in right(ask("map"))
    assert "is it supply" in refused(ask("map", "suply"))
    assert "no counted rounds in this selection (2019, map supply)" in refused(ask("map", "supply", "--period", "2019"))


@pytest.mark.usefixtures("evening")
def test_a_weapon_and_all_of_them(ask: Ask) -> None:
    text = right(ask("weapon", "mp40", "--by", "headshots"))
    assert text.startswith("MP 40 by headshots, all time")
    assert "hits on the head with the weapon." in text
    assert "MP 40" in right(ask("weapon"))
    assert "From 64 shots: 6 of 6 players." in right(ask("weapon", "mp40"))
    assert "no weapon 'mp99'" in refused(ask("weapon", "mp99"))
    assert "nobody used it" in refused(ask("weapon", "panzer"))
    assert ask("weapon", "mp40", "--by", "luck").exit_code == ExitCode.USAGE


@pytest.mark.usefixtures("evening")
def test_json_of_the_further_questions(ask: Ask) -> None:
    played = json.loads(right(ask("round", "last-1-2", "--json")))
    assert played["round"]["outcome"] == "held"
    comparison = json.loads(right(ask("compare", "anna", "berta", "--json")))
    assert comparison["pairs"][0]["together"] == {"won": 0, "lost": 2, "drawn": 0}
    assert comparison["metrics"][0]["metric"]["formula"].startswith("damage given x 60")
    assert json.loads(right(ask("map", "supply", "--json")))["results"] == {
        "draw": 0,
        "r1_attackers": 1,
        "r2_attackers": 0,
    }
    assert len(json.loads(right(ask("map", "--json")))) == 2
    assert json.loads(right(ask("weapon", "mp40", "--json")))["order"] == "accuracy"
    assert json.loads(right(ask("weapon", "--json")))["weapons"][0]["sums"]["kills"] > 0
    player = json.loads(right(ask("player", "berta", "--json")))
    assert player["form"]["latest"] == ["lost", "lost"]
    assert player["partners"][0]["record"]["lost"] == 2
    records = json.loads(right(ask("records", "accuracy", "--of", "match", "--json")))
    assert records["left_out"]


def test_who_is_online(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answered(*words: str) -> Any:
        players = ((5, 50, "^1[bold]a^7nna[/bold]"),)
        async with status_server(players=players) as server:
            (tmp_path / "servers.toml").write_text(
                '[[servers]]\nname = "main"\nhost = "127.0.0.1"\nuser = "et"\nfolder = "stats"\n'
                f"game_port = {server.port}\n"
            )
            monkeypatch.setenv("CONFIG_FILE", str(tmp_path / "servers.toml"))
            return await asyncio.to_thread(ask, *words)

    text = right(asyncio.run(answered("server")))
    assert text.startswith("Stopwatch night, map supply\n")
    assert "1 player of 20, answered in" in text
    assert "[bold]anna[/bold]" in text
    status = json.loads(right(asyncio.run(answered("server", "main", "--json"))))[0]
    assert status["players"] == [{"name": "[bold]anna[/bold]", "ping": 50, "score": 5}]
    gone = ask("server")
    assert gone.exit_code == ExitCode.SERVER
    assert "nobody listens on UDP port" in gone.stderr
    assert "known: main" in refused(ask("server", "other"))
    monkeypatch.delenv("CONFIG_FILE")
    assert ask("server").exit_code == ExitCode.CONFIG
