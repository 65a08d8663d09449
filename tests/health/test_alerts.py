"""The watch with a clock that tests turn, a real database, a real destination that fails, and a real receiver."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from bot.config import Settings
from bot.db.engine import Database, DatabaseError
from bot.db.schema import destinations, incident_messages, incidents, jobs, mirror_objects, source_conditions
from bot.health.alerts import AlertWatch, Checked, build_watch, failed_jobs
from bot.health.colour import Colour
from bot.health.incidents import Condition, list_incidents, list_mutes, mute, unmute
from bot.health.notifiers import Heartbeat, Link, Notice, NotifyError, webhook
from bot.health.overview import Places
from bot.health.settings import AlertSettings, Limits
from bot.health.sources import SourceNotes
from bot.ingest.game_server_errors import Unreachable
from bot.ingest.lease import Lease
from bot.ingest.poll import PollReport
from tests.health.receiver import Receiver, receiver
from tests.mirror.copying import House, bucket, some_files
from tests.standins.objectstores import Answer, FaultProxy

SETTINGS = AlertSettings(log=False, sightings=2, failures=3, settle=300, reminder=86400)
DISK = Condition("disk:main:full", Colour.RED, "disk: full", "disk: full: 0 bytes left", "df -h", sightings=1)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Desk:
    """A watch over made-up troubles, and what people were told."""

    database: Database
    house: House
    receiver: Receiver
    wrong: list[Condition] = field(default_factory=list)
    places: Places = field(default_factory=lambda: Places((), (), Limits()))
    settings: AlertSettings = SETTINGS
    watches: list[AlertWatch] = field(default_factory=list)

    @property
    def clock(self) -> Any:
        return self.house.clock

    def watch(self, *, form: str = "discord", **more: Any) -> AlertWatch:
        """Return the watch of a process that has just begun."""

        async def source() -> list[Condition]:
            return list(self.wrong)

        hook = webhook(self.receiver.url, form, timeout=0.5, attempts=1)
        notifiers = more.pop("notifiers", [hook])
        made = AlertWatch(
            self.database,
            self.places,
            self.settings,
            notifiers,
            sources=[source],
            clock=self.clock,
            **more,
        )
        self.watches.append(made)
        return made

    async def check(self, watch: AlertWatch | None = None, *, after: float = 60, **more: Any) -> Checked:
        self.clock.now += after
        return await (watch or self.watch(**more)).check()

    async def messages(self) -> list[tuple[str, bool, bool]]:
        query = select(incident_messages).order_by(incident_messages.c.id)
        async with self.database.read() as connection:
            return [
                (row.kind, row.sent_at is not None, row.dropped_at is not None)
                for row in await connection.execute(query)
            ]


@pytest.fixture
async def desk(tmp_path: Path, database: Database) -> AsyncIterator[Desk]:
    house = House(tmp_path, database)
    async with receiver() as post_office:
        yield Desk(database, house, post_office)
    await house.close()


async def test_success_is_silent(desk: Desk) -> None:
    for _ in range(3):
        done = await desk.check()
        assert (done.decided.opened, done.sent) == ((), ())
    assert desk.receiver.taken == []


async def test_one_incident_is_told_once_reminded_edited_and_closed_with_its_duration(desk: Desk) -> None:
    desk.wrong = [DISK]
    assert (await desk.check()).decided.opened == ("disk:main:full",)
    for _ in range(5):
        assert (await desk.check()).decided.opened == ()
    assert desk.receiver.texts == ["■ disk: full"]
    began = desk.clock.now - 5 * 60
    await desk.check(after=86400)
    assert desk.receiver.texts[1:] == ["■ Still so: disk: full"]
    await desk.check()
    assert len(desk.receiver.posts) == 2
    desk.wrong = []
    away = desk.clock.now + 60
    await desk.check()
    assert len(desk.receiver.posts) == 2
    assert (await desk.check(after=301)).decided.closed == ("disk:main:full",)
    assert desk.receiver.texts[2:] == ["● Over: disk: full"]
    edited = desk.receiver.taken[-2]
    assert (edited.method, edited.path.rpartition("/")[2]) == ("PATCH", "1001")
    told = desk.receiver.posts[-1].json["embeds"][0]["description"]
    assert "it lasted 24 h 7 min" in told
    (incident,) = await list_incidents(desk.database)
    assert (incident.began_at, incident.ended_at) == (int(began), int(away))
    for _ in range(3):
        await desk.check()
    assert len(desk.receiver.posts) == 3


async def test_what_is_seen_once_is_told_to_nobody(desk: Desk) -> None:
    desk.wrong = [Condition("disk:main:slow", Colour.YELLOW, "disk: slow", "slow")]
    await desk.check()
    desk.wrong = []
    await desk.check()
    assert await list_incidents(desk.database) == []
    desk.wrong = [Condition("disk:main:slow", Colour.YELLOW, "disk: slow", "slow")]
    await desk.check()
    assert desk.receiver.taken == []
    assert (await desk.check()).decided.opened == ("disk:main:slow",)
    assert len(desk.receiver.posts) == 1


async def test_what_comes_and_goes_is_one_incident(desk: Desk) -> None:
    for turn in range(60):
        desk.wrong = [DISK] if turn % 2 == 0 else []
        await desk.check()
    assert desk.receiver.texts == ["■ disk: full"]
    # Slower than it takes to be over: each time it takes longer until that is believed.
    for turn in range(60):
        desk.wrong = [DISK] if turn % 3 == 0 else []
        await desk.check(after=400)
    assert 2 <= len(desk.receiver.posts) <= 6


async def test_changed_numbers_edit_the_message_now_and_then(desk: Desk) -> None:
    for count in range(1, 40):
        desk.wrong = [Condition("d:b2:failed", Colour.RED, "b2: files failed", f"{count} files failed", sightings=1)]
        await desk.check()
    failed = desk.wrong
    assert len(desk.receiver.posts) == 1
    edits = [taken for taken in desk.receiver.taken if taken.method == "PATCH"]
    assert 2 <= len(edits) <= 3
    assert "32 files failed" in edits[-1].json["embeds"][0]["description"]
    # A receiver that cannot edit is not told at all.
    before = len(desk.receiver.taken)
    desk.wrong = [*failed, DISK]
    other = desk.watch(form="json")
    await desk.check(other)
    desk.wrong = [*failed, Condition(DISK.key, Colour.RED, "disk: full", "still full", sightings=1)]
    await desk.check(other, after=1000)
    assert len(desk.receiver.taken) == before + 1


async def test_several_at_once_are_one_message_and_keep_their_names_when_one_is_over(desk: Desk) -> None:
    desk.wrong = [Condition(f"d:{n}:auth", Colour.RED, f"destination {n}: no", "no", sightings=1) for n in range(4)]
    await desk.check()
    assert desk.receiver.texts == ["■ 4 things need you"]
    desk.wrong = desk.wrong[1:]
    await desk.check()
    await desk.check(after=301)
    edit, over = desk.receiver.taken[1:]
    assert over.json["embeds"][0]["title"] == "● Over: destination 0: no"
    body = edit.json["embeds"][0]["description"]
    assert "it lasted" in body
    assert all(f"destination {n}" in body for n in range(4))


async def test_a_storm_is_bounded_and_nothing_of_it_is_lost(desk: Desk) -> None:
    desk.settings = SETTINGS.model_copy(update={"most_per_hour": 5})
    for n in range(60):
        desk.wrong.append(Condition(f"d:{n}:x", Colour.RED, f"destination {n}: no", "no", sightings=1))
        await desk.check(after=10)
    assert len(desk.receiver.posts) == 5
    await desk.check(after=3600)
    assert len(desk.receiver.posts) == 6
    assert desk.receiver.texts[-1] == "■ 55 things need you"
    assert all(sent for _, sent, _ in await desk.messages())


async def test_a_crash_between_deciding_and_sending_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.wrong = [DISK]

    async def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bot.health.alerts.claim", killed)
        with pytest.raises(Killed):
            await desk.check()
    assert desk.receiver.taken == []
    assert (await desk.check()).decided.opened == ()
    assert desk.receiver.texts == ["■ disk: full"]
    await desk.check()
    assert len(desk.receiver.posts) == 1


async def test_a_crash_after_sending_repeats_one_message_with_its_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.wrong = [DISK]

    async def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bot.health.alerts.settle_delivery", killed)
        with pytest.raises(Killed):
            await desk.check()
    # What came up meanwhile does not join the message that may have been read already.
    desk.wrong = [DISK, Condition("disk:nas:full", Colour.RED, "nas: full", "full", sightings=1)]
    await desk.check()
    first, again, other = desk.receiver.posts
    assert first.key == again.key
    assert first.key is not None
    assert first.body == again.body
    assert other.key != first.key
    for _ in range(3):
        await desk.check()
    assert len(desk.receiver.posts) == 3


async def test_a_receiver_that_fails_gets_it_later_and_other_notifiers_at_once(desk: Desk) -> None:
    class Paper:
        name = "paper"

        def __init__(self) -> None:
            self.written: list[str] = []

        async def send(self, notice: Notice) -> str | None:
            self.written += [incident.key for incident in notice.incidents]
            return None

        async def edit(self, reference: str, incidents: Any) -> None:
            raise AssertionError

    paper = Paper()
    hook = webhook(desk.receiver.url, "discord", timeout=0.2, attempts=1)
    watch = desk.watch(notifiers=[hook, paper])
    desk.wrong = [DISK]
    desk.receiver.hang = True
    done = await desk.check(watch)
    assert paper.written == ["disk:main:full"]
    assert done.failed == (("webhook", "no answer within 0.2 s"),)
    desk.receiver.hang = False
    desk.receiver.always = (429, {"Retry-After": "600"})
    done = await desk.check(watch, after=61)
    assert done.failed == (("webhook", "it answered 429"),)
    count = len(desk.receiver.taken)
    desk.receiver.always = None
    await desk.check(watch, after=500)
    assert len(desk.receiver.taken) == count
    await desk.check(watch, after=101)
    assert len(desk.receiver.taken) == count + 1
    assert paper.written == ["disk:main:full"]
    assert [sent for _, sent, _ in await desk.messages()] == [True, True]


async def test_what_is_over_before_it_could_be_told_is_one_message(desk: Desk) -> None:
    desk.receiver.always = (500, {})
    desk.wrong = [DISK]
    await desk.check()
    desk.wrong = []
    await desk.check()
    desk.receiver.always = None
    desk.receiver.taken.clear()
    await desk.check(after=301)
    assert desk.receiver.texts == ["● Over: disk: full"]
    assert await desk.messages() == [("opened", False, True), ("recovered", True, False)]


async def test_a_wrong_address_is_not_hammered(desk: Desk) -> None:
    desk.receiver.always = (401, {})
    desk.wrong = [DISK]
    watch = desk.watch()
    for _ in range(100):
        await desk.check(watch)
    assert len(desk.receiver.taken) == 1


async def test_muted_incidents_are_told_when_the_mute_ends(desk: Desk) -> None:
    now = int(desk.clock.now)
    await mute(desk.database, "disk:*", until_at=now + 600, actor="cli:anna", now=now)
    desk.wrong = [DISK]
    await desk.check()
    await desk.check()
    assert desk.receiver.taken == []
    assert [item.pattern for item in await list_mutes(desk.database, desk.clock.now)] == ["disk:*"]
    await desk.check(after=600)
    assert desk.receiver.texts == ["■ disk: full"]
    assert await list_mutes(desk.database, desk.clock.now) == []
    await mute(desk.database, DISK.key, until_at=None, actor="cli:anna", now=desk.clock.now)
    desk.wrong = []
    await desk.check()
    await desk.check(after=301)
    assert len(desk.receiver.posts) == 1
    assert await unmute(desk.database, DISK.key, actor="cli:anna", now=desk.clock.now)
    assert not await unmute(desk.database, DISK.key, actor="cli:anna", now=desk.clock.now)


async def test_two_processes_tell_it_once(desk: Desk) -> None:
    desk.wrong = [DISK]
    one = desk.watch(lease=Lease(desk.database, "alerts", desk.clock))
    two = desk.watch(lease=Lease(desk.database, "alerts", desk.clock))
    assert (await desk.check(one)).decided.opened == (DISK.key,)
    assert (await desk.check(two)).busy_with is not None
    await one.close()
    assert (await desk.check(two)).busy_with is None
    assert len(desk.receiver.posts) == 1


async def test_the_heart_beats_while_all_is_well_and_says_when_it_is_not(desk: Desk) -> None:
    heartbeat = Heartbeat(Link(desk.receiver.url, attempts=1))
    watch = desk.watch(heartbeat=heartbeat, notifiers=[])
    await watch.begin()
    for _ in range(10):
        await desk.check(watch)
    paths = [taken.path.rpartition("/")[2] for taken in desk.receiver.taken]
    assert paths == ["start", "canary-webhook-secret", "canary-webhook-secret"]
    destination = desk.house.settings("nas")
    copier = desk.house.copier("nas")
    await copier.book.open()
    async with desk.database.write() as connection:
        await connection.execute(update(destinations).values(failures=9, failing_since=1, last_error_code="auth"))
    watch.places = Places((), (destination,), Limits())
    await desk.check(watch, after=301)
    assert desk.receiver.taken[-1].path.endswith("/fail")
    assert b"1 of 1 needs you" in desk.receiver.taken[-1].body


async def test_secrets_are_taken_out_before_anything_is_written(desk: Desk) -> None:
    from bot.log import Scrubber

    scrubber = Scrubber(["canary-of-a-store"])
    desk.wrong = [Condition("d:b2:x", Colour.RED, "b2: canary-of-a-store", "key canary-of-a-store", sightings=1)]
    await desk.check(scrub=lambda text: str(scrubber.scrub(text)))
    async with desk.database.read() as connection:
        rows = str((await connection.execute(select(incidents))).all())
    assert "canary" not in rows + str(desk.receiver.posts[0].body)


async def test_a_bug_in_a_notifier_keeps_nobody_else_from_being_heard(desk: Desk) -> None:
    class Broken:
        name = "broken"

        async def send(self, notice: Notice) -> str | None:
            raise RuntimeError("oops")

        async def edit(self, reference: str, incidents: Any) -> None:
            raise RuntimeError("oops")

    desk.wrong = [DISK]
    watch = desk.watch(notifiers=[Broken(), webhook(desk.receiver.url, "discord")])
    done = await desk.check(watch)
    assert done.failed == (("broken", "it failed (RuntimeError)"),)
    assert len(desk.receiver.posts) == 1


async def test_testing_says_what_became_of_each(desk: Desk) -> None:
    class Deaf:
        name = "deaf"

        async def send(self, notice: Notice) -> str | None:
            raise NotifyError("it answered 410", transient=False)

        async def edit(self, reference: str, incidents: Any) -> None: ...

    heartbeat = Heartbeat(Link(desk.receiver.url, attempts=1))
    watch = desk.watch(notifiers=[Deaf(), webhook(desk.receiver.url, "discord")], heartbeat=heartbeat)
    assert [(item.notifier, item.error) for item in await watch.test()] == [
        ("deaf", "it answered 410"),
        ("webhook", None),
        ("heartbeat", None),
    ]
    assert desk.receiver.posts[0].json["embeds"][0]["title"].startswith("● Test")
    assert await list_incidents(desk.database) == []


# ---------------------------------------------------------------------- from real places


async def test_a_game_server_that_fails_three_times_is_told_and_one_that_fails_twice_is_not(desk: Desk) -> None:
    await desk.house.server()
    desk.places = Places(("main",), (), Limits(grace=900, source=1020))
    notes = SourceNotes(desk.database, desk.clock)
    watch = desk.watch(notes=notes)
    notes.polled(PollReport("main", listed=10))
    await desk.check(watch)
    error = Unreachable("main: the game server does not answer", "no route", "Look at it")
    first = int(desk.clock.now)
    for _ in range(2):
        notes.failed("main", error)
        await desk.check(watch)
    assert desk.receiver.taken == []
    async with desk.database.read() as connection:
        (row,) = (await connection.execute(select(source_conditions))).all()
    assert (row.failures, row.failing_since, row.last_error_code) == (2, first, "unreachable")
    # A new process goes on counting; what failed on our side is not the server's fault.
    notes = SourceNotes(desk.database, desk.clock)
    notes.failed("main", OSError("disk full"))
    await desk.check(notes=notes)
    assert desk.receiver.taken == []
    notes.failed("main", error)
    await desk.check(notes=notes)
    assert desk.receiver.texts == ["▲ server main: not reached"]
    notes.polled(PollReport("main", listed=None))
    await desk.check(notes=notes)
    await desk.check(notes=notes, after=301)
    assert desk.receiver.texts[1:] == ["● Over: server main: not reached"]
    async with desk.database.read() as connection:
        (row,) = (await connection.execute(select(source_conditions))).all()
    assert (row.failures, row.failing_since, row.listed_files) == (0, None, 10)


async def test_no_success_within_the_limit_is_told_too(desk: Desk) -> None:
    await desk.house.server()
    desk.places = Places(("main",), (), Limits(grace=900, source=1020))
    notes = SourceNotes(desk.database, desk.clock)
    notes.polled(PollReport("main", listed=10))
    await desk.check(notes=notes)
    await desk.check(after=1100)
    assert desk.receiver.taken == []
    await desk.check()
    assert desk.receiver.texts == ["▲ server main: no poll has ended"]


async def test_files_that_are_missing_at_a_destination_are_told_once_until_they_are_back(desk: Desk) -> None:
    house = desk.house
    files = some_files(5)
    await house.take(files)
    desk.places = Places(("main",), (house.settings("nas"),), Limits(check=0, source=10**9))
    notes = SourceNotes(desk.database, desk.clock)
    notes.polled(PollReport("main", listed=5))
    copier = house.copier("nas")
    await copier.cycle()
    watch = desk.watch(notes=notes)
    await desk.check(watch)
    async with desk.database.write() as connection:
        await connection.execute(update(mirror_objects).values(state="differs"))
    for _ in range(4):
        await desk.check(watch)
    assert desk.receiver.texts == ["■ destination nas: 5 files there with other bytes"]
    assert not any(name in str(desk.receiver.posts[0].body) for name in files)


async def test_expired_credentials_are_told_once_and_offered_seldom(
    desk: Desk, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY_ID", "canary-key-id")
    monkeypatch.setenv("TEST_SECRET", "canary-store-secret")
    await desk.house.take(some_files(3))
    async with FaultProxy(moto) as proxy:
        settings = bucket(proxy, f"t-{secrets.token_hex(6)}")
        copier = desk.house.copier("aws", **settings)
        desk.places = Places((), (desk.house.settings("aws", **settings),), Limits(check=0))
        expired = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        proxy.on(lambda _: True, Answer(403, expired))
        for _ in range(60):
            await copier.cycle()
            await desk.check()
        requests = len(proxy.requests)
        assert requests < 30
        assert desk.receiver.texts == ["▲ destination aws: not reached"]
        assert "canary" not in str([taken.body for taken in desk.receiver.taken])
        assert (await list_incidents(desk.database))[0].key == "destination:aws:auth"
        # New credentials come with a restart.
        proxy.heal()
        await copier.close()
        desk.clock.now += 3600
        await desk.house.copier("aws", **settings).cycle()
        await desk.check()
        await desk.check(after=301)
        assert desk.receiver.texts[1:] == ["● Over: destination aws: not reached"]


async def test_a_scheduled_job_that_failed_is_told_until_one_got_through(desk: Desk) -> None:
    async def job(number: int, state: str, actor: str = "schedule") -> None:
        row = {
            "id": f"job-{number}",
            "kind": "snapshot",
            "key": f"snapshot {number}",
            "arguments": "{}",
            "state": state,
            "actor": actor,
            "created_at": int(desk.clock.now),
            "ended_at": int(desk.clock.now),
            "attempt": 1,
            "progress_done": 0,
            "stage": "",
            "error": "b2: no answer" if state == "failed" else None,
        }
        async with desk.database.write() as connection:
            await connection.execute(insert(jobs).values(**row))
        desk.clock.now += 60

    async def told() -> list[str]:
        return [f"{item.key} {item.command}" for item in await failed_jobs(desk.database, desk.clock)]

    await job(1, "done")
    await job(2, "failed", "cli:anna")
    assert await told() == []
    await job(3, "failed")
    assert await told() == ["job:snapshot:failed python -m bot jobs show job-3"]
    await job(4, "done")
    assert await told() == []
    await job(5, "failed")
    desk.clock.now += 9 * 86400
    assert await told() == []


async def test_serving_looks_again_when_woken_and_outlives_what_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.health.alerts.AFTER_NEWS", 0.01)
    watch = desk.watch()
    looks: list[int] = []
    looked = asyncio.Event()

    async def check() -> Checked:
        looks.append(1)
        looked.set()
        if len(looks) < 3:
            raise DatabaseError("the database is away")
        return Checked()

    monkeypatch.setattr(watch, "check", check)
    with capture_logs() as logs:
        serving = asyncio.create_task(watch.serve())
        for count in range(1, 5):
            await asyncio.wait_for(looked.wait(), 10)
            assert len(looks) == count
            looked.clear()
            await asyncio.sleep(0.05)
            watch.wake(object())
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(serving, 10)
    assert [entry["log_level"] for entry in logs] == ["warning"]


async def test_the_settings_make_the_watch(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bot.toml").write_text('[alerts]\nwebhook_url_env = "HOOK"\nheartbeat_url_env = "BEAT"\n')
    monkeypatch.setenv("HOOK", desk.receiver.url)
    monkeypatch.setenv("BEAT", f"{desk.receiver.url}-beat")
    settings = Settings(_env_file=None, config_file=tmp_path / "bot.toml")
    assert {desk.receiver.url, f"{desk.receiver.url}-beat"} <= set(settings.secrets())
    watch = build_watch(settings, desk.database, clock=desk.clock)
    assert list(watch.notifiers) == ["log", "webhook"]
    watch.sources.append(lambda: wrong_with(desk.receiver.url))
    with capture_logs() as logs:
        done = await watch.check()
    assert done.decided.opened == ("disk:main:full",)
    (posted, beat) = desk.receiver.taken
    assert "canary" not in str(logs) + posted.body.decode()
    assert beat.path.endswith("-beat")
    await watch.close()


async def wrong_with(text: str) -> list[Condition]:
    return [Condition(DISK.key, Colour.RED, DISK.title, f"said {text}", sightings=1)]
