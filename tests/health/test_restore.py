"""The ways back: just the missing files, from wherever they are; and everything anew."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.db.engine import Database, DatabaseError
from bot.db.schema import audit, metadata, players, processed_files, rounds, sessions
from bot.health.diagnose import examine
from bot.health.findings import Kind
from bot.health.replay import reparse
from bot.health.restore import DERIVED, rebuild, restore_missing
from bot.health.timeline import file_history
from bot.ingest.importer import Importer, Incoming, Result
from bot.ingest.lease import LeaseLostError
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from bot.stats import keeping
from tests.health.clinic import MORNING, Clinic, facts, held, ledger_rows


def names_of(house: Clinic) -> list[str]:
    return sorted(path.name for path in house.games.glob("*.txt"))


async def audit_rows(database: Database) -> list[tuple[str, str, str]]:
    async with database.read() as connection:
        query = select(audit.c.actor, audit.c.action, audit.c.target).order_by(audit.c.id)
        return [tuple(row) for row in await connection.execute(query)]


async def everybody(database: Database) -> set[tuple[str, str, bool]]:
    async with database.read() as connection:
        query = select(players.c.key, players.c.name, players.c.is_bot)
        return {(row.key, row.name, row.is_bot) for row in await connection.execute(query)}


async def test_server_first_then_the_database(house: Clinic) -> None:
    gone, changed, there = names_of(house)[:3]
    before = house.archived()
    for name in (gone, changed, there):
        (house.attic / name).unlink()
    (house.games / gone).unlink()
    house.put(changed, before[changed].swapcase())  # the same size: only the hash can tell
    async with house.poller() as poller:
        report = await restore_missing(poller, dry_run=False, actor="cli:anna")
        assert report.from_server == [there]
        assert report.from_database == [gone, changed]
        assert report.other_on_server == [changed]
        assert house.archived() == before
        assert await audit_rows(poller.importer.database) == [("cli:anna", "archive.restore", "main")]


async def test_database_alone_where_the_server_is_away(house: Clinic) -> None:
    before = house.archived()
    for name in names_of(house)[:30]:
        (house.attic / name).unlink()
    await house.server.stop()
    async with house.poller() as poller:
        report = await restore_missing(poller, dry_run=False)
    assert report.server_error is not None
    assert "cannot be reached" in report.server_error
    assert report.from_database == names_of(house)[:30]
    assert house.archived() == before


async def test_server_lost_half_way_leaves_the_rest_to_the_database(house: Clinic) -> None:
    before = house.archived()
    for name in names_of(house):
        (house.attic / name).unlink()
    house.server.faults.drop_after = 30_000
    async with house.poller() as poller:
        report = await restore_missing(poller, dry_run=False)
    assert report.server_error is not None
    assert report.from_server
    assert report.from_database
    assert sorted(report.from_server + report.from_database) == names_of(house)
    assert house.archived() == before


async def test_progress_counts_every_file(house: Clinic) -> None:
    for name in names_of(house)[:20]:
        (house.attic / name).unlink()
    (house.games / names_of(house)[0]).unlink()
    seen: list[tuple[int, int]] = []
    async with house.poller() as poller:
        await restore_missing(poller, dry_run=False, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(count, 20) for count in range(1, 21)]


async def test_failed_and_growing_files_are_not_made_up(house: Clinic) -> None:
    """What was never fetched is nothing the archive misses; what failed to parse was archived, and is."""
    broken = "2025-10-01-120000-supply-round-1.txt"
    growing = "2025-10-06-085900-supply-round-1.txt"
    house.put(broken, b"no stats\n")
    house.put(growing, b"half", at=MORNING - 60)
    await house.poll()
    assert growing not in house.archived()
    (house.attic / broken).unlink()
    async with house.poller() as poller:
        report = await restore_missing(poller, dry_run=False)
    assert report.missing == [broken]
    assert house.archived()[broken] == b"no stats\n"


async def test_running_poller_elsewhere_is_not_disturbed(house: Clinic) -> None:
    name = names_of(house)[0]
    (house.attic / name).unlink()
    async with house.poller() as running, house.poller() as ours:
        await held(running)
        report = await restore_missing(ours, dry_run=False)
        assert report.from_server == [name]
        # Rows of the ledger are the running one's to write.
        async with ours.importer.database.write() as connection:
            await connection.execute(processed_files.delete().where(processed_files.c.name == name))
        report = await restore_missing(ours, dry_run=False)
        assert report.adopted == []
        assert [problem for problem, _ in report.problems] == [name]
        with pytest.raises(LeaseLostError, match="stop it first"):
            await rebuild([ours])


# ---------------------------------------------------------------------- everything anew


def test_every_table_of_facts_is_emptied_and_nothing_else_hangs_on_them() -> None:
    """A new table that refers to facts has to be thought of in `rebuild`: emptied with them, or made to stand alone."""
    kept = {
        "properties",
        "servers",
        "file_contents",
        "processed_files",
        "file_versions",
        "players",
        "outbox",
        "audit",
        "leases",
        *("destinations", "mirror_objects", "inspections", "reconcile_runs", "snapshots"),
        *("jobs", "incidents", "incident_messages", "alert_mutes", "source_conditions"),
        *("guilds", "guild_servers", "guild_roles", "guild_channels", "guild_posts", "announcement_cursors", "panels"),
        *("player_links", "link_requests", "hidden_players"),
        *("web_sessions", "web_logins", "web_keys"),
    }
    assert {table.name for table in DERIVED} | kept == set(metadata.tables)
    for name in kept:
        targets = {key.column.table.name for key in metadata.tables[name].foreign_keys}
        assert not targets & {table.name for table in DERIVED}, name


async def test_rebuild_gives_the_same_facts_after_a_backup(house: Clinic) -> None:
    failed, by_hand = "2025-10-01-120000-supply-round-1.txt", "2025-10-01-121000-supply-round-1.txt"
    for name in (failed, by_hand):
        house.put(name, b"no stats\n" if name == failed else b"nor this\n")
    await house.poll()
    late = names_of(house)[40]
    async with house.poller() as poller:
        database = poller.importer.database
        numbers, rows, people = await facts(database), await ledger_rows(database), await everybody(database)
        await poller.ledger.load()
        await poller.ledger.ignore([by_hand], "by hand: a test")
        # Facts that no file ever said, and one that a hand took away.
        async with database.write() as connection:
            await connection.execute(update(rounds).values(seconds=1, map_name="nowhere"))
            await connection.execute(update(players).values(is_bot=True, name="nobody"))
            await connection.execute(update(sessions).values(counted=False))
        (house.attic / late).unlink()  # the database has its bytes
        assert await facts(database) != numbers
        report = await rebuild([poller], actor="cli:anna")
        assert await facts(database) == numbers
        assert await everybody(database) == people
        async with database.read() as connection:
            assert await keeping.is_current(connection)
        assert report.outcomes == {Result.IMPORTED: 60, Result.FAILED: 1}
        assert (report.rounds_before, report.rounds_after) == (60, 60)
        assert [name for name, _ in report.problems] == [f"main/{failed}"]
        after = await ledger_rows(database)
        assert after[by_hand].reason == "by hand: a test"
        for name, row in rows.items():
            assert (after[name].sha256, after[name].first_seen_at) == (row.sha256, row.first_seen_at)
            assert (after[name].remote_mtime, after[name].fetched_at) == (row.remote_mtime, row.fetched_at)
        assert {after[name].state for name in names_of(house) if name not in (failed, by_hand)} == {"imported"}
        # The next poll has nothing to do.
        await held(poller)
        await poller.ledger.load()
        polled = await poller.poll(full=True)
        assert Result.IMPORTED not in polled.outcomes
        assert await audit_rows(database) == [("cli:anna", "database.rebuild", "main")]
    assert report.backup is not None
    backup = Path(report.backup)
    assert backup.stat().st_mode & 0o777 == house.database_path.stat().st_mode & 0o777
    with sqlite3.connect(backup) as copy:
        assert copy.execute("SELECT DISTINCT map_name FROM rounds").fetchall() == [("nowhere",)]
    copy.close()


async def test_rebuild_takes_in_what_lies_in_the_archive(house: Clinic, few_rounds: list[Path]) -> None:
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        lost = names_of(house)[7]
        async with poller.importer.database.write() as connection:
            await connection.execute(processed_files.delete().where(processed_files.c.name == lost))
        await rebuild([poller])
        assert await facts(poller.importer.database) == numbers
        assert set(await ledger_rows(poller.importer.database)) == set(names_of(house))


async def test_rebuild_broken_off_is_taken_up_again(house: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)

        def stop(_done: int, _total: int) -> None:
            raise KeyboardInterrupt

        # The facts are empty, one batch is in: this is where the power goes.
        monkeypatch.setattr("bot.health.restore.BATCH", 25)
        with pytest.raises(KeyboardInterrupt):
            await rebuild([poller], progress=stop)
        assert len(await facts(poller.importer.database)) < len(numbers)
        finding = next(f for f in (await examine(poller)).findings if f.kind is Kind.FETCHED)
        assert finding.count == 35
        assert finding.do == "python -m bot reparse"
        await reparse(poller)
        assert await facts(poller.importer.database) == numbers
        assert (await examine(poller)).findings == ()


async def test_failed_backup_changes_nothing(house: Clinic) -> None:
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        now = datetime.now(UTC)
        for seconds in range(300):
            taken = f"{now + timedelta(seconds=seconds):%Y%m%d-%H%M%S}"
            house.database_path.with_name(f"stats.db.before-rebuild-{taken}").write_text("an earlier backup")
        with pytest.raises(DatabaseError, match=r"cannot be written.*nothing was changed"):
            await rebuild([poller])
        assert await facts(poller.importer.database) == numbers
        assert {path.read_text() for path in house.root.glob("stats.db.before-rebuild-*")} == {"an earlier backup"}


async def test_rebuild_wants_every_server(house: Clinic) -> None:
    async with house.poller() as poller:
        await poller.importer.server("second", "UTC")
        with pytest.raises(ValueError, match="second"):
            await rebuild([poller])


async def test_on_either_database(database: Database, tmp_path: Path, few_rounds: list[Path]) -> None:
    """Without a game server: import, empty the archive, restore, rebuild."""
    from bot.ingest.archive import Archive

    importer = Importer(database, CountingRules(), lambda: MORNING)
    server = await importer.server("main", "UTC")
    archive = Archive(tmp_path / "attic")
    poller = Poller(server, None, archive, Ledger(database, server, archive), importer, clock=lambda: MORNING)
    await poller.start()
    files = {path.name: path.read_bytes() for path in few_rounds[:24]}
    await poller.take([Incoming(name, data) for name, data in files.items()])
    numbers = await facts(database)
    for name in files:
        (tmp_path / "attic" / name).unlink()
    diagnosis = await examine(poller)
    assert {finding.kind: finding.names for finding in diagnosis.findings}[Kind.ARCHIVE_MISSING] == tuple(sorted(files))
    assert (await file_history(poller, min(files))).database == "ok"
    report = await restore_missing(poller, dry_run=False)
    assert report.from_database == sorted(files)
    assert Kind.ARCHIVE_MISSING not in {finding.kind for finding in (await examine(poller)).findings}
    assert (await reparse(poller)).changed == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "attic").iterdir()} == files
    if not database.is_sqlite:
        with pytest.raises(DatabaseError, match="pg_dump --format=custom"):
            await rebuild([poller])
        assert await facts(database) == numbers
    done = await rebuild([poller], no_backup=True)
    assert (done.backup is None) == (not database.is_sqlite)
    assert await facts(database) == numbers
    async with database.read() as connection:
        (details,) = (
            await connection.scalars(select(audit.c.details).where(audit.c.action == "database.rebuild"))
        ).all()
    assert json.loads(details)["rounds_before"] == 24
