"""mirror and restore as their users type them: real processes, and a folder as the destination."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from bot.cli.common import ExitCode
from tests.cli.test_run import Desk
from tools.simulate.backlog import write_backlog


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """A person whose archive holds thirty rounds, with a folder as destination, and one that is not there."""
    folder = tmp_path / "desk"
    folder.mkdir()
    write_backlog(folder / "old", 3, 30, last_evening_end=datetime(2025, 3, 4, 23, 30))
    (tmp_path / "nas").mkdir()
    (folder / "bot.toml").write_text(
        f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{tmp_path / "nas"}"\n'
    )
    desk = Desk(folder, {"CONFIG_FILE": "bot.toml"})
    assert (await desk.type("import", "old")).code == ExitCode.OK
    return desk


def copies(desk: Desk) -> list[str]:
    return sorted(path.name for path in (desk.folder.parent / "nas" / "main").glob("*.txt"))


async def test_copy_look_pause_force_and_come_back(desk: Desk) -> None:
    done = await desk.type("mirror", "backfill", "nas", "--json")
    (record,) = json.loads(done.out)["destinations"]
    assert (done.code, record["skipped"], record["failed"]) == (ExitCode.OK, 0, [])
    assert record["uploaded"] == [f"main/{name}" for name in copies(desk)]
    synced = await desk.type("mirror", "sync")
    assert (synced.code, synced.out) == (ExitCode.OK, f"nas: all in sync ({len(copies(desk))} files)\n")
    status = await desk.type("mirror", "status")
    assert status.code == ExitCode.OK
    assert f"{len(copies(desk))}/{len(copies(desk))}" in status.out

    assert (await desk.type("mirror", "pause", "nas")).out == "nas: paused\n"
    paused = json.loads((await desk.type("mirror", "sync", "--json")).out)
    assert paused["destinations"][0]["ended"] == "paused"
    assert (await desk.type("mirror", "resume", "nas")).out == "nas: goes on\n"

    name = copies(desk)[0]
    (desk.folder.parent / "nas" / "main" / name).unlink()
    forced = await desk.type("mirror", "force", name, "--to", "nas", "--json")
    assert json.loads(forced.out)["what"] == "uploaded"
    assert name in copies(desk)

    proof = await desk.type("restore", "--from", "nas", "--verify")
    assert proof.code == ExitCode.OK
    assert "proven: all" in proof.out

    before = (await desk.type("export")).out
    for path in desk.folder.glob("etlegacy_production.db*"):
        path.unlink()
    for path in (desk.folder / "local_stats").glob("*.txt"):
        path.unlink()
    planned = json.loads((await desk.type("restore", "--from", "nas", "--dry-run", "--json")).out)
    assert len(planned["restored"]) == len(copies(desk))
    restored = await desk.type("restore", "--from", "nas")
    assert restored.code == ExitCode.OK
    assert (await desk.type("export")).out == before
    assert sorted(path.name for path in (desk.folder / "local_stats").glob("*.txt")) == copies(desk)


async def test_a_destination_that_does_not_work_is_said_and_the_others_go_on(desk: Desk) -> None:
    text = (desk.folder / "bot.toml").read_text()
    (desk.folder / "bot.toml").write_text(
        text + '\n[[destinations]]\nname = "gone"\nkind = "directory"\npath = "/nowhere/at/all"\n'
        '\n[[destinations]]\nname = "aws"\nkind = "s3"\nbucket = "rounds"\nendpoint = "http://127.0.0.1:9"\n'
        'access_key_env = "NOT_SET"\nsecret_key_env = "NOT_SET"\n'
    )
    answer = await desk.type("mirror", "sync", "--json")
    found = {record["destination"]: record for record in json.loads(answer.out)["destinations"]}
    assert answer.code == ExitCode.DESTINATION
    assert (found["nas"]["ended"], len(found["nas"]["uploaded"])) == ("done", len(copies(desk)))
    assert found["gone"]["error_code"] == "unavailable"
    assert found["aws"]["error_code"] == "auth"
    assert "NOT_SET is not set" in found["aws"]["error"]
    status = json.loads((await desk.type("mirror", "status", "--json")).out)
    assert [record["health"] for record in status["destinations"]] == ["ok", "failing", "auth"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('name = "x"', "KIND"),
        ('name = "x"\nkind = "floppy"', "KIND"),
        ('name = "X Y"\nkind = "directory"\npath = "/x"', "NAME"),
        ('name = "x"\nkind = "directory"\npath = "relative"', "PATH"),
        ('name = "x"\nkind = "directory"\npath = "/x"\non_differs = "maybe"', "ON_DIFFERS"),
        ('name = "x"\nkind = "directory"\npath = "/x"\nexclude = { all = "*" }', "leaves everything out"),
        ('name = "x"\nkind = "directory"\npath = "/x"\ncolour = "red"', "COLOUR"),
        ('name = "nas"\nkind = "directory"\npath = "/x"', "two destinations are called nas"),
    ],
)
async def test_a_mistake_in_a_destination_is_named(desk: Desk, table: str, message: str) -> None:
    (desk.folder / "bot.toml").write_text((desk.folder / "bot.toml").read_text() + f"\n[[destinations]]\n{table}\n")
    answer = await desk.type("mirror", "status")
    assert answer.code == ExitCode.CONFIG
    assert "bot.toml" in answer.err
    assert message in answer.err
