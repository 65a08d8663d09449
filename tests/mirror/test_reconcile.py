"""Ledger against listing: what the documents left open is answered by name, and only the ledger is put right."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.ingest.importer import Incoming
from bot.ingest.lease import Lease, LeaseLostError
from bot.mirror.mirrors import pause
from bot.mirror.reconcile import DROP_FILES, SCHEDULE, reconcile, run_record
from bot.mirror.runs import Cause, RunEnd, differences, latest_run, list_runs
from bot.mirror.status import Health, status_of
from bot.mirror.store import SNAPSHOTS, HiddenKind
from tests.mirror.copying import House, bucket, container, some_files
from tests.mirror.reconciling import (
    a_house,
    ask,
    audited,
    believe,
    by_key,
    causes,
    delete_straight,
    in_bucket,
    ledger,
    lying,
    sha256,
    states,
    write_straight,
)
from tests.standins.objectstores import Answer, FaultProxy, moto_server

THREE = some_files(3)
A, B, C = THREE


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with a_house(tmp_path, database) as opened:
        yield opened


async def test_what_agrees_is_a_match_and_nothing_is_said(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    done = await ask(copier)
    assert (done.run.ended, done.run.match, done.run.repaired, done.differences) == (RunEnd.DONE, True, 0, ())
    assert done.healthy
    assert run_record(done.run)["tracked"]["objects"] == run_record(done.run)["real"]["objects"] == 3
    assert run_record(done.run)["real"]["bytes"] == sum(map(len, THREE.values()))


async def test_one_tracked_and_none_real_is_found_put_right_and_kept(house: House) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    first = await ask(copier)
    record = run_record(first.run)
    assert (record["tracked"]["objects"], record["real"]["objects"], record["match"]) == (1, 0, False)
    assert (first.run.repaired, states(first)) == (1, {f"main/{A}": "missing"})
    (found,) = first.differences
    assert (found.believed, found.expected_size, found.sightings) == ("present", len(THREE[A]), 1)
    assert (await house.states(copier)) == {f"main/{A}": "missing"}
    assert not list((house.folder() / "main").iterdir()), "a bucket was changed"
    assert copier.woken.is_set(), "nobody was told that there is something to send"

    rows = await ledger(house, copier)
    house.clock.now += 60
    second = await ask(copier)
    assert (second.run.repaired, second.run.match) == (0, True)
    assert await ledger(house, copier) == rows
    (again,) = second.differences
    assert (again.sightings, again.first_seen_at) == (2, found.first_seen_at)
    # What it was before stays readable, and the cycle sends it again.
    assert await differences(house.database, first.run.id) == first.differences
    assert (await latest_run(house.database, "nas")) == second.run
    assert (await copier.cycle()).uploaded == [f"main/{A}"]
    assert (await ask(copier)).run.match


# -- what is not believed


MANY = some_files(40)


async def test_a_sudden_drop_is_believed_only_when_it_is_seen_twice(house: House) -> None:
    await house.take(MANY)
    copier = house.copier()
    await copier.cycle()
    rows = await ledger(house, copier)
    for name in list(MANY)[: DROP_FILES + 1]:
        (house.folder() / "main" / name).unlink()
    first = await ask(copier)
    assert (first.run.ended, first.run.repaired, first.differences) == (RunEnd.DOUBTFUL, 0, ())
    assert "sudden drop: 11 of 40" in (first.run.doubt or "")
    assert first.run.match is None
    assert await ledger(house, copier) == rows
    second = await ask(copier)
    assert (second.run.ended, second.run.repaired) == (RunEnd.DONE, DROP_FILES + 1)


async def test_some_files_gone_are_no_sudden_drop(house: House) -> None:
    await house.take(MANY)
    copier = house.copier()
    await copier.cycle()
    for name in list(MANY)[:DROP_FILES]:
        (house.folder() / "main" / name).unlink()
    done = await ask(copier)
    assert (done.run.ended, done.run.repaired, set(states(done).values())) == (RunEnd.DONE, DROP_FILES, {"missing"})


async def test_an_empty_listing_after_a_refused_login_proves_nothing(house: House) -> None:
    await house.take(THREE)
    copier, liar = lying(house)
    await copier.cycle()
    liar.listing = lambda found: []
    await copier.book.note(failures=1, last_error_code="auth", last_error="no", last_error_at=int(house.clock.now))
    done = await ask(copier)
    assert done.run.ended is RunEnd.DOUBTFUL
    assert "refuse our credentials" in (done.run.doubt or "")
    assert set((await house.states(copier)).values()) == {"present"}


async def test_a_page_that_was_lost_is_found_out_by_looking(house: House) -> None:
    await house.take(THREE)
    copier, liar = lying(house)
    await copier.cycle()
    rows = await ledger(house, copier)
    liar.listing = lambda found: found[1:]
    done = await ask(copier)
    assert (done.run.ended, done.run.repaired) == (RunEnd.DOUBTFUL, 0)
    (found,) = done.differences
    assert (found.cause, found.state) == (Cause.LISTING_STALE, "unknown")
    assert "a look shows" in found.rule
    assert await ledger(house, copier) == rows


async def test_an_old_listing_is_found_out_by_looking(house: House) -> None:
    house.put_there({A: b"before\n"})
    await house.take(THREE)
    copier, liar = lying(house, on_differs="replace")
    store = await copier.store()
    old = [info async for info in store.list()]
    await copier.cycle()
    liar.listing = lambda found: [*(info for info in found if info.key != f"main/{A}"), *old]
    done = await ask(copier)
    assert done.run.ended is RunEnd.DOUBTFUL
    assert by_key(done)[f"main/{A}"].cause is Cause.LISTING_STALE


async def test_a_key_that_is_listed_twice_makes_the_listing_doubtful(house: House) -> None:
    await house.take(THREE)
    copier, liar = lying(house)
    await copier.cycle()
    liar.listing = lambda found: [*found, found[0]]
    done = await ask(copier)
    assert (done.run.ended, done.run.listed_objects) == (RunEnd.DOUBTFUL, None)
    assert "listed twice" in (done.run.doubt or "")


async def test_an_upload_that_was_taken_and_dropped_is_found(house: House, moto: str) -> None:
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, f"r-{secrets.token_hex(4)}"))
        await copier.store()
        proxy.on(lambda request: request.writing and request.path.endswith(A), Answer(200), times=1)
        await house.take(THREE)
        assert len((await copier.cycle()).uploaded) == 3
        done = await ask(copier)
        (found,) = done.differences
        assert (found.key, found.state) == (f"main/{A}", "missing")
        assert "no listing ever showed it" in found.rule
        assert (await copier.cycle()).uploaded == [f"main/{A}"]
        assert (await ask(copier)).healthy


async def test_an_upload_that_was_cut_or_garbled_is_found(house: House, moto: str) -> None:
    prefix = f"r-{secrets.token_hex(4)}"
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, prefix))
        await house.take(THREE)
        await copier.cycle()
        garbled = bytes([THREE[B][0] ^ 1]) + THREE[B][1:]
        await write_straight(moto, f"{prefix}/", {f"main/{A}": THREE[A][:-7], f"main/{B}": garbled})
        done = await ask(copier)
        assert states(done) == {f"main/{A}": "differs", f"main/{B}": "differs"}
        assert causes(done) == {f"main/{A}": "upload_interrupted", f"main/{B}": "unexplained"}
        assert (await ask(copier)).run.repaired == 0


async def test_a_store_that_loses_keys_between_its_pages_never_makes_a_file_missing(house: House, s3rver: str) -> None:
    await house.take(MANY)
    await house.take(dict(list(MANY.items())[:3]), "main-2")
    async with FaultProxy(s3rver, page_size=7) as proxy:
        copier = house.copier("s3rver", **bucket(proxy, f"r-{secrets.token_hex(4)}"))
        await copier.drain()
        there = await house.states(copier)
        assert set(there.values()) <= {"present", "verified"}
        done = await ask(copier)
        # It lists folder by folder instead of in order; whatever comes of that, no file is called missing.
        assert done.run.after.get("missing", 0) == 0
        assert await house.states(copier) == there
        assert (done.run.ended is RunEnd.DONE) == (done.run.listed_objects == len(there))


# -- destinations that do not work, are paused, or are busy


async def test_one_that_is_down_gives_a_failed_run_and_nothing_else_changes(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    condition, rows = await copier.book.open(), await ledger(house, copier)
    (house.folder() / ".etlegacy-stats-bot").unlink()
    done = await ask(copier)
    assert (done.run.ended, done.run.error_code, done.run.repaired) == (RunEnd.FAILED, "unavailable", 0)
    assert done.run.before == done.run.after
    assert (await copier.book.open(), await ledger(house, copier)) == (condition, rows)
    assert await latest_run(house.database, "nas") is None
    assert (await latest_run(house.database, "nas", concluded=False)) == done.run


async def test_a_page_that_fails_ends_the_run_and_proves_nothing(house: House, moto: str) -> None:
    async with FaultProxy(moto, page_size=2) as proxy:
        await house.take(MANY)
        copier = house.copier("aws", **bucket(proxy, f"r-{secrets.token_hex(4)}"))
        await copier.cycle()
        rows = await ledger(house, copier)
        proxy.on(lambda request: "continuation-token" in request.query, Answer(500))
        done = await ask(copier)
        assert (done.run.ended, done.run.listed_objects) == (RunEnd.FAILED, None)
        assert await ledger(house, copier) == rows


async def test_a_paused_destination_is_compared_and_stays_paused(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    await pause(copier, "cli:test")
    (house.folder() / "main" / A).unlink()
    assert (await ask(copier)).run.repaired == 1
    assert (await copier.book.open()).paused_at is not None
    assert A not in house.there()


async def test_another_process_that_copies_there_is_waited_for_and_not_disturbed(house: House) -> None:
    await house.take(THREE)
    other = Lease(house.database, "mirror:nas", house.clock)
    assert await other.hold() is None
    with pytest.raises(LeaseLostError, match="copies to nas just now"):
        await reconcile(house.copier(), wait=0)
    assert await list_runs(house.database) == ()
    await other.release()
    assert (await reconcile(house.copier(), wait=0)).run.ended is RunEnd.DONE


# -- dry runs, and who asked


async def test_a_dry_run_says_the_same_and_writes_nothing(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    rows = await ledger(house, copier)
    dry = await ask(copier, dry_run=True)
    assert (dry.run.id, dry.run.repaired, states(dry)) == (0, 1, {f"main/{A}": "missing"})
    assert (await ledger(house, copier), await list_runs(house.database), await audited(house)) == (rows, (), [])
    real = await ask(copier)
    assert (real.differences, real.run.causes) == (dry.differences, dry.run.causes)


async def test_only_runs_that_a_person_asked_for_are_audited(house: House) -> None:
    await reconcile(house.copier(), actor=SCHEDULE)
    assert await audited(house) == []
    await reconcile(house.copier(), actor="discord:12")
    assert await audited(house) == [("discord:12", "reconcile.run", "nas")]


# -- causes, on real destinations


async def test_other_bytes_are_named_by_what_they_are(house: House) -> None:
    await house.take({A: THREE[A], B: THREE[B], C: THREE[C]})
    await house.take({B: some_files(3, seed=2)[next(iter(some_files(3, seed=2)))]}, "second")
    others = some_files(3, seed=2)
    house.put_there({A: THREE[A][:50], B: others[next(iter(others))], C: b"?" * len(THREE[C])})
    copier = house.copier()
    done = await ask(copier)
    found = causes(done)
    assert found[f"main/{A}"] == "upload_interrupted"
    assert found[f"main/{B}"] == "name_collision"
    assert found[f"main/{C}"] == "unexplained"
    assert "first 50 of the file's" in by_key(done)[f"main/{A}"].rule
    assert {row.state for key, row in (await house.rows(copier)).items() if key.startswith("main/")} == {"differs"}
    assert (await status_of(copier)).health is Health.ATTENTION
    # The cycle and the comparison agree on what differs; neither undoes the other.
    rows = await ledger(house, copier)
    await copier.cycle()
    assert (await ask(copier)).run.repaired == 0
    assert [row for row in await ledger(house, copier) if row[3].startswith("main/")] == [
        row for row in rows if row[3].startswith("main/")
    ]


async def test_a_file_that_changed_on_the_server_is_known_by_its_earlier_content(house: House) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    await copier.cycle()
    changed = THREE[A] + b"\n"
    await (await house.server()).take([Incoming(A, changed)])
    done = await ask(copier)
    (found,) = done.differences
    assert (found.state, found.cause) == ("differs", Cause.SOURCE_CHANGED)


async def test_what_was_being_sent_when_the_process_died_is_named(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    for name in (A, B):
        await believe(house, copier, f"main/{name}", state="uploading", uploaded_at=None)
    first = await ask(copier)
    assert {(found.name, found.state, found.cause) for found in first.differences} == {
        (A, "pending", Cause.UPLOAD_INTERRUPTED),
        (B, "verified", Cause.UPLOAD_INTERRUPTED),
    }
    second = await ask(copier)
    assert (second.run.repaired, causes(second)) == (0, {f"main/{A}": "upload_interrupted"})
    assert (await copier.cycle()).uploaded == [f"main/{A}"]


async def test_files_that_were_there_before_are_read_where_the_store_has_no_md5(house: House) -> None:
    house.put_there(THREE)
    house.put_there({"README.txt": b"hello\n", f"{A}.bak": THREE[A]})
    await house.take(THREE)
    copier, liar = lying(house)
    done = await ask(copier)
    assert done.run.causes == {"duplicate": 1, "foreign": 1, "uploaded_before_tracking": 3}
    assert set((await house.states(copier)).values()) == {"verified"}
    # The foreign one has a size that no file has: it need not be read to know that it is none.
    assert set(liar.read) == {f"main/{name}" for name in (*THREE, f"{A}.bak")}


async def test_the_stores_own_rule_is_asked_for_when_something_is_missing(house: House, moto: str) -> None:
    prefix = f"r-{secrets.token_hex(4)}"
    rule = (
        "<LifecycleConfiguration><Rule><ID>tidy up</ID><Status>Enabled</Status>"
        f"<Filter><Prefix>{prefix}/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule>"
        "</LifecycleConfiguration>"
    )
    async with FaultProxy(moto) as proxy:
        await house.take(THREE)
        copier = house.copier("aws", **bucket(proxy, prefix))
        await copier.cycle()
        await in_bucket(moto, "PUT", "lifecycle", rule)
        try:
            await ask(copier)
            assert proxy.count(lambda request: "lifecycle" in request.query) == 0
            await delete_straight(moto, f"{prefix}/", f"main/{A}")
            house.clock.now += 31 * 86400
            done = await ask(copier)
        finally:
            await in_bucket(moto, "DELETE", "lifecycle")
        (found,) = done.differences
        assert (found.state, found.cause) == ("missing", Cause.LIFECYCLE)
        assert "tidy up" in found.rule
        assert "30 days" in found.rule


async def test_a_deep_look_names_versions_markers_uploads_and_what_is_outside(house: House, tmp_path: Path) -> None:
    # A server of its own: versions stay switched on.
    (tmp_path / "versions").mkdir()
    with moto_server(tmp_path / "versions") as moto:
        await in_bucket(
            moto, "PUT", "versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        )
        async with FaultProxy(moto) as proxy:
            await house.take(THREE)
            copier = house.copier("aws", **bucket(proxy, "ours"))
            await copier.cycle()
            await write_straight(moto, "", {f"elsewhere/main/{A}": THREE[A], "notes.txt": b"-"})
            await write_straight(moto, "ours/", {f"main/{B}": THREE[B]})
            await delete_straight(moto, "ours/", f"main/{A}")
            shallow = await ask(copier, dry_run=True)
            assert by_key(shallow)[f"main/{A}"].cause is Cause.UNEXPLAINED
            done = await ask(copier, deep=True)
            missing = next(found for found in done.differences if found.state == "missing")
            assert (missing.name, missing.cause) == (A, Cause.OLD_VERSION)
            assert "hide marker" in missing.rule
            beyond = {(found.key, found.cause) for found in done.differences if found.state == "extra"}
            assert beyond == {
                (f"main/{A}", Cause.OLD_VERSION),
                (f"main/{B}", Cause.OLD_VERSION),
                (f"/elsewhere/main/{A}", Cause.OUTSIDE_PREFIX),
                ("/notes.txt", Cause.OUTSIDE_PREFIX),
            }
            assert done.run.after["outside"] == 2
            store = await copier.store()
            kinds = {item.kind for item in await store.hidden()}
            assert kinds == {HiddenKind.OLD_VERSION, HiddenKind.HIDE_MARKER}


async def test_replaced_copies_are_known_by_the_hash_in_their_name(house: House) -> None:
    house.put_there({A: b"somebody's\n"})
    await house.take(THREE)
    copier = house.copier(on_differs="replace")
    await copier.cycle()
    done = await ask(copier)
    (found,) = done.differences
    assert (found.state, found.cause) == ("extra", Cause.SOURCE_CHANGED)
    assert done.healthy


async def test_a_rule_that_keeps_files_away_keeps_the_sums(house: House) -> None:
    house.put_there({A: THREE[A]})
    await house.take(THREE)
    copier = house.copier(exclude={"that one": f"main/{A}", "this one": f"main/{B}"})
    await copier.cycle()
    done = await ask(copier)
    assert (done.run.after["excluded"], done.run.after["extra"], done.run.after["present"]) == (2, 1, 1)
    assert "the rule that one" in by_key(done)[f"main/{A}"].rule


async def test_hostile_keys_are_kept_whole_and_shown_cleaned(house: House, moto: str) -> None:
    prefix = f"r-{secrets.token_hex(4)}"
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, prefix))
        await copier.store()
        await write_straight(moto, f"{prefix}/", {"main/..%2F..%2Fetc": b"x", "=cmd()": b"yy", "a%1B[31m": b"zzz"})
        done = await ask(copier)
        assert set(causes(done).values()) == {"foreign"}
        assert {found.key for found in await differences(house.database, done.run.id)} >= {"=cmd()", "a\x1b[31m"}


async def test_what_was_read_once_is_not_read_again_while_the_stores_mark_stays(house: House, azurite: str) -> None:
    await house.take(THREE)
    copier, liar = lying(house, "azure", **container(azurite, f"r-{secrets.token_hex(4)}"))
    await copier.cycle()
    store = await copier.store()
    strange = b"?" * len(THREE[A])
    await store.put_if_absent("photos/a.jpg", strange, sha256=sha256(strange))
    first = await ask(copier)
    assert liar.read == ["photos/a.jpg"], "it has the size of a known file: only its bytes tell"
    again = await ask(copier)
    assert liar.read == ["photos/a.jpg"]
    assert by_key(again)["photos/a.jpg"].sha256 == by_key(first)["photos/a.jpg"].sha256 == sha256(strange)
    assert causes(again) == {"photos/a.jpg": "foreign"}


async def test_rules_that_we_may_not_ask_for_prove_nothing(house: House, moto: str) -> None:
    prefix = f"r-{secrets.token_hex(4)}"
    async with FaultProxy(moto) as proxy:
        await house.take(THREE)
        copier = house.copier("aws", **bucket(proxy, prefix))
        await copier.cycle()
        await delete_straight(moto, f"{prefix}/", f"main/{A}")
        proxy.on(lambda request: "lifecycle" in request.query, Answer(403))
        done = await ask(copier)
        assert (done.run.ended, causes(done)) == (RunEnd.DONE, {f"main/{A}": "unexplained"})


async def test_an_object_that_may_not_be_read_is_unknown_and_the_rest_goes_on(house: House) -> None:
    house.put_there(THREE)
    await house.take(THREE)
    copier, liar = lying(house)
    liar.refuse.add(f"main/{A}")
    done = await ask(copier)
    assert states(done) == {f"main/{A}": "unknown", f"main/{B}": "verified", f"main/{C}": "verified"}
    assert not done.healthy


async def test_shorter_bytes_that_are_no_beginning_are_no_broken_upload(house: House) -> None:
    house.put_there({A: THREE[A][1:]})
    await house.take({A: THREE[A]})
    assert causes(await ask(house.copier())) == {f"main/{A}": "unexplained"}


async def test_one_that_stops_answering_half_way_proves_nothing(house: House, moto: str) -> None:
    prefix = f"r-{secrets.token_hex(4)}"
    async with FaultProxy(moto) as proxy:
        await house.take(THREE)
        copier = house.copier("aws", **bucket(proxy, prefix))
        await copier.cycle()
        rows = await ledger(house, copier)
        await delete_straight(moto, f"{prefix}/", f"main/{A}")
        proxy.on(lambda request: request.method == "HEAD", Answer(500))
        done = await ask(copier)
        assert (done.run.ended, done.run.error_code) == (RunEnd.FAILED, "unavailable")
        assert (done.run.listed_objects, done.run.causes, done.differences) == (None, {}, ())
        assert await ledger(house, copier) == rows


async def test_snapshots_of_the_database_are_ours_and_no_copies(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    store = await copier.store()
    await store.put(f"{SNAPSHOTS}daily-1.db", b"rows", sha256=sha256(b"rows"))
    done = await ask(copier)
    assert (done.run.match, done.differences, done.run.after["snapshots"]) == (True, (), 1)
    assert (await copier.book.open()).listed_objects == 4
    await copier.cycle()
    assert (await copier.book.open()).listed_objects == 4
