"""/jobs: what is being done and was done, who asked for it, and its end."""

from __future__ import annotations

from typing import Final

from discord import app_commands

from bot.cards.health_work import job_line, job_title
from bot.cogs.access import Level, needs
from bot.cogs.answers import answer
from bot.cogs.asker import actor
from bot.cogs.autocomplete import MOST_CHOICES, Entry, completes, search
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import Tone, panel
from bot.cogs.sync_follow import Follower
from bot.cogs.sync_scope import Sight, sight_of
from bot.cogs.sync_steps import may_see, refused
from bot.cogs.text import plain
from bot.jobs.job import ACTIVE, Job, JobError, JobUnknownError
from bot.locales import Texts

MOST_JOBS: Final = 60
"""That are listed; the latest ones."""

EACH_PAGE: Final = 6


async def seen_jobs(bot: Face, sight: Sight, *, active: bool = False) -> list[Job]:
    """Return the latest jobs that may be seen, newest first."""
    page = await bot.app.jobs.list(states=ACTIVE if active else (), limit=MOST_JOBS)
    return [job for job in page.jobs if may_see(job, sight)]


async def _offered(interaction: Question, current: str, *, active: bool) -> list[Entry]:
    sight = await sight_of(interaction)
    t = await interaction.client.texts_for(interaction, private=True)
    found = []
    for job in await seen_jobs(interaction.client, sight, active=active):
        # Escaped for messages, where choices format nothing.
        title = plain(job_title(job.kind, job.arguments, t).replace("\\", ""), 60)
        label = f"{title} · {t(f'health.job_state.{job.state.value}')} · {job.id[:8]}"
        found.append(Entry(job.id, label, (label.casefold(), job.id, job.kind), frozenset()))
    return search(found, current, None)[:MOST_CHOICES]


@completes
async def complete_job(interaction: Question, current: str) -> list[Entry]:
    """Offer the latest jobs; the value is a job's id."""
    return await _offered(interaction, current, active=False)


@completes
async def complete_active_job(interaction: Question, current: str) -> list[Entry]:
    """Offer jobs that wait or run; the value is a job's id."""
    return await _offered(interaction, current, active=True)


class Jobs(Cog):
    """What is being done.

    Attributes:
        follower: keeps the messages of jobs up to date.
    """

    group = app_commands.Group(name="jobs", description="What is being done and was done, and its end.")

    def __init__(self, bot: Face) -> None:
        super().__init__(bot)
        self.follower = Follower(bot)

    async def cog_unload(self) -> None:
        """Leave the messages of jobs; the next start goes on with them."""
        await self.follower.close()

    @Cog.listener()
    async def on_ready(self) -> None:
        """Go on with the messages of jobs that were under way."""
        await self.follower.resume()

    @group.command(name="list")
    @app_commands.describe(active="Only what waits or runs.")
    @needs(Level.ADMIN, private=True)
    async def list_jobs(self, interaction: Question, active: bool = False) -> None:
        """What is being done and was done, the newest first."""
        sight = await sight_of(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        found = await seen_jobs(self.bot, sight, active=active)
        if not found:
            await answer(interaction, panel(t("health.jobs_title"), t("health.no_jobs_yet")))
            return
        pages = paged([job_line(job, t) for job in found], EACH_PAGE)
        await _pages(interaction, t, t("health.jobs_title"), pages).send()

    @group.command(name="show")
    @app_commands.describe(job="Which one.")
    @app_commands.autocomplete(job=complete_job)
    @needs(Level.ADMIN, private=True)
    async def show(self, interaction: Question, job: str) -> None:
        """One job: who asked, how far it is, what came of it, with everything attached."""
        sight = await sight_of(interaction)
        await self.follower.show_job(interaction, sight, await self._job(sight, job))

    @group.command(name="cancel")
    @app_commands.describe(job="Which one.")
    @app_commands.autocomplete(job=complete_active_job)
    @needs(Level.ADMIN, private=True)
    async def cancel(self, interaction: Question, job: str) -> None:
        """End a job; what it has done so far stays done."""
        found = await self._job(await sight_of(interaction), job)
        try:
            await self.bot.app.actions.cancel(found.id, actor(interaction))
        except JobUnknownError as error:
            raise UserError("health.no_job") from error
        except JobError as error:
            raise UserError("health.job_over") from error
        t = await self.bot.texts_for(interaction, private=True)
        title = job_title(found.kind, found.arguments, t)
        await answer(interaction, panel(title, t("health.told_to_end"), tone=Tone.GOOD))

    async def _job(self, sight: Sight, wanted: str) -> Job:
        """Return the job of an id, or of its beginning as lists show it.

        Raises:
            UserError: there is none that may be seen here.
        """
        try:
            job = await self.bot.app.jobs.get(wanted)
        except JobUnknownError as error:
            fitting = [job for job in await seen_jobs(self.bot, sight) if wanted and job.id.startswith(wanted)]
            if len(fitting) != 1:
                raise UserError("health.no_job") from error
            return fitting[0]
        except JobError as error:
            raise refused(error) from error
        if not may_see(job, sight):
            raise UserError("health.no_job")
        return job


def _pages(interaction: Question, t: Texts, title: str, pages: list[str]) -> Paginator:
    return Paginator(interaction, t, title, of_pages(pages), len(pages), level=Level.ADMIN)


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Jobs(bot))
