"""/jobs: what was done is listed, one is shown with everything, and one that runs is ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.cards.health_work import is_good, outcome_lines
from bot.jobs.job import Job, JobState
from bot.locales import catalogue
from tests.cogs.copies import FILES, House, a_house, record, told
from tests.standins.discord import DiscordServer, World


@pytest.fixture
async def house(
    tmp_path: Path, database_url: str, discord_server: DiscordServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """One game server and a folder; nothing is done by itself, so what is asked for waits."""
    async with a_house(tmp_path, database_url, discord_server, world, monkeypatch) as made, made.live(work=False):
        await made.app.actions.submit("mirror.backfill", {"destination": "nas"}, "cli:anna")
        await made.move_in()
        yield made


async def test_jobs_are_listed_and_shown_with_all_that_came_of_them(house: House) -> None:
    empty = await house.admin.slash("jobs list", active=True)
    assert "**Copy to: nas** · waits" in empty.text
    assert "cli\\:anna" in empty.text
    async with house.app.jobs.started(pick_up=True):
        (job,) = (await house.app.jobs.list()).jobs
        done = await house.app.jobs.wait(job.id, 20)
        polled = await house.done("poll")
    assert done.state == "done"
    listed = await house.admin.slash("jobs list")
    assert "**Look at game servers** · done" in listed.text
    assert "by itself" in listed.text
    assert "No jobs yet." in (await house.admin.slash("jobs list", active=True)).text
    (offered, *_) = await house.admin.autocomplete("jobs show", job="look")
    assert offered.value == polled.id
    shown = await told(await house.admin.slash("jobs show", job=polled.id[:8]))
    assert f"{len(FILES)} listed · {len(FILES)} fetched · {len(FILES)} imported" in shown.text
    assert record(shown)["result"] == polled.result
    unknown = await told(await house.admin.slash("jobs show", job="nothing"))
    assert "There is no such job here" in unknown.text


@pytest.mark.parametrize("told_why", [True, False])
def test_what_everybody_reads_of_a_job_names_no_errors(told_why: bool) -> None:
    failed = Job("1", "poll", {}, "", JobState.FAILED, "cli:anna", 1, error="host.example: /srv/stats is gone")
    part = {"destination": "nas", "error": "/mnt/nas is gone"}
    done = Job("2", "mirror.verify", {}, "", JobState.DONE, "cli:anna", 1, result={"destinations": [part]})
    for job, secret in ((failed, "/srv/stats"), (done, "/mnt/nas")):
        text = "\n".join(outcome_lines(job, catalogue().texts("en"), reasons=told_why))
        assert (secret in text) is told_why
        assert not is_good(job)


async def test_a_job_that_waits_is_ended_once(house: House) -> None:
    (offered,) = await house.admin.autocomplete("jobs cancel", job="")
    done = await house.admin.slash("jobs cancel", job=offered.value)
    assert "It is told to end" in done.text
    assert await house.audited("job.cancel") == [(f"discord:{house.admin.id}", "mirror.backfill")]
    again = await told(await house.admin.slash("jobs cancel", job=offered.value))
    assert "This job has ended already" in again.text
    assert await house.admin.autocomplete("jobs cancel", job="") == []


async def test_asking_twice_names_who_asked_first(house: House) -> None:
    reply = await house.admin.slash("mirror backfill", destination="nas")
    assert "How it goes is shown here" in reply.text
    again = await house.people["operator"].slash("mirror backfill", destination="nas")
    assert "cli\\:anna asked for this" in again.text
    (message,) = house.world.messages()
    assert str(message.id) in again.text
