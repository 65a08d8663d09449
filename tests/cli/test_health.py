"""diagnose, files, reparse and rebuild as a person types them: each command in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.forked import run_command
from tests.health.clinic import MORNING, PASSWORD, Clinic, clinic, play

PROJECT = Path(__file__).resolve().parents[2]
BROKEN = "2025-10-01-120000-supply-round-1.txt"


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def bot(
    house: Clinic, *arguments: str, typed: str = "", environment: dict[str, str] | None = None, cwd: Path | None = None
) -> Answer:
    """Run a command of the bot against a clinic, and see that no secret comes out of it."""
    given = {"PYTHONPATH": str(PROJECT), **(house.environment if environment is None else environment)}
    code, out, err = await run_command(arguments, cwd or house.root, given, typed=typed)
    answer = Answer(code, out.decode(), err.decode())
    assert PASSWORD not in answer.out + answer.err
    assert "Traceback" not in answer.err, answer.err
    return answer


@pytest.fixture(scope="module")
def some_rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("some")
    return [folder / name for name in play(folder, 20)]


@pytest.fixture
async def house(tmp_path: Path, some_rounds: list[Path]) -> AsyncIterator[Clinic]:
    async with clinic(tmp_path, some_rounds) as made:
        await made.poll()
        yield made


async def test_healthy_installation(house: Clinic) -> None:
    answer = await bot(house, "diagnose")
    assert answer.code == 0
    assert answer.out.startswith("● ok  main\n")
    assert "Nothing differs" in answer.out
    for place in ("server", "archive", "processed_files", "sessions"):
        line = next(line for line in answer.out.splitlines() if line.startswith(f"{place} "))
        assert " 20 " in line
        assert "as of 20" in line


async def test_missing_copies_are_shown_and_brought_back(house: Clinic) -> None:
    deleted = sorted(path.name for path in house.attic.glob("*.txt"))[:12]
    for name in deleted:
        (house.attic / name).unlink()
    answer = await bot(house, "diagnose")
    assert answer.code in (0, 1)  # how old the files are depends on the day
    dates = " to ".join(dict.fromkeys([deleted[0][:10], deleted[-1][:10]]))
    assert f"Missing from the archive, though imported: 12 files, {dates}" in answer.out
    for word in (
        "why",
        "matters",
        "look     python -m bot sync --restore --dry-run",
        "do       python -m bot sync --restore",
    ):
        assert word in answer.out
    for name in deleted[:10]:
        assert name in answer.out
    assert deleted[11] not in answer.out
    assert "and 2 more" in answer.out
    record = (await bot(house, "diagnose", "--json")).json
    (finding,) = (f for f in record["servers"][0]["findings"] if f["kind"] == "archive_missing")
    assert finding["names"] == deleted
    assert (finding["oldest"], finding["newest"]) == (deleted[0][:10], deleted[-1][:10])
    assert record["servers"][0]["places"]["server"] | {"as_of": 0} == {
        "files": 20,
        "basis": "listing",
        "as_of": 0,
        "stale": False,
        "error": None,
        "error_code": None,
    }
    restored = await bot(house, "sync", "--restore", "--json")
    assert restored.code == 0
    assert restored.json["servers"][0]["from_server"] == deleted
    assert (await bot(house, "diagnose", "--json")).json["servers"][0]["findings"] == []


async def test_server_that_is_down(house: Clinic) -> None:
    await house.server.stop()
    answer = await bot(house, "diagnose")
    assert answer.code == 1
    assert "The game server cannot be asked" in answer.out
    assert "ledger, stale" in answer.out
    record = (await bot(house, "diagnose", "--json")).json
    assert record["status"] == "problem"
    assert record["servers"][0]["places"]["server"]["as_of"] == MORNING
    assert record["servers"][0]["places"]["server"]["error_code"] == "unreachable"


async def test_one_file(house: Clinic) -> None:
    name = max(path.name for path in house.attic.glob("*.txt"))
    answer = await bot(house, "diagnose", "--file", name)
    assert answer.code == 0
    for word in ("archive    ok", "ledger     imported", "raw bytes  ok", "match ", "session ", "first seen", "sha256"):
        assert word in answer.out
    shown = await bot(house, "files", "show", name, "--json")
    assert shown.code == 0
    (record,) = shown.json["servers"]
    assert record["ledger"]["state"] == "imported"
    assert record["session"]["id"] is not None
    unknown = await bot(house, "files", "show", "2020-01-01-000000-x-round-1.txt")
    assert unknown.code == 1
    assert "no place knows it" in unknown.out
    assert (await bot(house, "files", "show", "../etc/passwd")).code == 2


async def test_failed_files_from_list_to_ignore(house: Clinic) -> None:
    house.put(BROKEN, b"no stats \x1b[31m\n")
    await house.poll()
    listed = await bot(house, "files", "list", "--state", "failed")
    assert listed.code == 0
    assert BROKEN in listed.out
    assert "\x1b" not in listed.out
    everything = (await bot(house, "files", "list", "--json")).json["files"]
    assert len(everything) == 21
    assert (await bot(house, "files", "list", "--state", "growing")).code == 1
    assert (await bot(house, "files", "list", "--state", "nonsense")).code == 2

    assert (await bot(house, "files", "retry")).code == 2
    assert (await bot(house, "files", "retry", BROKEN, "--all")).code == 2
    retried = await bot(house, "files", "retry", BROKEN)
    assert retried.code == 1
    assert "failed again" in retried.out
    nobody = await bot(house, "files", "retry", "nobody.txt", "--json")
    assert nobody.code == 1
    assert nobody.json["unknown"] == ["nobody.txt"]

    ignored = await bot(house, "files", "ignore", BROKEN, "--reason", "not worth it")
    assert ignored.code == 0
    assert (await bot(house, "files", "ignore", BROKEN, "--reason", "again")).code == 1
    assert (await bot(house, "files", "ignore", BROKEN, "--reason", " ")).code == 2
    (row,) = (await bot(house, "files", "list", "--state", "ignored", "--json")).json["files"]
    assert row["reason"] == "by hand: not worth it"
    shown = await bot(house, "files", "show", BROKEN)
    assert shown.code == 0
    assert "files.retry by cli:anna" in shown.out
    assert "files.ignore by cli:anna" in shown.out
    assert (await bot(house, "files", "retry", "--all")).code == 0


async def test_reparse_and_rebuild(house: Clinic) -> None:
    answer = await bot(house, "reparse", "--json")
    assert answer.code == 0
    (report,) = answer.json["servers"]
    assert (report["files"], report["changed"], report["outcomes"]) == (20, [], {"unchanged": 20})
    assert (await bot(house, "reparse", "2020-01-01-000000-x-round-1.txt")).code == 1

    refused = await bot(house, "rebuild", typed="n\n")
    assert refused.code == 1
    assert not list(house.root.glob("*.before-rebuild-*"))
    assert (await bot(house, "rebuild", "--json")).code == 2
    done = await bot(house, "rebuild", "--yes")
    assert done.code == 0
    assert "rounds before 20, after 20" in done.out
    (backup,) = house.root.glob("*.before-rebuild-*")
    assert str(backup) in done.out


async def test_mistyped_server_and_broken_settings(house: Clinic) -> None:
    answer = await bot(house, "diagnose", "--server", "nobody")
    assert answer.code == 2
    assert "there are: main" in answer.err
    broken = {**house.environment, "SSH_PORT": "many"}
    assert (await bot(house, "diagnose", environment=broken)).code == 3
    unusable = {**house.environment, "DATABASE_URL": f"sqlite:///{house.root}/no/such/folder/x.db"}
    assert (await bot(house, "diagnose", environment=unusable)).code == 5


async def test_without_a_game_server_the_archive_is_examined(house: Clinic) -> None:
    away = {name: value for name, value in house.environment.items() if not name.startswith(("SSH_", "REMOTE_"))}
    answer = await bot(house, "diagnose", environment=away)
    assert answer.code == 0
    assert "no game server set up" in answer.out


async def test_nothing_heavy_is_imported_before_a_command_runs(house: Clinic) -> None:
    heavy = ("asyncssh", "sqlalchemy", "rich", "pydantic", "bot.health", "bot.config", "discord")
    code = (
        "import sys; from bot.cli import health, setup; import typer; app = typer.Typer(); health.register(app); "
        f"setup.register(app); print([name for name in {heavy!r} if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONPATH": str(PROJECT)}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


@pytest.mark.parametrize(("tool", "command"), [("diagnose_file_sync", "diagnose"), ("sync_stats", "sync")])
async def test_old_names_do_the_same(house: Clinic, tool: str, command: str) -> None:
    async def run(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            "--json",
            "--server",
            "nobody",
            cwd=PROJECT,
            env=house.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, (out + err).decode().replace(f"tools/{tool}.py", "python -m bot")

    assert await run(f"tools/{tool}.py") == await run("-m", "bot", command)
