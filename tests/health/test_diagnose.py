"""Each class of finding, brought about for real: its names, why, whether it matters, and the command."""

from __future__ import annotations

import os
import random
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from bot.db.schema import processed_files, rounds
from bot.health.census import Basis, CensusError, Copy, FileState, Sum, take_census
from bot.health.diagnose import diagnose, examine, previous_counts
from bot.health.findings import Diagnosis, Finding, Kind, Severity, Thresholds
from bot.health.restore import restore_missing
from bot.ingest.poll import Poller
from bot.mirror.runs import Cause
from parsers import RoundFlag
from tests.health.clinic import MORNING, Clinic, held, named_time

PARSE_ERROR = b"^1not a stats file\r\n"


def only(diagnosis: Diagnosis, kind: Kind) -> Finding:
    found = [finding for finding in diagnosis.findings if finding.kind is kind]
    assert len(found) == 1, [(finding.kind, finding.title) for finding in diagnosis.findings]
    return found[0]


def kinds(diagnosis: Diagnosis) -> set[Kind | Cause]:
    return {finding.kind for finding in diagnosis.findings}


async def look(house: Clinic, **options: object) -> Diagnosis:
    async with house.poller() as poller:
        return await examine(poller, **options)  # type: ignore[arg-type]


async def execute(poller: Poller, statement: object) -> None:
    """What somebody does by hand."""
    async with poller.importer.database.write() as connection:
        await connection.execute(statement)  # type: ignore[call-overload]


def names_of(house: Clinic) -> list[str]:
    return sorted(path.name for path in house.games.glob("*.txt"))


async def test_nothing_differs(house: Clinic) -> None:
    diagnosis = await look(house)
    assert diagnosis.severity is Severity.OK
    assert diagnosis.findings == ()
    census = diagnosis.census
    assert census.listing.basis is Basis.LISTING
    assert census.listing.names == census.ledger.keys() == census.archived.keys() == census.rounds.keys()
    assert set(census.copies.values()) == {Copy.OK}


def test_a_sum_whose_parts_do_not_make_the_whole_is_refused() -> None:
    names = frozenset({"a", "b"})
    with pytest.raises(CensusError, match="b is in no part"):
        Sum("listed", names, {"imported": frozenset({"a"})})
    with pytest.raises(CensusError, match="a is in other and in another part"):
        Sum("listed", names, {"imported": names, "other": frozenset({"a"})})
    with pytest.raises(CensusError, match="imported holds c"):
        Sum("listed", names, {"imported": names | {"c"}})
    assert Sum("listed", names, {"imported": names, "failed": frozenset()}).counts() == {"imported": 2}


async def test_server_that_cannot_be_reached_leaves_its_last_known_numbers(house: Clinic) -> None:
    before = (await look(house)).census.listing.names
    (house.attic / min(before)).unlink()
    gone = max(before)
    (house.games / gone).unlink()
    await house.poll()
    await house.server.stop()
    diagnosis = await look(house)
    listing = diagnosis.census.listing
    assert listing.stale
    assert listing.basis is Basis.LEDGER
    assert listing.names == before - {gone}
    assert listing.as_of == MORNING
    assert listing.error_code == "unreachable"
    finding = only(diagnosis, Kind.SERVER_UNREACHABLE)
    assert finding.severity is Severity.PROBLEM
    assert "the connection was refused" in finding.why
    assert finding.do == "python -m bot check-config --connect"
    # Nothing more is called gone by a server that could not be asked; the archive's gap is seen all the same.
    assert only(diagnosis, Kind.GONE_AT_SOURCE).names == (gone,)
    assert Kind.CHANGED_AT_SERVER not in kinds(diagnosis)
    assert only(diagnosis, Kind.ARCHIVE_MISSING).names == (min(before),)
    assert only(diagnosis, Kind.ARCHIVE_MISSING).severity is Severity.OK


async def test_login_that_is_refused_leads_to_the_setup(house: Clinic) -> None:
    house.server.faults.refuse_login = True
    finding = only(await look(house), Kind.SERVER_UNREACHABLE)
    assert "refused the login" in finding.why
    assert finding.do == "python -m bot setup"


async def test_suspicious_listing_draws_no_conclusion(house: Clinic) -> None:
    house.server.faults.empty_listings = 1
    diagnosis = await look(house)
    finding = only(diagnosis, Kind.SUSPICIOUS_LISTING)
    assert finding.severity is Severity.PROBLEM
    assert list(finding.names) == names_of(house)
    assert finding.do == "python -m bot setup"
    assert kinds(diagnosis) == {Kind.SUSPICIOUS_LISTING}
    assert (await look(house)).findings == ()


async def test_gone_from_the_server(house: Clinic) -> None:
    gone = names_of(house)[5:8]
    for name in gone:
        (house.games / name).unlink()
    finding = only(await look(house), Kind.GONE_AT_SOURCE)
    assert list(finding.names) == gone
    assert finding.severity is Severity.OK
    assert finding.do is None
    await house.poll()
    finding = only(await look(house), Kind.GONE_AT_SOURCE)
    assert finding.details[gone[0]] == "gone since 2025-10-06 09:00 UTC"


async def test_the_last_copy_of_a_file_deserves_attention(house: Clinic) -> None:
    name = names_of(house)[3]
    (house.games / name).unlink()
    (house.attic / name).unlink()
    finding = only(await look(house), Kind.ARCHIVE_MISSING)
    assert finding.severity is Severity.ATTENTION
    assert finding.details[name] == "only in the database"


async def test_file_whose_bytes_are_nowhere_is_a_problem(house: Clinic) -> None:
    from bot.db.schema import file_contents

    name, other = names_of(house)[3:5]
    async with house.poller() as poller:
        census = await take_census(poller)
        for item in (name, other):
            (house.attic / item).unlink()
            damaged = update(file_contents).where(file_contents.c.sha256 == census.ledger[item].sha256)
            await execute(poller, damaged.values(raw=b"not zlib"))
        (house.games / name).unlink()
        finding = only(await examine(poller), Kind.ARCHIVE_MISSING)
        assert finding.severity is Severity.PROBLEM
        assert f"no copy is left of {name}" in finding.matters
        assert finding.details == {name: "nowhere else", other: "only on the server; the database's bytes are damaged"}
        report = await restore_missing(poller, dry_run=False)
        assert report.from_server == [other]
        assert [problem for problem, _ in report.problems] == [name]
        assert only(await examine(poller), Kind.GONE_AT_SOURCE).severity is Severity.PROBLEM


async def test_bytes_of_another_content_are_no_copy(house: Clinic) -> None:
    from bot.db.schema import file_contents

    name = names_of(house)[3]
    (house.attic / name).unlink()
    (house.games / name).unlink()
    async with house.poller() as poller:
        sha256 = (await take_census(poller)).ledger[name].sha256
        other = update(file_contents).where(file_contents.c.sha256 == sha256).values(raw=zlib.compress(b"other"))
        await execute(poller, other)
        assert only(await examine(poller), Kind.ARCHIVE_MISSING).details == {name: "nowhere else"}
        report = await restore_missing(poller, dry_run=False)
        assert [problem for problem, _ in report.problems] == [name]
        assert name not in house.archived()


async def test_recent_files_that_are_missing_are_told_apart_from_old_ones(house: Clinic) -> None:
    names = names_of(house)
    recent = [name for name in names if named_time(name) > MORNING - 7 * 86400]
    assert names[0] not in recent
    (house.attic / names[0]).unlink()
    assert Kind.RECENT_MISSING not in kinds(await look(house))
    (house.attic / recent[-1]).unlink()
    diagnosis = await look(house)
    finding = only(diagnosis, Kind.RECENT_MISSING)
    assert finding.names == (recent[-1],)
    assert finding.severity is diagnosis.severity is Severity.ATTENTION
    assert finding.why.startswith("unexplained")
    assert Kind.RECENT_MISSING not in kinds(await look(house, thresholds=Thresholds(recent=3600)))


async def test_how_many_never_makes_it_worse(house: Clinic) -> None:
    for name in names_of(house)[:20]:
        (house.attic / name).unlink()
    diagnosis = await look(house, thresholds=Thresholds(large_gap=20, recent=0))
    assert only(diagnosis, Kind.LARGE_GAP).severity is Severity.OK
    assert diagnosis.severity is Severity.OK
    assert Kind.LARGE_GAP not in kinds(await look(house, thresholds=Thresholds(large_gap=21, recent=0)))


async def test_emptied_archive_points_at_the_setting(house: Clinic) -> None:
    for name in names_of(house):
        (house.attic / name).unlink()
    assert "LOCAL_STATS_PATH" in only(await look(house), Kind.ARCHIVE_MISSING).why


async def test_unseen_files(house: Clinic) -> None:
    name = "2025-10-06-085500-supply-round-1.txt"
    house.put(name, b"x\n", at=MORNING - 300)
    finding = only(await look(house), Kind.UNSEEN)
    assert finding.names == (name,)
    assert finding.severity is Severity.OK
    house.clock.now += 3600
    finding = only(await look(house), Kind.UNSEEN)
    assert finding.severity is Severity.ATTENTION
    assert finding.do == "python -m bot sync"


async def test_failed_parked_and_ignored_files(house: Clinic) -> None:
    from bot.health.replay import ignore_files

    broken = ["2025-10-01-120000-supply-round-1.txt", "2025-10-01-121000-supply-round-2.txt"]
    for name in broken:
        house.put(name, PARSE_ERROR)
    await house.poll()
    finding = only(await look(house), Kind.FAILED)
    assert list(finding.names) == broken
    assert finding.severity is Severity.ATTENTION
    assert "expected" in finding.why
    assert finding.do == "python -m bot files retry --all"
    async with house.poller() as poller:
        await execute(
            poller, update(processed_files).where(processed_files.c.name == broken[0]).values(next_try_at=None)
        )
        diagnosis = await examine(poller)
        parked = only(diagnosis, Kind.PARKED)
        assert parked.names == (broken[0],)
        assert parked.severity is Severity.PROBLEM
        assert parked.do == f"python -m bot files retry {broken[0]}"
        assert f"files ignore {broken[0]}" in parked.matters
        assert only(diagnosis, Kind.FAILED).names == (broken[1],)
        assert diagnosis.census.state(broken[0]) is FileState.PARKED
        assert await ignore_files(poller, broken, "test files") == broken
        diagnosis = await examine(poller)
        assert diagnosis.severity is Severity.OK
        assert only(diagnosis, Kind.IGNORED).why == "by hand: test files"


async def test_file_that_grows_for_too_long(house: Clinic) -> None:
    name = "2025-10-06-085900-supply-round-1.txt"
    house.put(name, b"half a line", at=MORNING - 60)
    await house.poll()
    finding = only(await look(house), Kind.GROWING)
    assert finding.names == (name,)
    assert finding.severity is Severity.OK
    house.clock.now += 2 * 3600
    finding = only(await look(house), Kind.GROWING)
    assert finding.severity is Severity.ATTENTION
    assert finding.why.startswith("unexplained")
    (house.games / name).unlink()
    finding = only(await look(house), Kind.GROWING)
    assert finding.severity is Severity.PROBLEM


async def test_changed_at_the_server(house: Clinic) -> None:
    name, same_size = names_of(house)[4:6]
    data = (house.games / name).read_bytes()
    house.put(name, data + b"more\n")
    os.utime(house.games / same_size, (MORNING, MORNING))
    finding = only(await look(house), Kind.CHANGED_AT_SERVER)
    assert finding.details == {
        name: f"{len(data)} bytes here, {len(data) + 5} on the server",
        same_size: "written to at 2025-10-06 09:00 UTC, with the same size",
    }
    assert finding.do == "python -m bot sync"


async def test_archived_files_that_were_never_imported(house: Clinic) -> None:
    name = "2025-10-02-120000-supply-round-1.txt"
    (house.attic / name).write_bytes(b"x\n")
    finding = only(await look(house), Kind.ARCHIVE_NEVER_IMPORTED)
    assert finding.names == (name,)
    assert finding.severity is Severity.ATTENTION
    assert finding.do == "python -m bot sync"


async def test_archived_copies_that_differ(house: Clinic) -> None:
    short, other, link = names_of(house)[2:5]
    good = house.archived()
    (house.attic / short).write_bytes(good[short][:100])
    finding = only(await look(house), Kind.ARCHIVE_DIFFERS)
    assert finding.names == (short,)
    assert "cut off" in finding.why
    assert finding.severity is Severity.ATTENTION
    (house.attic / other).write_bytes(good[other].swapcase())
    finding = only(await look(house), Kind.ARCHIVE_DIFFERS)
    assert finding.why.startswith("unexplained")
    assert finding.do == "python -m bot sync --restore"
    assert finding.details[short].startswith("100 bytes, sha256 ")
    (house.attic / link).unlink()
    (house.attic / link).symlink_to(house.attic / other)
    assert only(await look(house), Kind.ARCHIVE_DIFFERS).names == (short, other, link)
    async with house.poller() as poller:
        report = await restore_missing(poller, dry_run=False)
    assert report.set_aside == [short, other]
    assert {name: house.archived()[name] for name in (short, other)} == {name: good[name] for name in (short, other)}
    assert len(list((house.attic / ".replaced").iterdir())) >= 2


async def test_rounds_deleted_by_hand(house: Clinic) -> None:
    from bot.health.replay import reparse
    from tests.health.clinic import facts

    async with house.poller() as poller:
        database = poller.importer.database
        numbers = await facts(database)
        name = max(names_of(house))
        async with database.write() as connection:
            from bot.db.schema import player_rounds, player_weapons

            (round_id,) = (await connection.scalars(rounds.select().where(rounds.c.file_name == name))).all()
            for table in (player_weapons, player_rounds):
                await connection.execute(delete(table).where(table.c.round_id == round_id))
            await connection.execute(delete(rounds).where(rounds.c.id == round_id))
        finding = only(await examine(poller), Kind.LEDGER_WITHOUT_ROUND)
        assert finding.names == (name,)
        assert finding.severity is Severity.PROBLEM
        assert finding.why.startswith("unexplained")
        assert finding.do == "python -m bot reparse"
        report = await reparse(poller)
        assert name in report.changed
        assert await facts(database) == numbers
        assert Kind.LEDGER_WITHOUT_ROUND not in kinds(await examine(poller))


async def test_ledger_rows_deleted_by_hand(house: Clinic) -> None:
    """What the old recipe told people to do: delete the rows, and sync."""
    from tests.health.clinic import facts

    names = names_of(house)
    assert await look(house)
    async with house.poller() as poller:
        numbers = await facts(poller.importer.database)
        deleted = names[10:20]
        await execute(poller, delete(processed_files).where(processed_files.c.name.in_(deleted)))
        for name in deleted[:5]:
            (house.attic / name).unlink()
        for name in deleted[:3]:
            (house.games / name).unlink()
        diagnosis = await examine(poller)
        dropped = only(diagnosis, Kind.PROCESSED_DROPPED)
        assert dropped.title == "processed_files fell from 60 to 50"
        assert list(dropped.names) == deleted
        assert dropped.severity is Severity.PROBLEM
        without_row = only(diagnosis, Kind.ROUND_WITHOUT_LEDGER)
        assert list(without_row.names) == deleted
        # It is said until it is mended, and not only once.
        assert Kind.PROCESSED_DROPPED in kinds(await examine(poller))
        looked = await restore_missing(poller, dry_run=True)
        assert looked.adopted == deleted
        assert looked.missing == deleted[:5]
        assert (looked.from_database, looked.from_server) == (deleted[:3], deleted[3:5])
        done = await restore_missing(poller, dry_run=False)
        assert replace(done, dry_run=True, seconds=0) == replace(looked, seconds=0)
        assert kinds(await examine(poller)) == {Kind.GONE_AT_SOURCE} or kinds(await examine(poller)) == set()
        await held(poller)
        _, started = await poller.start()
        polled = await poller.poll(full=True)
        assert not started.outcomes
        assert not polled.outcomes
        assert await facts(poller.importer.database) == numbers


async def test_drop_that_is_meant_can_be_accepted(house: Clinic) -> None:
    await look(house)
    async with house.poller() as poller:
        database = poller.importer.database
        before = await previous_counts(database, "main")
        assert before is not None
        assert (before.processed, before.imported, before.archived, before.rounds, before.listed) == (60,) * 5
        await execute(poller, delete(processed_files).where(processed_files.c.name == names_of(house)[0]))
        assert Kind.PROCESSED_DROPPED in kinds(await examine(poller))
        assert Kind.PROCESSED_DROPPED not in kinds(await examine(poller, thresholds=Thresholds(dropped=1)))
        assert Kind.PROCESSED_DROPPED not in kinds(await examine(poller, accept_drop=True))
        assert Kind.PROCESSED_DROPPED not in kinds(await examine(poller))


async def test_orphan_round_2_names_its_match_and_its_round_1(tmp_path: Path, few_rounds: list[Path]) -> None:
    from tests.health.clinic import clinic

    second = next(path.name for path in few_rounds if path.name.endswith("-round-2.txt") and path is not few_rounds[0])
    first = few_rounds[[path.name for path in few_rounds].index(second) - 1].name
    assert first.endswith("-round-1.txt")
    async with clinic(tmp_path, [path for path in few_rounds if path.name != first]) as house:
        await house.poll()
        finding = only(await look(house), Kind.ORPHAN_ROUND_2)
        assert finding.severity is Severity.OK
        assert finding.details[second] == f"match {second.removesuffix('.txt')}: no file of its round 1 is in any place"
        house.put(first, PARSE_ERROR)
        await house.poll()
        finding = only(await look(house), Kind.ORPHAN_ROUND_2)
        assert finding.severity is Severity.ATTENTION
        assert f"its round 1 is {first}, which is failed" in finding.details[second]
        assert finding.do == f"python -m bot files retry {first}"
        house.put(first, next(path for path in few_rounds if path.name == first).read_bytes(), at=MORNING - 900)
        await house.poll()
        diagnosis = await look(house)
        assert RoundFlag.NO_ROUND_1.value not in diagnosis.census.rounds[second].flags
        assert Kind.ORPHAN_ROUND_2 not in kinds(diagnosis)


async def test_round_1_that_another_round_2_has_is_not_named_for_an_orphan(house: Clinic) -> None:
    names = names_of(house)
    second = next(name for name in names[2:] if name.endswith("-round-2.txt"))
    third = f"{second[:15]}{'59' if second[15:17] != '59' else '58'}{second[17:]}"
    assert third not in names
    house.put(third, (house.games / second).read_bytes().replace(b"Practice", b"Nowhere."))
    await house.poll()
    orphans = [finding for finding in (await look(house)).findings if finding.kind is Kind.ORPHAN_ROUND_2]
    assert [(finding.names, "is in any place" in finding.why) for finding in orphans] in (
        [((third,), True)],
        [((second,), True)],
    )


async def test_entries_that_cannot_be_fetched_are_told(house: Clinic) -> None:
    name = "2025-10-02-120000-supply-round-1.txt"
    (house.games / name).symlink_to(house.games / names_of(house)[0])
    finding = only(await look(house), Kind.NOT_FETCHABLE)
    assert finding.details == {name: "symlink"}
    assert finding.severity is Severity.ATTENTION


async def test_numbers_of_another_parser(house: Clinic) -> None:
    async with house.poller() as poller:
        await execute(poller, update(rounds).where(rounds.c.file_name == names_of(house)[0]).values(parser_version=0))
        finding = only(await examine(poller), Kind.STALE_NUMBERS)
        assert finding.names == (names_of(house)[0],)
        assert finding.do == "python -m bot reparse"


async def test_census_changes_nothing(house: Clinic) -> None:
    rng = random.Random(3)
    for name in rng.sample(names_of(house), 10):
        (house.attic / name).unlink()
    for name in rng.sample(names_of(house), 5):
        (house.games / name).unlink()
    before = house.archived()
    async with house.poller() as poller:
        from tests.health.clinic import facts, ledger_rows

        rows, numbers = await ledger_rows(poller.importer.database), await facts(poller.importer.database)
        await examine(poller)
        assert house.archived() == before
        assert await ledger_rows(poller.importer.database) == rows
        assert await facts(poller.importer.database) == numbers
    assert house.server.counts.writes == 0


async def test_row_with_a_name_that_no_file_can_have_does_not_end_the_diagnosis(house: Clinic) -> None:
    async with house.poller() as poller:
        name = names_of(house)[0]
        await execute(poller, update(processed_files).where(processed_files.c.name == name).values(name="../../etc"))
        diagnosis = await examine(poller)
        assert "../../etc" in only(diagnosis, Kind.ARCHIVE_DIFFERS).names
        assert only(diagnosis, Kind.ROUND_WITHOUT_LEDGER).names == (name,)


async def test_commands_name_the_server_where_there_are_several(house: Clinic) -> None:
    (house.attic / names_of(house)[0]).unlink()
    async with house.poller() as poller:
        census = await take_census(poller)
    finding = only(diagnose(census, several_servers=True), Kind.ARCHIVE_MISSING)
    assert finding.do == "python -m bot sync --restore --server main"
