"""The way back: archive and database are gone, a destination gives all of it back, and the facts are the same."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.db.engine import Database
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from bot.mirror.copy import Copier
from bot.mirror.restore import RestoreReport, drill, restore_from
from tests.ingest.world import ZONE, Files, facts
from tests.mirror.conftest import ONE_OF_EACH, OVER_HTTP, Place, every_kind
from tests.mirror.copying import House, some_files
from tests.standins.objectstores import Answer


async def _restored(house: House, copier: Copier, **options: Any) -> RestoreReport:
    async def poller_for(name: str) -> Poller | None:
        return await house.server(name) if name in ("main", "second") else None

    return await restore_from(copier, poller_for, **options)


async def _wipe_and_restore(house: House, lost: Database, copier_settings: dict[str, Any], files: Files) -> None:
    await house.take(files)
    await house.take(dict(list(files.items())[:5]), "second")
    copier = house.copier("far", **copier_settings)
    assert len((await copier.cycle()).uploaded) == len(files) + 5
    before = await facts(house.database)
    assert len(before) > len(files)
    await house.close()

    # The machine is lost: another root, an empty database.
    new = House(house.root / "new machine", lost, house.clock)
    copier = new.copier("far", **copier_settings)
    planned = await _restored(new, copier, dry_run=True)
    assert len(planned.restored) == len(files) + 5
    assert await facts(lost) == []
    report = await _restored(new, copier)
    assert (sorted(report.restored), report.failed, report.differs) == (sorted(planned.restored), [], [])
    assert await facts(lost) == before
    assert new.archived() == files
    again = await _restored(new, copier)
    assert (again.restored, again.already) == ([], len(files) + 5)
    assert (await copier.cycle()).all_in_sync
    await new.close()


@pytest.fixture
async def empty(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Database]:
    shutil.copyfile(migrated_sqlite, tmp_path / "empty.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    yield database
    await database.close()


async def test_a_lost_machine_comes_back_from_a_folder(tmp_path: Path, database: Database, empty: Database) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    settings = {"kind": "directory", "path": folder}
    await _wipe_and_restore(House(tmp_path, database), empty, settings, some_files(60))


@pytest.fixture
async def first(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Database]:
    shutil.copyfile(migrated_sqlite, tmp_path / "first.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'first.db'}")
    yield database
    await database.close()


@every_kind(*OVER_HTTP)
async def test_a_lost_machine_comes_back_from_every_kind_of_store(
    tmp_path: Path, first: Database, empty: Database, place: Place
) -> None:
    await _wipe_and_restore(House(tmp_path, first), empty, _settings(place), some_files(30))


@every_kind(*ONE_OF_EACH, "directory")
async def test_real_rounds_come_back(
    tmp_path: Path, first: Database, empty: Database, place: Place, real_rounds_folder: Path
) -> None:
    files = {path.name: path.read_bytes() for path in sorted(real_rounds_folder.glob("*-round-?.txt"))}
    await _wipe_and_restore(House(tmp_path, first), empty, _settings(place), files)


def _settings(place: Place) -> dict[str, Any]:
    return {name: value for name, value in place.base.items() if name != "name"}


@every_kind(*ONE_OF_EACH)
async def test_credentials_that_may_only_read_are_enough_for_the_way_back(
    tmp_path: Path, first: Database, empty: Database, place: Place
) -> None:
    files = some_files(4)
    house = House(tmp_path, first)
    await house.take(files)
    await house.copier("far", **_settings(place)).cycle()
    await house.close()
    place.http.on(
        lambda request: request.method not in ("GET", "HEAD"), Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    )
    new = House(tmp_path / "new machine", empty, house.clock)
    copier = new.copier("far", **_settings(place))
    report = await _restored(new, copier)
    assert (len(report.restored), report.failed) == (4, [])
    assert (await copier.cycle()).error_code == "auth", "copying there needs more, and says so"
    await new.close()


async def test_a_drill_proves_the_way_back_and_notices_what_is_lost(tmp_path: Path, database: Database) -> None:
    files = some_files(20)
    house = House(tmp_path, database)
    await house.take(files)
    copier = house.copier()
    await copier.cycle()
    for lost in (False, True):
        if lost:
            (house.folder() / "main" / list(files)[3]).unlink()
        folder = tmp_path / f"drill {lost}"
        folder.mkdir()
        poller = await house.server()
        zones = {"main": poller.server.zone}
        assert str(poller.server.zone) == ZONE
        proof = await drill(copier, database, CountingRules(), zones, folder)
        assert proof.equal is not lost
        assert proof.files_only_here == ([f"main/{list(files)[3]}"] if lost else [])
    assert house.archived() == files
    await house.close()


async def test_a_restore_leaves_what_is_here_as_it_is(tmp_path: Path, database: Database) -> None:
    files = some_files(4)
    a, b, c, d = files
    house = House(tmp_path, database)
    await house.take({a: files[a], b: files[b]})
    copier = house.copier()
    archive = (await house.server()).archive.folder
    (archive / b).unlink()
    # Other bytes than those that were imported, other bytes than those in the archive, and two that nobody had.
    house.put_there({a: b"other\n", b: files[d], c: files[c], d: files[d]})
    report = await _restored(house, copier)
    assert report.restored == [f"main/{c}", f"main/{d}"]
    assert sorted(report.differs) == [f"main/{a}", f"main/{b}"]
    assert house.archived() == {name: files[name] for name in (a, c, d)}
    await house.close()
