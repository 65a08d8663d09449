"""What anybody may ask for: the app's parts really do it, wrong questions are answered, and who asked is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.app import App, opened
from bot.config import load_settings
from bot.db.schema import audit, mirror_objects
from bot.jobs.job import Job, JobError, JobState
from tests.ingest.world import Clock, evenings_of_play
from tools.simulate.sftp_server import SimulatedSftpServer

FILES = dict(list(evenings_of_play(5, rounds=6).items())[:6])
SECRET = "a-password-nobody-may-see"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SimulatedSftpServer]:
    stats = tmp_path / "game" / "stats"
    stats.mkdir(parents=True)
    for name, data in FILES.items():
        (stats / name).write_bytes(data)
    async with SimulatedSftpServer(tmp_path / "game", users={"et": SECRET}) as running:
        yield running


@asynccontextmanager
async def an_app(
    tmp_path: Path,
    url: str,
    server: SimulatedSftpServer | None = None,
    *,
    destinations: tuple[str, ...] = ("nas", "usb"),
    work: bool = True,
    **changes: Any,
) -> AsyncIterator[App]:
    tables = []
    for name in destinations:
        (tmp_path / name).mkdir(exist_ok=True)
        tables.append(f'[[destinations]]\nname = "{name}"\nkind = "directory"\npath = "{tmp_path / name}"\n')
    (tmp_path / "bot.toml").write_text("\n".join(tables))
    values: dict[str, Any] = {"database_url": url, "config_file": tmp_path / "bot.toml"}
    if server is not None:
        (tmp_path / "known_hosts").write_text(server.known_hosts_line)
        values |= {"ssh_host": server.host, "ssh_port": server.port, "ssh_user": "et", "ssh_password": SECRET}
        values |= {"remote_stats_path": "stats", "ssh_known_hosts": tmp_path / "known_hosts"}
    async with opened(load_settings(**(values | changes)), clock=Clock()) as app:
        await app.bring_in_archives()
        if not work:
            yield app
            return
        async with app.jobs.started():
            yield app


async def done(app: App, kind: str, actor: str = "discord:7", **arguments: Any) -> Job:
    return await app.jobs.wait((await app.actions.submit(kind, arguments, actor)).id)


async def test_a_person_polls_copies_looks_reads_back_and_keeps_the_database(
    database_url: str, tmp_path: Path, server: SimulatedSftpServer
) -> None:
    async with an_app(tmp_path, database_url, server) as app:
        polled = await done(app, "poll")
        assert polled.state is JobState.DONE, polled.error
        (record,) = polled.result["servers"]
        assert (record["server"], record["fetched"], len(record["new_rounds"])) == ("main", len(FILES), len(FILES))
        copied = await done(app, "mirror.backfill", destination="nas")
        (record,) = copied.result["destinations"]
        assert (record["uploaded"], record["pending"]) == (len(FILES), 0)
        assert copied.total == copied.done == len(FILES)
        assert {path.name for path in (tmp_path / "nas" / "main").iterdir()} == set(FILES)
        both = await done(app, "mirror.cycle")
        assert {one["destination"]: one["uploaded"] for one in both.result["destinations"]} == {
            "nas": 0,
            "usb": len(FILES),
        }
        looked = await done(app, "mirror.inspect", destination="usb")
        assert looked.result["destinations"][0]["objects"] == len(FILES)
        compared = await done(app, "mirror.reconcile")
        assert [one["healthy"] for one in compared.result["destinations"]] == [True, True]
        read = await done(app, "mirror.verify", destination="nas", percent=100)
        assert read.result["destinations"][0]["read"] == len(FILES)
        kept = await done(app, "snapshot")
        assert [len(one["slots"]) for one in kept.result["destinations"]] == [3, 3]
        proven = await done(app, "drill")
        assert [one["proven"] for one in proven.result["destinations"]] == [True, True], proven.result
        full = await done(app, "drill", destination="usb", full=True)
        assert full.result["destinations"][0]["proven"] is True
        for job in (polled, copied, both, looked, compared, read, kept, proven, full):
            assert SECRET not in json.dumps(job.record())
        async with app.database.read() as connection:
            rows = (await connection.execute(select(audit).where(audit.c.action == "job.mirror.backfill"))).all()
        assert [(row.actor, row.target) for row in rows] == [("discord:7", "nas")]
        assert json.loads(rows[0].details)["job"] == copied.id


async def test_what_is_missing_comes_back_and_what_failed_is_tried_again(
    database_url: str, tmp_path: Path, server: SimulatedSftpServer
) -> None:
    async with an_app(tmp_path, database_url, server) as app:
        await done(app, "poll")
        await done(app, "mirror.cycle")
        lost = sorted((tmp_path / "local_stats").glob("*-round-?.txt"))[0]
        whole = lost.read_bytes()
        lost.unlink()
        only = await done(app, "restore_missing", dry_run=True)
        assert only.result["servers"][0]["names"] == [lost.name]
        assert not lost.exists()
        await done(app, "restore_missing", server="main")
        assert lost.read_bytes() == whole
        async with app.database.write() as connection:
            await connection.execute(update(mirror_objects).values(state="failed", tries=8))
        again = await done(app, "retry", destination="usb")
        assert again.result["destinations"] == [{"destination": "usb", "tried_again": len(FILES)}]
        assert "servers" not in again.result
        everything = await done(app, "retry")
        assert everything.result["destinations"][0] == {"destination": "nas", "tried_again": len(FILES)}
        assert everything.result["servers"][0]["failed"] == []


async def test_wrong_questions_are_answered_with_what_there_is(database_url: str, tmp_path: Path) -> None:
    async with an_app(tmp_path, database_url) as app:
        for kind, arguments, message in (
            ("mirror.cycle", {"destination": "b2"}, "no destination is called 'b2'; there are: nas, usb"),
            ("mirror.verify", {"percent": 0}, r"mirror.verify: PERCENT: .*greater than 0"),
            ("snapshot", {"to": "nas"}, "TO: Extra inputs"),
            ("poll", {}, "no game server is set up: run `python -m bot setup`"),
            ("format", {}, r"no job of kind 'format'; there are: poll, mirror.cycle"),
            ("drill", {"destination": ["nas"]}, "DESTINATION: "),
        ):
            with pytest.raises(JobError, match=message):
                await app.actions.submit(kind, arguments, "web:5")
        assert (await app.jobs.list()).jobs == []
    async with an_app(tmp_path, database_url, destinations=()) as app:
        with pytest.raises(JobError, match="no destination is set up"):
            await app.actions.submit("snapshot", {}, "web:5")
        assert app.actions.timetable().timed == []


async def test_one_destination_that_is_down_fails_alone(
    database_url: str, tmp_path: Path, server: SimulatedSftpServer
) -> None:
    async with an_app(tmp_path, database_url, server) as app:
        await done(app, "poll")
        await done(app, "mirror.cycle")
        (tmp_path / "usb").rename(tmp_path / "taken-away")
        for kind in ("mirror.cycle", "snapshot", "drill"):
            job = await done(app, kind)
            if kind == "drill":
                assert job.state is JobState.DONE, job.error
            errors = {one["destination"]: bool(one.get("error")) for one in job.result["destinations"]}
            assert errors == {"nas": False, "usb": True}, (kind, job.result)
        alone = await done(app, "mirror.cycle", destination="usb")
        assert alone.state is JobState.FAILED
        assert "usb" in (alone.error or "")


async def test_the_same_question_from_two_processes_is_one_job(
    database_url: str, tmp_path: Path, server: SimulatedSftpServer
) -> None:
    server.faults.latency = 0.05
    async with (
        an_app(tmp_path, database_url, server) as ours,
        an_app(tmp_path, database_url, server, work=False) as theirs,
    ):
        job = await ours.actions.submit("poll", {}, "discord:7")
        again = await theirs.actions.submit("poll", {"server": None}, "web:5")
        assert (again.id, again.already, again.actor) == (job.id, True, "discord:7")
        assert (await theirs.jobs.wait(job.id)).state is JobState.DONE
        # Who only joined has done nothing: the audit names the one who began it.
        async with ours.database.read() as connection:
            actors = (await connection.scalars(select(audit.c.actor).where(audit.c.action == "job.poll"))).all()
        assert actors == ["discord:7"]


async def test_a_backfill_that_the_end_of_its_process_cut_off_goes_on_with_the_next(
    database_url: str, tmp_path: Path, server: SimulatedSftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.mirror.copy.BATCH", 1)
    async with an_app(tmp_path, database_url, server) as app:
        await done(app, "poll")
        job = await app.actions.submit("mirror.backfill", {"destination": "nas"}, "discord:7")
        while (await app.jobs.get(job.id)).done < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    there = len(list((tmp_path / "nas" / "main").iterdir()))
    assert 2 <= there < len(FILES)
    async with an_app(tmp_path, database_url, server, work=False) as app:
        assert (await app.jobs.get(job.id)).state is JobState.INTERRUPTED
        (resumed,) = await app.jobs.start()
        try:
            ended = await app.jobs.wait(resumed.id)
        finally:
            await app.jobs.stop()
        assert (ended.state, ended.actor) == (JobState.DONE, "discord:7")
    assert len(list((tmp_path / "nas" / "main").iterdir())) == len(FILES)


async def test_the_timetable_has_what_the_settings_say(database_url: str, tmp_path: Path) -> None:
    async with an_app(tmp_path, database_url, reconcile_schedule="15 2 * * *", snapshot_schedule="off") as app:
        timed = {item.kind: item.when for item in app.actions.timetable().timed}
        assert timed == {
            "mirror.inspect": 3600,
            "mirror.reconcile": "15 2 * * *",
            "mirror.verify": "30 4 * * *",
            "drill": "0 5 * * sun",
        }
        # What a timer asks for is the very question that a person would ask.
        for item in app.actions.timetable().timed:
            assert app.actions.check(item.kind, item.arguments) == item.arguments


async def test_who_ends_a_job_is_kept(database_url: str, tmp_path: Path, server: SimulatedSftpServer) -> None:
    server.faults.hang_on_readdir = True
    async with an_app(tmp_path, database_url, server) as app:
        job = await app.actions.submit("poll", {}, "discord:7")
        while (await app.jobs.get(job.id)).state is not JobState.RUNNING:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await app.actions.cancel(job.id, "web:5")
        assert (await app.jobs.wait(job.id)).state is JobState.CANCELLED
        server.faults.hang_on_readdir = False
        async with app.database.read() as connection:
            rows = (await connection.execute(select(audit).where(audit.c.action == "job.cancel"))).all()
        assert [(row.actor, row.target) for row in rows] == [("web:5", "poll")]
