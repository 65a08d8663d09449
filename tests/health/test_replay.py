"""Stored bytes replayed: nothing changes by itself, changes are named, failed files get another chance."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from bot.db.schema import audit, file_contents, player_rounds, processed_files, rounds
from bot.health.replay import ignore_files, reparse, retry_failed
from bot.ingest.importer import Result
from bot.ingest.poll import Poller
from tests.health.clinic import Clinic, facts, held, ledger_rows

BROKEN = "2025-10-01-120000-supply-round-1.txt"


def names_of(house: Clinic) -> list[str]:
    return sorted(path.name for path in house.games.glob("*.txt"))


async def test_same_parser_changes_nothing(house: Clinic) -> None:
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        rows = await ledger_rows(poller.importer.database)
        for path in house.attic.glob("*.txt"):
            path.unlink()
        await house.server.stop()
        report = await reparse(poller)
        assert (report.files, report.changed, report.vanished, report.problems) == (60, [], [], [])
        assert report.outcomes == {Result.UNCHANGED: 60}
        assert await facts(poller.importer.database) == numbers
        assert await ledger_rows(poller.importer.database) == rows


async def test_rounds_that_come_out_other_than_before_are_named(house: Clinic) -> None:
    name, by_hand = names_of(house)[9], names_of(house)[30]
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        of_rounds = select(rounds.c.id).where(rounds.c.file_name.in_([name, by_hand]))
        async with poller.importer.database.write() as connection:
            # One as an older parser left it, one that somebody changed.
            wrong = update(player_rounds).where(player_rounds.c.round_id.in_(of_rounds))
            await connection.execute(wrong.values(kills=99))
            await connection.execute(update(rounds).where(rounds.c.file_name == name).values(parser_version=0))
        report = await reparse(poller)
        assert report.changed == [name, by_hand]
        assert report.outcomes == {Result.UNCHANGED: 59, Result.REPLACED: 1}
        assert await facts(poller.importer.database) == numbers


async def test_only_the_named_files(house: Clinic) -> None:
    wanted = names_of(house)[3:5]
    async with house.poller() as poller:
        report = await reparse(poller, [*wanted, "2020-01-01-000000-x-round-1.txt"])
        assert report.files == 2
        assert report.without_bytes == ["2020-01-01-000000-x-round-1.txt"]


async def test_failed_file_that_parses_now_is_recovered(house: Clinic) -> None:
    """What failed with an older parser succeeds with this one."""
    name = names_of(house)[20]
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        await _make_it_look_failed(poller, name)
        report = await reparse(poller)
        assert report.recovered == [name]
        assert await facts(poller.importer.database) == numbers
        assert (await ledger_rows(poller.importer.database))[name].state == "imported"


async def _make_it_look_failed(poller: Poller, name: str) -> None:
    async with poller.importer.database.write() as connection:
        mine = processed_files.c.name == name
        await connection.execute(
            update(processed_files).where(mine).values(state="failed", reason="an older parser", tries=6)
        )


async def test_damaged_bytes_are_taken_from_the_archive_where_that_is_right(house: Clinic) -> None:
    good, bad = names_of(house)[:2]
    async with house.poller() as poller:
        rows = await ledger_rows(poller.importer.database)
        async with poller.importer.database.write() as connection:
            for name in (good, bad):
                damaged = update(file_contents).where(file_contents.c.sha256 == rows[name].sha256)
                await connection.execute(damaged.values(raw=b"x"))
        (house.attic / bad).write_bytes(b"y")
        report = await reparse(poller)
        assert report.without_bytes == [bad]
        assert report.files == 59


async def test_retry_imports_at_once_what_is_here_and_lines_up_the_rest(house: Clinic) -> None:
    recovers, away = names_of(house)[12], "2025-10-01-130000-supply-round-1.txt"
    house.put(BROKEN, b"no stats\n")
    house.put(away, b"whatever\n")
    house.server.faults.denied.add(away)
    await house.poll()
    async with house.poller() as poller:
        await _make_it_look_failed(poller, recovers)
        report = await retry_failed(poller, None, actor="cli:anna")
        assert report.imported == [recovers]
        assert [name for name, _ in report.failed] == [BROKEN]
        assert report.waiting == [away]
        rows = await ledger_rows(poller.importer.database)
        assert rows[BROKEN].tries == 1
        assert rows[away].next_try_at == int(house.clock.now)
        async with poller.importer.database.read() as connection:
            query = select(audit.c.actor, audit.c.action, audit.c.target).order_by(audit.c.target)
            assert [tuple(row) for row in await connection.execute(query)] == [
                ("cli:anna", "files.retry", f"main/{name}") for name in sorted([recovers, BROKEN, away])
            ]
        house.server.faults.denied.clear()
        (house.games / away).write_bytes((house.games / recovers).read_bytes())
        await held(poller)
        await poller.poll(full=True)
        assert (await ledger_rows(poller.importer.database))[away].state != "failed"


async def test_retry_beside_a_running_poller_only_lines_up(house: Clinic) -> None:
    house.put(BROKEN, b"no stats\n")
    await house.poll()
    async with house.poller() as running, house.poller() as ours:
        await held(running)
        report = await retry_failed(ours, [BROKEN, "2020-01-01-000000-x-round-1.txt"])
        assert report.waiting == [BROKEN]
        assert report.unknown == ["2020-01-01-000000-x-round-1.txt"]
        assert report.busy is not None
        assert (await ledger_rows(ours.importer.database))[BROKEN].tries == 0


async def test_files_taken_out_by_hand_stay_out(house: Clinic, tmp_path: Path) -> None:
    house.put(BROKEN, b"no stats\n")
    await house.poll()
    async with house.poller() as poller:
        assert await ignore_files(poller, [BROKEN, names_of(house)[0]], "a test of the server") == [BROKEN]
        report = await reparse(poller)
        assert report.left_out == [BROKEN]
        assert (await retry_failed(poller, None)).failed == []
        row = (await ledger_rows(poller.importer.database))[BROKEN]
        assert (row.state, row.reason) == ("ignored", "by hand: a test of the server")
        await held(poller)
        polled = await poller.poll(full=True)
        assert not polled.outcomes
