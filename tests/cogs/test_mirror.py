"""/mirror against a folder and a bucket: work that shows how it goes, over restarts, and what is done by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.cogs import sync_follow, sync_steps
from bot.db.schema import destinations, mirror_objects
from bot.mirror import copy
from bot.mirror.runs import latest_run
from bot.mirror.status import status_of
from tests.cogs.copies import FILES, SECRET, House, a_house, answered, attachment, bucket_at, folder_of, record, told
from tests.health.conftest import moto
from tests.standins.discord import DiscordServer, Overwrite, Permission, World
from tests.standins.objectstores import FaultProxy, Late

__all__ = ["moto"]

ALL = len(FILES)


@pytest.fixture
async def proxy(moto: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(moto) as made:
        yield made


@pytest.fixture
async def built(
    tmp_path: Path,
    database_url: str,
    discord_server: DiscordServer,
    world: World,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    """A folder and a bucket, both still empty; nothing runs yet."""
    bucket = bucket_at(proxy.url, tmp_path.name) + "concurrency = 1\n"
    places = {"nas": folder_of(tmp_path, "nas"), "bucket": bucket}
    async with a_house(tmp_path, database_url, discord_server, world, monkeypatch, destinations=places) as made:
        yield made


@pytest.fixture
async def house(built: House) -> AsyncIterator[House]:
    """The same, running, with the files fetched and nothing sent."""
    async with built.live():
        await built.done("poll")
        await built.move_in()
        yield built


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be sent at once, and every step be shown."""
    monkeypatch.setattr(copy, "BATCH", 2)
    monkeypatch.setattr(sync_follow, "EVERY", 0.1)
    monkeypatch.setattr(sync_steps, "LOOK_AGAIN", 0.1)


def slow(proxy: FaultProxy, seconds: float) -> None:
    """Let each file take so long to be sent."""
    proxy.on(lambda request: request.method == "PUT" and "-round-" in request.path, Late(seconds))


# ---------------------------------------------------------------------- work that takes long


async def test_a_backfill_shows_how_it_goes_until_it_is_done(
    house: House, proxy: FaultProxy, small_steps: None
) -> None:
    slow(proxy, 0.2)
    reply = await house.admin.slash("mirror backfill", destination="bucket")
    assert "How it goes is shown here" in reply.text
    (message,) = house.world.messages()
    assert f"<@{house.admin.id}>" in message.text
    await message.until(lambda shown: f"/{ALL} · " in shown.text and "░" in shown.text, 20)
    again = await house.admin.slash("mirror backfill", destination="bucket")
    assert "it is under way" in again.text
    assert str(message.id) in again.text
    await message.until(lambda shown: f"**bucket**: {ALL} sent" in shown.text, 30)
    assert message.edits > 2
    assert len(house.world.messages()) == 1
    assert [button.label for button in message.buttons] == ["Details"]
    details = await told(await message.click("Details", by=house.admin))
    assert details.ephemeral
    assert record(details)["result"]["destinations"][0]["uploaded"] == ALL
    assert await house.audited("job.mirror.backfill") == [(f"discord:{house.admin.id}", "bucket")]
    assert house.world.pings == []


async def test_a_restart_in_the_middle_goes_on_in_the_same_message(
    built: House, proxy: FaultProxy, small_steps: None
) -> None:
    slow(proxy, 0.3)
    async with built.live():
        await built.done("poll")
        await built.move_in()
        await built.admin.slash("mirror backfill", destination="bucket")
        (message,) = built.world.messages()
        await message.until(lambda shown: "/12 · " in shown.text, 20)
        first = (await built.app.jobs.list(kind="mirror.backfill")).jobs[0]
    assert "sent" not in message.text
    async with built.live():
        await message.until(lambda shown: "**bucket**: " in shown.text and "sent" in shown.text, 30)
        last, interrupted = (await built.app.jobs.list(kind="mirror.backfill")).jobs[:2]
        assert (interrupted.id, interrupted.resumed_as) == (first.id, last.id)
        assert (await status_of(built.app.mirrors.copiers["bucket"])).stored.files == ALL
        built.bot.operators = frozenset((built.people["operator"].id,))
        details = await told(await message.click("Details", by=built.admin))
        assert record(details)["id"] == last.id
    assert len(built.world.messages()) == 1


async def test_a_job_is_ended_by_its_button(house: House, proxy: FaultProxy) -> None:
    slow(proxy, 0.5)
    await house.admin.slash("mirror backfill", destination="bucket")
    (message,) = house.world.messages()
    refused = await told(await message.click("End it", by=house.people["member"]))
    assert "This is for admins here" in refused.text
    viewer = await told(await message.click("Details", by=house.people["viewer"]))
    assert "This is for admins here" in viewer.text
    await told(await message.click("End it", by=house.people["operator"]))
    await message.until(lambda shown: "It was ended" in shown.text, 20)
    assert await house.audited("job.cancel") == [(f"discord:{house.people['operator'].id}", "mirror.backfill")]


async def test_where_the_bot_may_not_write_the_answer_itself_goes_on(
    house: House, proxy: FaultProxy, small_steps: None
) -> None:
    slow(proxy, 0.1)
    house.world.overwrite(house.world.channel, house.world.bot_role(), Overwrite(deny=Permission.SEND_MESSAGES))
    house.world.expects(403)
    reply = await house.admin.slash("mirror backfill", destination="bucket")
    assert reply.ephemeral
    await reply.until(lambda shown: f"**bucket**: {ALL} sent" in shown.text, 30)
    assert house.world.messages() == []


async def test_a_deleted_message_is_not_written_again(house: House, proxy: FaultProxy, small_steps: None) -> None:
    slow(proxy, 0.2)
    await house.admin.slash("mirror backfill", destination="bucket")
    (message,) = house.world.messages()
    house.world.expects(404)
    house.world.run(lambda: house.world.delete_message(message.message))
    (job,) = (await house.app.jobs.list(kind="mirror.backfill")).jobs
    assert (await house.app.jobs.wait(job.id, 30)).state == "done"
    assert house.world.messages() == []


# ---------------------------------------------------------------------- where it stands


async def test_the_status_tells_ledger_and_listing_apart(house: House) -> None:
    await house.done("mirror.backfill", destination="nas")
    (house.copies() / "extra.txt").write_bytes(b"x")
    await house.done("mirror.inspect", destination="nas")
    reply = await house.people["viewer"].slash("mirror status", destination="nas")
    status = await status_of(house.app.mirrors.copiers["nas"])
    assert f"stored **{status.stored.files}/{status.expected.files}**" in reply.text
    assert f"really there: {ALL + 1} objects" in reply.text
    assert f"main: {ALL + 1} objects" in reply.text
    assert str(house.root) not in reply.text.replace("\\", "")
    unknown = await house.people["viewer"].slash("mirror status", destination="b2")
    assert "There is no destination b2. There are: nas, bucket." in unknown.text


async def test_one_that_is_down_is_stale_and_the_others_are_not(house: House, proxy: FaultProxy) -> None:
    await house.done("mirror.backfill")
    house.copies().parent.rename(house.root / "unplugged")
    await house.app.mirrors.copiers["nas"].cycle(asked=True)
    reply = await house.people["viewer"].slash("sync status")
    nas, bucket = (part for part in reply.text.split("**nas**")[1].split("**bucket**"))
    assert "stale" in nas
    assert f"stored **{ALL}/{ALL}**" in nas
    assert "stale" not in bucket
    assert f"stored **{ALL}/{ALL}**" in bucket
    ran = await house.admin.slash("mirror reconcile")
    shown = await answered(ran, "**bucket**: match")
    assert "**nas**: did not work" in shown.text or "could not be listed" in shown.text
    diagnosed = await told(await house.admin.slash("sync diagnose", destination="nas"))
    assert "**stale**" in diagnosed.text


# ---------------------------------------------------------------------- comparisons


async def test_a_dry_run_says_and_a_run_does(house: House) -> None:
    await house.done("mirror.backfill", destination="nas")
    for name in sorted(FILES)[:2]:
        (house.copies() / name).unlink()
    dry = await house.admin.slash("mirror reconcile", destination="nas", dry_run=True)
    shown = await answered(dry, "would be put right (dry run)")
    assert "**nas**: MISMATCH" in shown.text
    assert f"tracked {ALL}" in shown.text
    assert f"really there {ALL - 2}" in shown.text
    assert await latest_run(house.app.database, "nas") is None
    real = await answered(
        await house.admin.slash("mirror reconcile", destination="nas"), "rows of the ledger put right"
    )
    run = await latest_run(house.app.database, "nas")
    assert run is not None
    assert f"main/{sorted(FILES)[0]}" in attachment(real, f"run-{run.id}.csv")
    runs = await house.admin.slash("mirror runs", destination="nas")
    assert f"tracked {run.before['tracked']} → listed {run.listed_objects}" in runs.text
    assert f"<@{house.admin.id}>" in runs.text
    one = await house.admin.slash("mirror runs", run=run.id)
    assert json.loads(attachment(one, f"run-{run.id}.json"))["repaired"] == run.repaired
    assert attachment(one, f"run-{run.id}.csv").count("main/") == 2
    none = await house.admin.slash("mirror runs", run=999)
    assert "There is no comparison #999" in none.text


async def test_copies_are_read_back(house: House) -> None:
    await house.done("mirror.backfill", destination="nas")
    torn = house.copies() / sorted(FILES)[0]
    torn.write_bytes(b"x" * len(torn.read_bytes()))
    reply = await house.admin.slash("mirror verify", destination="nas", percent=100.0)
    shown = await answered(reply, f"{ALL} of {ALL} read back")
    assert "1 with other bytes" in shown.text


# ---------------------------------------------------------------------- by hand


async def test_a_destination_is_paused_and_goes_on(house: House) -> None:
    done = await house.admin.slash("mirror pause", destination="nas")
    assert "Nothing more is sent to **nas**" in done.text
    assert "</mirror resume:" in done.text
    assert "already" in (await house.admin.slash("mirror pause", destination="nas")).text
    assert "paused or not set up" in (await house.admin.slash("mirror status", destination="nas")).text
    await house.app.mirrors.copiers["nas"].book.track()
    async with house.app.database.write() as connection:
        await connection.execute(update(mirror_objects).values(state="failed", tries=8))
    again = await house.admin.slash("mirror resume", destination="nas")
    assert "**nas** goes on." in again.text
    assert f"{ALL} failed files are tried again" in again.text
    async with house.app.database.read() as connection:
        row = (await connection.execute(select(destinations.c.paused_at).where(destinations.c.name == "nas"))).one()
    assert row.paused_at is None
    me = f"discord:{house.admin.id}"
    assert await house.audited("mirror.pause") == [(me, "nas")]
    assert await house.audited("mirror.resume") == [(me, "nas")]


async def test_one_file_is_sent_and_fetched_again(house: House) -> None:
    await house.done("mirror.backfill", destination="nas")
    name = sorted(FILES)[0]
    (house.copies() / name).write_bytes(b"not ours")
    up = await told(await house.admin.slash("mirror force", destination="nas", file=name))
    assert "**replaced; what was there is kept beside it**" in up.text
    assert (house.copies() / name).read_bytes() == FILES[name]
    (house.archive() / name).unlink()
    down = await told(await house.admin.slash("mirror force", destination="nas", file=name, direction="from"))
    assert "**fetched**" in down.text
    assert (house.archive() / name).read_bytes() == FILES[name]
    wrong = await told(await house.admin.slash("mirror force", destination="nas", file="x.txt"))
    assert "is not the name of a stats file" in wrong.text
    gone = await told(
        await house.admin.slash("mirror force", destination="nas", file="2020-01-01-000000-oasis-round-1.txt")
    )
    assert "has no content" in gone.text
    assert SECRET not in gone.text
