"""What a job's message shows, step by step, also over interruptions of the job."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import discord
from discord import ui

from bot.cards.health_files import as_json, differences_csv
from bot.cards.health_work import actor_told, job_title, outcome_lines, tone_of_job
from bot.cogs.errors import UserError
from bot.cogs.face import Face
from bot.cogs.long_job import Step, bar
from bot.cogs.panel import panel
from bot.cogs.persistent import panel_button
from bot.cogs.sync_scope import Sight
from bot.cogs.text import escape
from bot.community.panels import PanelState
from bot.jobs.job import Job, JobError, JobState, JobUnknownError
from bot.locales import Texts
from bot.mirror.progress import Rate, eta
from bot.mirror.runs import differences

RESUMES_WITHIN: Final = 600.0
"""Seconds in which an interrupted job has to go on before its message says that it did not."""

LOOK_AGAIN: Final = 2.0


def may_see(job: Job, sight: Sight) -> bool:
    """Tell whether a job may be shown: one of a single game server to those who see that, others to the whole house."""
    server = job.arguments.get("server")
    of_destination = job.arguments.get("destination") is not None
    return sight.sees(None if of_destination else server)


def refused(error: JobError) -> UserError:
    """Return what a person is told where a job cannot be asked for, shown or ended."""
    if isinstance(error, JobUnknownError):
        return UserError("health.no_job")
    return UserError("health.refused", reason=escape(str(error), 600))


async def steps_of(bot: Face, job_id: str) -> AsyncIterator[Job]:
    """Yield a job as it goes on, over interruptions; the last one has ended for good."""
    while True:
        job = await bot.app.jobs.get(job_id)
        async with contextlib.aclosing(bot.app.jobs.watch(job_id)) as steps:
            async for job in steps:
                if job.active:
                    yield job
        further = await _goes_on(bot, job) if job.state is JobState.INTERRUPTED else None
        if further is None:
            yield job
            return
        job_id = further


async def _goes_on(bot: Face, job: Job) -> str | None:
    """Return the id under which an interrupted job goes on; None where it does not."""
    kind = bot.app.actions.kinds.get(job.kind)
    if kind is None or not kind.resumable:
        return None
    until = time.monotonic() + RESUMES_WITHIN
    while time.monotonic() < until:
        again = await bot.app.jobs.get(job.id)
        if again.resumed_as is not None:
            return again.resumed_as
        await asyncio.sleep(LOOK_AGAIN)
    return None


async def left_of(bot: Face, job: Job) -> tuple[float, float] | None:
    """Return how long copying will take, by what was measured at its destination; None where nobody can say."""
    name = job.arguments.get("destination")
    if job.kind not in ("mirror.backfill", "mirror.cycle") or not job.total:
        return None
    copier = bot.app.mirrors.copiers.get(str(name))
    if copier is None:
        return None
    row = await copier.book.open()
    found = eta(job.total - job.done, Rate(row.rate, row.rate_spread, row.rate_samples))
    return None if found is None else (found.earliest, found.latest)


def running_view(kept: PanelState, job: Job, left: tuple[float, float] | None, t: Texts) -> ui.LayoutView:
    """Return the message of a job that waits or runs: a bar, what is left, and the buttons."""
    row: ui.ActionRow[Any] = ui.ActionRow(
        panel_button(kept, "details", label=t("health.details")),
        panel_button(kept, "cancel", label=t("health.cancel"), style=discord.ButtonStyle.danger),
    )
    step = bar(Step(job.done, job.total, eta=left), t) if job.total or job.done else t("job.starting")
    asked = t("health.asked_by", who=actor_told(job.actor, t))
    return panel(job_title(job.kind, job.arguments, t), step, f"-# {asked}", row)


def ended_view(kept: PanelState, job: Job, t: Texts) -> ui.LayoutView:
    """Return the message of a job that has ended: counts alone, for everybody may read it."""
    row: ui.ActionRow[Any] = ui.ActionRow(panel_button(kept, "details", label=t("health.details")))
    text = "\n".join(outcome_lines(job, t, reasons=False))
    asked = t("health.asked_by", who=actor_told(job.actor, t))
    return panel(job_title(job.kind, job.arguments, t), text, f"-# {asked}", row, tone=tone_of_job(job))


async def details_of(bot: Face, job: Job) -> dict[str, bytes]:
    """Return everything that a job left behind: its record, and of comparisons every name."""
    files = {f"job-{job.id[:8]}.json": as_json(job.record())}
    if job.kind == "mirror.reconcile" and isinstance(job.result, dict):
        for record in job.result.get("destinations", ()):
            run_id = record.get("id")
            found = () if run_id is None else await differences(bot.database, run_id)
            if found:
                files[f"run-{run_id}.csv"] = differences_csv(found)
    return files
