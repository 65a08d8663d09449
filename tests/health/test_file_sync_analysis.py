"""The file sync analysis of October 2025, replayed: 3,253 files, 46 of them deleted from the archive.

A usual run plays a fifth of it.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bot.health.diagnose import examine
from bot.health.findings import Kind, Severity
from bot.health.restore import restore_missing
from tests.health.clinic import clinic, held, ledger_rows, play, stored_rows


@pytest.mark.parametrize(("files", "lost"), [(650, 9), pytest.param(3253, 46, marks=pytest.mark.long)])
async def test_old_files_were_deleted_from_the_archive(tmp_path: Path, files: int, lost: int) -> None:
    names = play(tmp_path / "games", files)
    async with clinic(tmp_path, [tmp_path / "games" / name for name in names]) as house:
        await house.poll()
        before = house.archived()
        assert len(before) == files
        old = names[files // 30 : files // 3]
        deleted = sorted(random.Random(46).sample(old, lost))
        for name in deleted:
            (house.attic / name).unlink()

        async with house.poller() as poller:
            database = poller.importer.database
            numbers, rows = await stored_rows(database), await ledger_rows(database)
            diagnosis = await examine(poller)
            census = diagnosis.census
            assert len(census.listing.files) == files
            assert not census.listing.stale
            assert len(census.archived) == files - lost
            assert len(census.ledger) == files
            assert len(census.rounds) == files
            assert {item.whole: item.counts() for item in census.sums} == {
                "server": {"imported": files},
                "archive": {"ok": files - lost},
                "processed_files": {"imported": files},
                "processed_files by place": {"on the server": files},
                "imported": {"with a round": files},
                "sessions": {"imported": files},
            }

            missing = next(f for f in diagnosis.findings if f.kind is Kind.ARCHIVE_MISSING)
            assert list(missing.names) == deleted
            assert (str(missing.oldest), str(missing.newest)) == (deleted[0][:10], deleted[-1][:10])
            assert missing.severity is Severity.OK
            assert missing.matters.startswith("Not for the numbers")
            assert missing.do == "python -m bot sync --restore"
            assert missing.dry_run == "python -m bot sync --restore --dry-run"
            assert set(missing.details.values()) == {"in the database and on the server"}
            # The backlog begins in the middle of a match; that one orphan is told, and is nothing to act on.
            assert {f.kind for f in diagnosis.findings} <= {Kind.ARCHIVE_MISSING, Kind.ORPHAN_ROUND_2}
            assert diagnosis.severity is Severity.OK

            looked = await restore_missing(poller, dry_run=True)
            assert looked.missing == looked.from_server == deleted
            assert len(house.archived()) == files - lost

            house.server.counts.clear()
            restored = await restore_missing(poller, dry_run=False)
            assert restored.from_server == deleted
            assert (restored.from_database, restored.problems, restored.server_error) == ([], [], None)
            assert sorted(house.server.counts.opened) == deleted
            assert house.archived() == before

            house.server.counts.clear()
            again = await restore_missing(poller, dry_run=False)
            assert (again.missing, again.from_server, again.from_database) == ([], [], [])
            assert house.server.counts.logins == house.server.counts.opens == house.server.counts.listings == 0

            # The next start and the next poll import nothing either.
            await held(poller)
            _, started = await poller.start()
            polled = await poller.poll(full=True)
            assert not started.outcomes
            assert not polled.outcomes
            assert await stored_rows(database) == numbers
            assert await ledger_rows(database) == rows
            assert Kind.ARCHIVE_MISSING not in {f.kind for f in (await examine(poller)).findings}
