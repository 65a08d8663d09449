"""jobs and snapshot as their users type them; and a `run` that copies, and comes back from a lost machine."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from bot.cli.common import ExitCode
from tests.cli.test_run import SECRET, Answer, Desk, desk, server
from tests.standins.objectstores import BUCKET, LOGIN, moto_server
from tools.simulate.backlog import write_backlog
from tools.simulate.sftp_server import SimulatedSftpServer

__all__ = ["desk", "server"]

JOB = "0" * 8


def set_up(desk: Desk, *tables: str) -> None:
    (desk.folder / "bot.toml").write_text("\n".join(tables))
    desk.env["CONFIG_FILE"] = "bot.toml"


def folder(desk: Desk, name: str) -> str:
    (desk.folder / name).mkdir()
    return f'[[destinations]]\nname = "{name}"\nkind = "directory"\npath = "{desk.folder / name}"\n'


@pytest.fixture
def copying(desk: Desk) -> Desk:
    """A desk with two folders to copy to."""
    set_up(desk, folder(desk, "nas"), folder(desk, "usb"))
    return desk


def files_in(place: Path) -> set[str]:
    return {path.name for path in place.glob("*.txt")}


async def export_of(desk: Desk) -> str:
    answer = await desk.type("export")
    assert answer.code == ExitCode.OK, answer.err
    return answer.out


async def test_sync_sends_what_came_in_and_a_snapshot_brings_a_lost_machine_back(
    server: SimulatedSftpServer, copying: Desk
) -> None:
    answer = await copying.type("sync")
    assert answer.code == ExitCode.OK, answer.err
    archive = files_in(copying.folder / "local_stats")
    assert files_in(copying.folder / "nas" / "main") == files_in(copying.folder / "usb" / "main") == archive
    taken = await copying.type("snapshot", "take", "--json")
    assert taken.code == ExitCode.OK, taken.err
    record = json.loads(taken.out)
    assert {one["destination"]: len(one["slots"]) for one in record["destinations"]} == {"nas": 3, "usb": 3}
    listed = await copying.type("snapshot", "list", "nas")
    assert "nas: 3 snapshots" in listed.out
    before = await export_of(copying)
    # A database that holds something is left alone.
    refused = await copying.type("restore", "--from", "nas", "--snapshot", "latest")
    assert refused.code == ExitCode.DATABASE
    assert "holds rounds already" in refused.err
    # The machine is lost, but for its settings.
    shutil.rmtree(copying.folder / "local_stats")
    for path in copying.folder.glob("etlegacy_production.db*"):
        path.unlink()
    wrong = await copying.type("restore", "--from", "usb", "--snapshot", "daily-99")
    assert wrong.code == ExitCode.DATABASE
    assert "there are: daily-" in wrong.err
    assert not list(copying.folder.glob("etlegacy_production.db*"))
    back = await copying.type("restore", "--from", "usb", "--snapshot", "latest")
    assert back.code == ExitCode.OK, back.out + back.err
    assert "database restored from daily-" in back.out
    assert await export_of(copying) == before
    assert files_in(copying.folder / "local_stats") == archive
    again = await copying.type("sync")
    assert "nothing new" in again.out


async def test_a_damaged_snapshot_makes_no_database(server: SimulatedSftpServer, copying: Desk) -> None:
    assert (await copying.type("sync")).code == ExitCode.OK
    assert (await copying.type("snapshot", "take", "usb")).code == ExitCode.OK
    for path in (copying.folder / "usb" / ".snapshots").glob("*.db.gz"):
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
    for path in copying.folder.glob("etlegacy_production.db*"):
        path.unlink()
    answer = await copying.type("restore", "--from", "usb", "--snapshot", "latest")
    assert answer.code == ExitCode.DESTINATION
    assert "not what its manifest says" in answer.err
    assert not list(copying.folder.glob("etlegacy_production.db*"))


async def test_jobs_are_listed_shown_and_ended(server: SimulatedSftpServer, copying: Desk) -> None:
    assert (await copying.type("jobs", "list")).out.strip() == "no jobs"
    assert (await copying.type("snapshot", "take")).code == ExitCode.OK
    listed = await copying.type("jobs", "list", "--json")
    (job,) = json.loads(listed.out)["jobs"]
    assert (job["kind"], job["state"]) == ("snapshot", "done")
    assert job["actor"].startswith("cli:")
    shown = await copying.type("jobs", "show", job["id"])
    assert "snapshot: done" in shown.out
    assert '"destinations"' in shown.out
    assert json.loads((await copying.type("jobs", "show", job["id"], "--json")).out) == job
    ended = await copying.type("jobs", "cancel", job["id"])
    assert (ended.code, "has ended already: done" in ended.err) == (ExitCode.PROBLEM, True)
    for words in (("jobs", "show", JOB), ("jobs", "cancel", JOB)):
        answer = await copying.type(*words)
        assert (answer.code, "there is no job" in answer.err) == (ExitCode.PROBLEM, True)
    assert (await copying.type("jobs", "list", "--state", "asleep")).code == ExitCode.USAGE
    assert (await copying.type("jobs", "list", "--after", "x")).code == ExitCode.USAGE
    assert (await copying.type("jobs", "list", "--kind", "poll")).out.strip() == "no jobs"


async def test_snapshots_need_a_destination_that_there_is(desk: Desk) -> None:
    for word in ("take", "list"):
        answer = await desk.type("snapshot", word)
        assert answer.code in (ExitCode.CONFIG, ExitCode.USAGE)
        assert "no destination is set up" in answer.err
    set_up(desk, folder(desk, "nas"))
    for words in (
        ("snapshot", "take", "b2"),
        ("snapshot", "list", "b2"),
        ("restore", "--from", "b2", "--snapshot", "x"),
    ):
        answer = await desk.type(*words)
        assert answer.code == ExitCode.USAGE
        assert "there are: nas" in answer.err
    both = await desk.type("restore", "--from", "nas", "--snapshot", "latest", "--verify")
    assert both.code == ExitCode.USAGE


# ---------------------------------------------------------------------- run


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[str]:
    folder = tmp_path / "moto"
    folder.mkdir()
    with moto_server(folder) as url:
        yield url


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A `run` that has begun, with what it said until then; it does not outlive the block."""
    process = await desk.start("run")
    try:
        yield process, await read_until(process, lambda text: "running" in text)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def read_until(process: asyncio.subprocess.Process, there: Callable[[str], bool]) -> str:
    """Return what a process logged until something is so."""
    assert process.stderr is not None
    seen = ""
    async with asyncio.timeout(60):
        while not there(seen):
            line = await process.stderr.readline()
            assert line, seen
            seen += line.decode()
    return seen


async def ended(process: asyncio.subprocess.Process, seen: str) -> str:
    process.send_signal(signal.SIGTERM)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    text = seen + err.decode()
    assert process.returncode == ExitCode.OK, text
    assert "Traceback" not in text
    assert SECRET not in text
    assert text.rstrip().endswith("stopped")
    return text


async def test_run_takes_rounds_in_and_sends_them_to_a_folder_and_a_bucket_until_sigterm(
    server: SimulatedSftpServer, desk: Desk, s3: str, tmp_path: Path
) -> None:
    bucket = (
        f'[[destinations]]\nname = "bucket"\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{s3}"\n'
        'access_key_env = "S3_KEY"\nsecret_key_env = "S3_SECRET"\n'
    )
    set_up(desk, folder(desk, "nas"), bucket)
    desk.env |= {"S3_KEY": LOGIN[0], "S3_SECRET": LOGIN[1], "MIRROR_INTERVAL": "10"}
    first = files_in(tmp_path / "game" / "stats")
    async with running(desk) as (process, seen):
        await _until(lambda: files_in(desk.folder / "nas" / "main") >= {name for name in first if "-round-" in name})
        # A round that is played while it runs goes the same way.
        write_backlog(tmp_path / "next", 4, 4, last_evening_end=datetime(2025, 3, 6, 23, 30))
        for path in sorted((tmp_path / "next").glob("*.txt")):
            shutil.copy(path, tmp_path / "game" / "stats" / path.name)
        everything = {name for name in files_in(tmp_path / "game" / "stats") if "-round-" in name}
        await _until(lambda: files_in(desk.folder / "nas" / "main") >= everything)
        # Somebody looks while it runs.
        status = await desk.type("jobs", "list", "--json")
        assert {job["kind"] for job in json.loads(status.out)["jobs"]} == {"mirror.inspect"}
        await ended(process, seen)
    answer = await desk.type("mirror", "sync", "--json")
    assert answer.code == ExitCode.OK, answer.err
    for record in json.loads(answer.out)["destinations"]:
        assert record["foreign"] == 0
        assert record["skipped"] + len(record["uploaded"]) >= len(everything)
    listing = json.loads((await desk.type("jobs", "list", "--json")).out)["jobs"]
    assert {job["state"] for job in listing} <= {"done", "interrupted"}


async def _until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not there():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)


async def test_a_command_follows_a_job_that_run_has_and_kill_9_loses_nothing(
    server: SimulatedSftpServer, copying: Desk
) -> None:
    async with running(copying) as (process, _):
        # Two ask at once for the same: one does it, the other follows, both tell the same.
        one, two = await asyncio.gather(copying.type("snapshot", "take"), copying.type("snapshot", "take"))
        assert (one.code, two.code) == (ExitCode.OK, ExitCode.OK), one.err + two.err
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    after: Answer = await copying.type("db", "check")
    assert after.code == ExitCode.OK, after.out
    async with running(copying) as (process, seen):
        await ended(process, seen)
