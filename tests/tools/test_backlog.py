"""A folder as a server leaves it after months, and the command that fills one."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from tools.simulate.__main__ import keep_playing, main
from tools.simulate.backlog import moved_name, play_backlog, write_backlog
from tools.simulate.hazards import Hazards
from tools.simulate.truth import RoundKind

LAST_NIGHT = datetime(2025, 11, 20, 23, 41, 17)

app = typer.Typer()
app.command()(main)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_last_evening_ends_when_it_should(tmp_path: Path) -> None:
    backlog = write_backlog(tmp_path, 5, 90, last_evening_end=LAST_NIGHT, zone=ZoneInfo("Europe/Ljubljana"))
    assert len(backlog) == 90
    assert backlog[-1].written_at == LAST_NIGHT
    last = tmp_path / backlog[-1].name
    assert last.name.startswith("2025-11-20-234117-")
    assert datetime.fromtimestamp(last.stat().st_mtime, UTC) == datetime(2025, 11, 20, 22, 41, 17, tzinfo=UTC)
    for played in backlog:
        assert (tmp_path / played.name).read_bytes() == played.data
        for file in played.beside:
            assert (tmp_path / file.name).read_bytes() == file.data
    beside = [file for played in backlog for file in played.beside]
    assert len(list(tmp_path.iterdir())) == 90 + len(beside)


def test_names_in_the_truth_are_those_of_the_files() -> None:
    backlog = play_backlog(5, 400, last_evening_end=LAST_NIGHT, hazards=Hazards.hostile())
    names = [played.name for played in backlog]
    assert len(set(names)) == 400
    assert backlog[0].truth.match == 1
    for before, after in itertools.pairwise(backlog):
        assert before.written_at < after.written_at
        assert after.name.startswith(f"{after.written_at:%Y-%m-%d-%H%M%S}-")
    for played in backlog:
        truth = played.truth
        if truth.number == 2 and truth.kind is not RoundKind.HEADER_ONLY:
            assert (truth.round_1 in names) != (truth.round_1_lost is not None)


def test_wherever_the_cut_falls_round_2_knows_whether_its_round_1_is_there() -> None:
    for rounds in range(1, 30):
        backlog = play_backlog(6, rounds, last_evening_end=LAST_NIGHT, hazards=Hazards.none())
        assert len(backlog) == rounds
        first = backlog[0].truth
        assert first.evening == 1
        assert first.match == 1
        assert (first.round_1_lost is not None) == (first.number == 2)
        assert backlog[-1].truth.number == 2


def test_layouts_follow_the_dates() -> None:
    backlog = play_backlog(6, 1200, last_evening_end=LAST_NIGHT, layout=None, hazards=Hazards.none())
    fields = [played.data.split(b"\r\n")[1].count(b"\t") for played in backlog]
    assert fields == sorted(fields)
    assert {37, 38} <= set(fields)


def test_nothing_to_play() -> None:
    assert play_backlog(1, 0, last_evening_end=LAST_NIGHT) == []


def test_moving_a_name() -> None:
    name = "2025-01-31-235950-te_escape2-round-1.txt"
    assert moved_name(name, timedelta(seconds=20)) == "2025-02-01-000010-te_escape2-round-1.txt"


def test_the_command_fills_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "gamestats"
    output = run(str(folder), "--rounds", "12", "--last-evening-end", "2025-11-20T23:41", "--trouble", "none")
    assert "12 rounds" in output
    assert len(list(folder.iterdir())) == 12
    assert max(folder.iterdir()).name.startswith("2025-11-20-234100-")


def test_the_command_plays_evenings_in_any_style(tmp_path: Path) -> None:
    arguments = ("--evenings", "2", "--first-evening", "2024-06-01", "--layout", "by-date", "--newline", "lf")
    run(str(tmp_path), *arguments, "--trouble", "none", "--milliseconds", "--seed", "9")
    files = sorted(tmp_path.iterdir())
    assert files[0].name.startswith("2024-06-01-")
    header, line = files[0].read_bytes().split(b"\n")[:2]
    assert header.count(b"\\") == 8
    assert line.count(b"\t") == 33


def look(folder: Path, sizes: dict[str, set[int]]) -> None:
    for path in folder.iterdir():
        sizes.setdefault(path.name, set()).add(path.stat().st_size)


async def test_rounds_keep_coming_and_are_seen_half_written(tmp_path: Path) -> None:
    playing = asyncio.create_task(keep_playing(tmp_path, 3, every=0.01, slow=0.2, hazards=Hazards.none()))
    sizes: dict[str, set[int]] = {}
    while len(sizes) < 3:
        assert not playing.done()
        look(tmp_path, sizes)
        await asyncio.sleep(0.005)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert all("-round-" in name for name in sizes)
    assert any(len(seen) > 2 for seen in sizes.values())


@pytest.mark.parametrize(
    "arguments",
    [(), ("--rounds", "1", "--layout", "35"), ("--evenings", "1", "--last-evening-end", "2025-11-20T23:41")],
)
def test_the_command_says_what_it_cannot_do(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, [str(tmp_path), *arguments]).exit_code == 2
