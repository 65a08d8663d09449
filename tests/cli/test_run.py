"""run, sync, import and db as their users type them: real processes, a real SFTP server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from bot.app import opened
from bot.cli.common import ExitCode
from bot.cli.jobs import done_there
from bot.config import load_settings
from bot.ingest.lease import LeaseLostError
from bot.jobs.job import JobState
from tests.cli.forked import run_command
from tools.simulate.backlog import write_backlog
from tools.simulate.sftp_server import SimulatedSftpServer

PROJECT = Path(__file__).resolve().parents[2]
SECRET = "a-password-nobody-may-see"


@dataclass(slots=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Desk:
    """A person at a terminal, in a folder of their own."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    async def start(self, *arguments: str, program: tuple[str, str] = ("-m", "bot")) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            *arguments,
            cwd=self.folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def type(self, *arguments: str) -> Answer:
        code, out, err = await run_command(arguments, self.folder, self._environment())
        assert SECRET not in (out + err).decode()
        return Answer(code, out.decode(), err.decode())

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "HOME": str(self.folder), **self.env}


async def logged(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    """Read the log until it says these words; return what was read."""
    assert process.stderr is not None
    seen = b""
    async with asyncio.timeout(60):
        while words not in seen:
            line = await process.stderr.readline()
            assert line, seen.decode()
            seen += line
    return seen


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(folder)


@pytest.fixture
async def server(tmp_path: Path, desk: Desk) -> AsyncIterator[SimulatedSftpServer]:
    """A game server with thirty rounds, and the desk set up for it."""
    root = tmp_path / "game"
    write_backlog(root / "stats", 3, 30, last_evening_end=datetime(2025, 3, 4, 23, 30))
    async with SimulatedSftpServer(root, users={"et": SECRET}) as running:
        (desk.folder / "known_hosts").write_text(running.known_hosts_line)
        desk.env.update(
            SSH_HOST=running.host,
            SSH_PORT=str(running.port),
            SSH_USER="et",
            SSH_PASSWORD=SECRET,
            REMOTE_STATS_PATH="stats",
            SSH_CHECK_INTERVAL="5",
            SERVER_TIMEZONE="Europe/Berlin",
            WEB_PORT="0",
        )
        yield running


async def test_sync_brings_everything_in_and_a_second_one_finds_nothing_to_do(
    server: SimulatedSftpServer, desk: Desk
) -> None:
    first = await desk.type("sync", "--json")
    assert first.code == ExitCode.OK, first.err
    (report,) = json.loads(first.out)["servers"]
    assert report["problems"] == []
    assert report["fetched"] >= 30
    fetched = server.counts.opens
    second = await desk.type("sync")
    assert second.code == ExitCode.OK
    assert "nothing new" in second.out
    assert server.counts.opens == fetched


async def test_run_polls_until_sigterm_and_ends_cleanly(server: SimulatedSftpServer, desk: Desk) -> None:
    process = await desk.start("run")
    seen = await logged(process, b"imported=")
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == ExitCode.OK, (seen + err).decode()
    assert "stopped" in (seen + err).decode()
    assert "Traceback" not in (seen + err).decode()
    assert out == b""
    assert SECRET not in (seen + err).decode()
    # Whoever comes next finds the lease let go of, and everything there.
    after = await desk.type("sync")
    assert "nothing new" in after.out, after.out + after.err


FACES = {"aiohttp", "discord", "fastapi", "jinja2", "limits", "prometheus_client", "rapidfuzz", "starlette", "uvicorn"}
FOR_SOME = {"aioboto3", "alembic", "authlib", "babel", "botocore", "httpx2", "obstore", "pyarrow", "stamina"}
DRAWING = {"matplotlib", "numpy", "PIL"}

NAMES_AT_THE_END = """
import atexit, sys
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules})))
from bot.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("words", "port", "unwanted"),
    [
        ("run", "0", FACES | FOR_SOME | DRAWING),
        ("run", "any", {"aiohttp", "discord", "rapidfuzz"} | FOR_SOME | DRAWING),
        ("status --json", "0", {"asyncssh", "cryptography"} | FACES | FOR_SOME | DRAWING),
        ("session --json", "0", {"asyncssh", "cryptography"} | FACES | FOR_SOME | DRAWING),
        ("status --help", "0", {"asyncssh", "sqlalchemy", "structlog"} | FACES | FOR_SOME | DRAWING),
    ],
    ids=["run", "run with web pages", "status", "session", "help"],
)
@pytest.mark.usefixtures("server")
async def test_nothing_is_loaded_that_is_not_asked_for(
    desk: Desk, words: str, port: str, unwanted: set[str], unused_tcp_port: int
) -> None:
    """Each of these libraries costs an idle bot some MiB, and a command a good part of its time."""
    assert (await desk.type("sync")).code == ExitCode.OK  # the database is there, and up to date
    desk.env["WEB_PORT"] = str(unused_tcp_port) if port == "any" else port
    process = await desk.start(*words.split(), program=("-c", NAMES_AT_THE_END))
    if words == "run":
        await logged(process, b"running")
        process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    names = set(out.decode().splitlines()[-1].split())
    assert "typer" in names, err.decode()
    assert ("uvicorn" in names) == (port == "any")
    assert names & unwanted == set()


async def test_sync_beside_a_running_bot_has_that_do_it(server: SimulatedSftpServer, desk: Desk) -> None:
    desk.env["SSH_CHECK_INTERVAL"] = "3600"
    process = await desk.start("run")
    await logged(process, b"imported=")
    lost = next((desk.folder / "local_stats").glob("*-round-1.txt"))
    lost.unlink()
    newer = next(iter(write_backlog(server.root / "stats", 5, 2, last_evening_end=datetime(2025, 3, 5, 23, 30)))).name
    done = await desk.type("sync", "--json")
    assert done.code == ExitCode.OK, done.err
    (report,) = json.loads(done.out)["servers"]
    assert report["done_by"]
    assert newer in report["new_rounds"]
    shown = await desk.type("sync", "--restore")
    assert shown.code == ExitCode.OK, shown.err
    assert "misses 1 files; 1 came from the game server" in shown.out
    assert lost.exists()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == ExitCode.OK


async def test_run_without_a_server_says_how_to_set_one_up(desk: Desk) -> None:
    answer = await desk.type("run")
    assert answer.code == ExitCode.CONFIG
    assert "python -m bot setup" in answer.err
    assert "Traceback" not in answer.err


async def test_a_wrong_setting_is_one_line_and_its_exit_code(desk: Desk) -> None:
    desk.env["DATABASE_URL"] = "oracle://somewhere"
    answer = await desk.type("sync")
    assert answer.code == ExitCode.CONFIG
    assert answer.err.startswith("Error: DATABASE_URL: write it like sqlite:///")
    assert "Traceback" not in answer.err


async def test_a_changed_host_key_stops_the_poll_and_shows_both(server: SimulatedSftpServer, desk: Desk) -> None:
    pinned = server.fingerprint
    server.change_host_key()
    answer = await desk.type("sync")
    assert answer.code == ExitCode.SERVER
    assert pinned in answer.err
    assert server.fingerprint in answer.err
    assert server.counts.logins == 0


async def test_a_refused_login_and_an_unreachable_host_have_their_exit_code(
    server: SimulatedSftpServer, desk: Desk
) -> None:
    server.faults.refuse_login = True
    answer = await desk.type("sync")
    assert answer.code == ExitCode.SERVER
    assert "refused" in answer.err.lower() or "let" in answer.err.lower()
    await server.stop()
    answer = await desk.type("sync", "--json")
    assert answer.code == ExitCode.SERVER
    assert json.loads(answer.out)["servers"][0]["error_code"]


async def test_a_newer_database_is_refused(server: SimulatedSftpServer, desk: Desk) -> None:
    import sqlite3

    assert (await desk.type("db", "upgrade")).code == ExitCode.OK
    with sqlite3.connect(desk.folder / "etlegacy_production.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in ("sync", "run"):
        answer = await desk.type(command)
        assert answer.code == ExitCode.DATABASE
        assert "newer version" in answer.err


async def test_db_check_finds_the_database_whole_and_empty_ones_not(desk: Desk) -> None:
    assert (await desk.type("db", "check")).code == ExitCode.DATABASE
    answer = await desk.type("db", "upgrade")
    assert answer.out.startswith("schema none ->")
    answer = await desk.type("db", "check")
    assert answer.code == ExitCode.OK
    assert "whole and up to date" in answer.out


async def test_a_folder_is_imported_and_every_file_that_was_not_is_named(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    write_backlog(folder, 5, 20, last_evening_end=datetime(2025, 3, 4, 23, 30))
    bad = "2025-03-04-150000-supply-round-1.txt"
    (folder / bad).write_bytes(b"\x00\x01 no stats file\n")
    (folder / "notes.md").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    answer = await desk.type("import", str(folder))
    assert answer.code == ExitCode.PROBLEM
    assert f"not imported: {bad}" in answer.out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    archived = {path.name for path in (desk.folder / "local_stats").glob("*.txt")}
    assert bad in archived
    assert len(archived) > 20
    again = await desk.type("import", str(folder), "--json")
    record = json.loads(again.out)
    assert record["outcomes"].get("imported", 0) == 0
    assert [item["file"] for item in record["problems"]] == [bad]


async def test_a_folder_does_not_overwrite_what_the_server_gave(server: SimulatedSftpServer, desk: Desk) -> None:
    assert (await desk.type("sync")).code == ExitCode.OK
    archived = sorted((desk.folder / "local_stats").glob("*-round-1.txt"))[0]
    whole = archived.read_bytes()
    older = desk.folder / "older"
    older.mkdir()
    (older / archived.name).write_bytes(whole[:-40])
    answer = await desk.type("import", str(older))
    assert answer.code == ExitCode.PROBLEM
    assert "those stand" in answer.out
    assert archived.read_bytes() == whole


async def test_a_process_that_polls_and_does_no_jobs_is_said(
    server: SimulatedSftpServer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.jobs.NOBODY_CAME", 0.1)
    settings = load_settings(
        _env_file=None,
        database_url=f"sqlite:///{desk.folder / 'rounds.db'}",
        ssh_host=server.host,
        ssh_port=server.port,
        ssh_user="et",
        remote_stats_path="stats",
    )
    async with opened(settings) as app:
        with pytest.raises(LeaseLostError, match=r"another machine works there just now.*stop it first"):
            await done_there(app, "poll", {"server": "main"}, "another machine", quiet=True)
        (job,) = (await app.jobs.list()).jobs
        assert job.state is JobState.CANCELLED, "nobody does it later, when nobody waits for it any more"


async def test_an_unknown_server_is_a_typing_mistake(server: SimulatedSftpServer, desk: Desk) -> None:
    answer = await desk.type("sync", "--server", "nowhere")
    assert answer.code == ExitCode.USAGE
    assert "there are: main" in answer.err


async def test_a_restore_says_what_it_would_bring_back_and_then_what_it_did(
    server: SimulatedSftpServer, desk: Desk
) -> None:
    assert (await desk.type("sync")).code == ExitCode.OK
    lost = sorted((desk.folder / "local_stats").glob("*-round-1.txt"))[:3]
    whole = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()
    answer = await desk.type("sync", "--restore", "--dry-run")
    assert "misses 3 files; 3 would come from the game server, 0 from the database" in answer.out, (
        answer.out + answer.err
    )
    assert all(path.name in answer.out for path in lost)
    assert not lost[0].exists()
    answer = await desk.type("sync", "--restore")
    assert "3 came from the game server" in answer.out
    assert {path: path.read_bytes() for path in lost} == whole
    assert "misses 0 files" in (await desk.type("sync", "--restore")).out
