"""/sync against real parts: the numbers are the services', and each way back really brings files back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.db.schema import mirror_objects, processed_files
from bot.health.overview_taking import places_of, take_overview
from bot.locales import UNKNOWN
from tests.cogs.copies import FILES, SECRET, House, a_house, answered, attachment, bucket_at, folder_of, record, told
from tests.health.conftest import moto
from tests.standins.discord import DiscordServer, Reply, World

__all__ = ["moto"]

BROKEN = "2025-02-01-201500-supply-round-1.txt"


@pytest.fixture
async def house(
    tmp_path: Path,
    database_url: str,
    discord_server: DiscordServer,
    world: World,
    moto: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    """One game server whose files are in a folder; a bucket is set up and still empty."""
    places = {"nas": folder_of(tmp_path, "nas"), "bucket": bucket_at(moto, tmp_path.name)}
    async with (
        a_house(tmp_path, database_url, discord_server, world, monkeypatch, destinations=places) as made,
        made.live(),
    ):
        await made.done("poll")
        await made.done("mirror.backfill", destination="nas")
        await made.move_in()
        yield made


async def test_the_status_shows_the_numbers_of_the_service(house: House) -> None:
    reply = await house.admin.slash("sync status")
    assert reply.ephemeral
    overview = await take_overview(house.app.database, places_of(house.app.settings), house.world.clock.now())
    (source,) = overview.sources
    nas, bucket = overview.destinations
    assert (source.listed, source.imported) == (len(FILES), len(FILES))
    assert f"listed {source.listed} · imported {source.imported}/{source.known}" in reply.text.replace(
        " (by the ledger)", ""
    )
    for view in (nas, bucket):
        assert f"stored **{view.stored}/{view.expected}** · verified {view.state('verified')}" in reply.text
    assert (nas.stored, bucket.stored, bucket.pending) == (len(FILES), 0, len(FILES))
    assert f"pending {len(FILES)} · missing 0 · differs 0 · extra {UNKNOWN} · failed 0" in reply.text
    assert "<t:" in reply.text
    assert [button.label for button in reply.buttons] == ["Look again", "Show to everybody"]
    await house.done("mirror.backfill", destination="bucket")
    again = await reply.click("Look again")
    await again.until(lambda shown: shown.text.count(f"stored **{len(FILES)}/{len(FILES)}**") == 2)


async def test_what_is_shown_to_everybody_names_no_errors(house: House) -> None:
    house.copies().parent.rename(house.root / "unplugged")
    await house.app.mirrors.copiers["nas"].cycle(asked=True)
    reply = await house.admin.slash("sync status")
    assert str(house.root) in reply.text.replace("\\", "")
    shared = await told_to_all(reply)
    assert not shared.ephemeral
    assert "**nas**" in shared.text
    assert "not reached" in shared.text
    assert "stale" in shared.text
    assert str(house.root) not in shared.text.replace("\\", "")
    seen = await house.people["viewer"].slash("sync status")
    assert str(house.root) not in seen.text.replace("\\", "")
    assert f"stored **{len(FILES)}/{len(FILES)}**" in seen.text, "the last good numbers stay"
    assert "Show to everybody" not in [button.label for button in seen.buttons]


async def told_to_all(reply: Reply) -> Reply:
    pressed = await reply.click("Show to everybody")
    return pressed if not pressed.ephemeral else await pressed.followup()


async def test_a_diagnosis_names_each_cause_with_its_command(house: House) -> None:
    await house.done("mirror.backfill", destination="bucket")
    name = sorted(FILES)[0]
    (house.copies() / name).unlink()
    (house.copies() / "2020-01-01-000000-@everyone-round-1.txt").write_bytes(b"nobody's")
    reply = await told(await house.admin.slash("sync diagnose", destination="nas"))
    assert f"expected **{len(FILES)}**" in reply.text
    assert f"listed **{len(FILES)}**" in reply.text
    assert "1 extra" in reply.text
    assert "No file of ours" in reply.text
    assert "</mirror backfill:" in reply.text
    assert "destination:`nas`" in reply.text
    table = attachment(reply, "names.csv")
    assert f"main/{name}" in table
    assert "@everyone" in table
    found = record(reply)["destinations"][0]
    assert found["sums"]["nas: expected"]["total"] == len(FILES)
    assert SECRET not in table


async def test_two_destinations_are_compared_by_name(house: House) -> None:
    reply = await told(await house.admin.slash("sync diagnose", destination="nas", compare_with="bucket"))
    assert "In **nas**, not in **bucket**" in reply.text
    assert f"lists {len(FILES)} = 0 in both + {len(FILES)} only there" in reply.text
    assert attachment(reply, "names.csv").count("main/") == len(FILES)
    alone = await told(await house.admin.slash("sync diagnose", compare_with="bucket"))
    assert "Name two different destinations" in alone.text


async def test_one_file_is_followed_through_all_places(house: House) -> None:
    name = sorted(FILES)[0]
    (offered, *_) = await house.admin.autocomplete("sync diagnose", file=name[:20])
    assert offered.value == name
    reply = await told(await house.admin.slash("sync diagnose", file=name))
    assert f"`{name}`" in reply.text
    assert "sha256" in reply.text
    assert "**nas**: present" in reply.text
    assert "**bucket**: not queued yet" in reply.text or "**bucket**: pending" in reply.text
    assert "first seen" in reply.text
    unknown = await told(await house.admin.slash("sync diagnose", file=BROKEN))
    assert "No place knows" in unknown.text
    wrong = await told(await house.admin.slash("sync diagnose", file="../../etc/passwd"))
    assert "is not the name of a stats file" in wrong.text


async def test_everything_is_diagnosed_when_nothing_is_named(house: House) -> None:
    reply = await told(await house.admin.slash("sync diagnose"))
    assert "**main**" in reply.text
    assert "**nas**" in reply.text
    assert "**bucket**" in reply.text
    assert f"game server **{len(FILES)}** = {len(FILES)} imported" in reply.text


async def test_a_poll_brings_in_what_is_new_and_says_so(house: House) -> None:
    late = next(iter(FILES))
    data = (house.stats() / late).read_bytes()
    new = f"2025-03-01{late[10:]}"
    house.put({new: data})
    reply = await told(await house.admin.slash("sync now"))
    assert f"{len(FILES) + 1} listed · 1 fetched" in reply.text
    assert record(reply)["kind"] == "poll"
    assert await house.audited("job.poll") == [(f"discord:{house.admin.id}", "all")]


async def test_what_failed_is_listed_with_its_reason_and_tried_again(house: House) -> None:
    nothing = await house.admin.slash("sync failed")
    assert "No file failed." in nothing.text
    house.put({BROKEN: b"this is no round\n"})
    await house.done("poll")
    await house.done("poll")
    listed = await house.admin.slash("sync failed")
    assert f"main/{BROKEN}" in listed.text
    assert "1 try" in listed.text
    whole = next(data for name, data in FILES.items() if name.endswith("round-1.txt"))
    async with house.app.database.write() as connection:
        parked = update(mirror_objects).where(mirror_objects.c.name == sorted(FILES)[0])
        await connection.execute(
            parked.values(state="failed", tries=8, reason="the bucket said [no](http://evil) @everyone")
        )
    both = await house.admin.slash("sync failed")
    assert "Failed files: 2" in both.text
    assert "8 tries" in both.text
    assert "\\@everyone" in both.text
    house.put({BROKEN: whole})
    (choice, *_) = [o for o in both.selects[0]["options"] if o["label"].startswith(BROKEN[:30])]
    pressed = await both.select(choice["value"], by=house.admin)
    await answered(pressed, "### Try failed files again: main")
    assert (await house.audited("job.retry"))[-1] == (f"discord:{house.admin.id}", "main")
    again = await house.admin.slash("sync failed")
    await answered(await again.click("Try all again"), "1 failed file is tried again")


async def test_a_copy_that_failed_is_sent_again_alone(house: House) -> None:
    name = sorted(FILES)[0]
    async with house.app.database.write() as connection:
        parked = update(mirror_objects).where(mirror_objects.c.name == name)
        await connection.execute(parked.values(state="failed", tries=8, reason="refused"))
    (house.copies() / name).unlink()
    listed = await house.admin.slash("sync failed")
    await answered(await listed.select("0"), "**sent**")
    assert (house.copies() / name).read_bytes() == FILES[name]
    assert await house.audited("mirror.force_up") == [(f"discord:{house.admin.id}", f"main/{name}")]


async def test_what_is_missing_is_shown_first_and_brought_back_when_agreed(house: House) -> None:
    nothing = await told(await house.admin.slash("sync restore"))
    assert "The archive misses nothing." in nothing.text
    lost = sorted(FILES)[:3]
    for name in lost:
        (house.archive() / name).unlink()
    (house.stats() / lost[0]).unlink()  # the server has it no more; the database does
    question = await told(await house.admin.slash("sync restore", server="main"))
    assert "3 files are missing; 2 would come from the game server, 1 from the database." in question.text
    assert all(f"main,{name}," in attachment(question, "missing.csv") for name in lost)
    cancelled = await question.click("Cancel")
    assert "Nothing was changed." in cancelled.text
    assert not (house.archive() / lost[0]).exists()
    question = await told(await house.admin.slash("sync restore"))
    pressed = await question.click("Bring them back")
    await answered(pressed, "3 missing in the archive · 2 from the game server · 1 from the database")
    assert question.buttons == [], "the question is answered"
    assert all((house.archive() / name).read_bytes() == FILES[name] for name in lost)
    assert await house.audited("archive.restore") == [(f"discord:{house.admin.id}", "main")]


async def test_a_file_that_waits_for_a_person_is_counted_as_such(house: House) -> None:
    async with house.app.database.write() as connection:
        parked = update(processed_files).where(processed_files.c.name == sorted(FILES)[0])
        await connection.execute(parked.values(state="failed", next_try_at=None, reason="torn"))
    reply = await house.admin.slash("sync status")
    assert "🔴 **main**" in reply.text
    assert "not imported: 1 wait for you" in reply.text
    assert "</sync failed:" in reply.text
