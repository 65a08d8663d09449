"""A job of the queue and its message in Discord: edited as the job goes on, also after a restart of the bot.

The message is the bot's own, so the 15 minutes of an interaction do not matter. Which message shows which job is kept
with its buttons (`bot.community.panels`): a bot that starts goes on where it left off, and a job that goes on under
another id is followed there. What everybody reads holds counts alone; names and errors come from the button "Details",
to whoever may see them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from typing import Any, Final

import discord
import structlog
from discord import ui
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bot.cards.health_files import attached
from bot.cards.health_work import actor_told, job_lines, job_title, outcome_lines, tone_of_job
from bot.cogs.access import Level
from bot.cogs.answers import Card, answer
from bot.cogs.asker import actor
from bot.cogs.errors import UserError
from bot.cogs.face import Face, Question
from bot.cogs.long_job import EVERY, FRESH
from bot.cogs.panel import Tone, panel
from bot.cogs.persistent import PanelKind
from bot.cogs.sync_scope import Sight, sight_for_all, sight_of
from bot.cogs.sync_steps import details_of, ended_view, left_of, may_see, refused, running_view, steps_of
from bot.cogs.text import escape
from bot.community.panels import PanelState
from bot.db.engine import DatabaseError
from bot.db.schema import panels
from bot.jobs.job import Job, JobError, JobUnknownError
from bot.locales import Texts

log = structlog.get_logger()

KIND: Final = "job"
"""Of kept buttons, and of what is kept with them: job, channel, message, language, who asked."""

KEPT: Final = 14 * 86400.0
"""Seconds that "Details" works."""

QUICK: Final = 1.5
"""Seconds in which a job may end before it gets a message of its own."""


class Follower:
    """Keeps the messages of jobs up to date.

    Args:
        bot: whose.
    """

    def __init__(self, bot: Face) -> None:
        self.bot = bot
        self._tasks: dict[str, asyncio.Task[None]] = {}
        bot.panel_kinds[KIND] = PanelKind(Level.ADMIN, self._pressed)

    async def close(self) -> None:
        """Leave all messages as they are; the next start goes on with them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    # ------------------------------------------------------------------ asking

    async def submit(
        self, interaction: Question, sight: Sight, kind: str, arguments: dict[str, Any], *, quick: float = QUICK
    ) -> Job:
        """Ask for a job in the name of a person, and show how it goes.

        Args:
            interaction: what to answer: a command, or a press.
            sight: what the person may see.
            kind: of job.
            arguments: of it.
            quick: seconds to wait for its end before it gets a message of its own.

        Raises:
            UserError: it cannot be asked for.
        """
        job = await self.ask(interaction, kind, arguments)
        if job.already and (link := await self._shown_in(job.id, interaction.guild_id)) is not None:
            t = await self.bot.texts_for(interaction, private=True)
            text = t("health.already", who=actor_told(job.actor, t), link=link)
            await answer(interaction, panel(job_title(kind, arguments, t), text, tone=Tone.CARE), private=True)
            return job
        if quick:
            job = await self.bot.app.jobs.wait(job.id, quick)
        if job.active:
            await self._open(interaction, job)
        else:
            await self._tell(interaction, sight, job)
        return job

    async def ask(self, interaction: Question, kind: str, arguments: dict[str, Any]) -> Job:
        """Ask for a job in the name of a person.

        Raises:
            UserError: it cannot be asked for.
        """
        server = arguments.get("server")
        if server is not None and server not in self.bot.app.pollers:
            raise UserError("health.no_source", server=escape(server))  # the queue would name those of others
        try:
            return await self.bot.app.actions.submit(kind, arguments, actor(interaction))
        except JobError as error:
            raise refused(error) from error

    async def _tell(self, interaction: Question, sight: Sight, job: Job) -> None:
        """Answer the person alone with what came of a job, and its details."""
        t = await self.bot.texts_for(interaction, private=True)
        blocks = [sight.clean(line) for line in outcome_lines(job, t, reasons=sight.reasons)]
        files = attached(sight.clean_files(await details_of(self.bot, job)))
        view = panel(job_title(job.kind, job.arguments, t), "\n".join(blocks), tone=tone_of_job(job))
        for file in files:
            view.add_item(ui.File(file.uri))
        await answer(interaction, Card(view=view, files=files), private=True)

    # ------------------------------------------------------------------ messages

    async def _open(self, interaction: Question, job: Job) -> None:
        """Give a job a message, and follow it there."""
        shared = await self.bot.texts_for(interaction, private=False)
        state = {
            "job": job.id,
            "language": shared.language,
            "actor": job.actor,
            "kind": job.kind,
            "arguments": dict(job.arguments),
        }
        kept = await self.bot.panels.open(KIND, state, guild_id=interaction.guild_id, seconds=KEPT)
        sent = None
        # What everybody reads goes by what the Discord server may see, and not by who asked.
        if interaction.guild_id is not None and may_see(job, await sight_for_all(interaction)):
            sent = await self._post(interaction.channel, running_view(kept, job, None, shared))
        t = await self.bot.texts_for(interaction, private=True)
        title = job_title(job.kind, job.arguments, t)
        if sent is not None:
            text = t("job.follow", link=sent.jump_url)
            kept = await self._keep(kept, channel=sent.channel.id, message=sent.id, posted_at=self.bot.clock())
            await answer(interaction, panel(title, text), private=True)
            self._follow(kept)
            return
        # No message of its own: the answer is edited for as long as Discord allows, and "/jobs show" tells the rest.
        message = await answer(interaction, running_view(kept, job, None, t), private=True)
        message = message or await interaction.original_response()
        self._start(kept.token, self._follow_answer(kept, job.id, message, t))

    async def _post(self, channel: object, view: ui.LayoutView) -> discord.Message | None:
        if isinstance(channel, discord.abc.Messageable):
            with contextlib.suppress(discord.Forbidden, discord.NotFound):
                return await channel.send(view=view)
        return None

    async def _keep(self, kept: PanelState, **changes: Any) -> PanelState:
        kept = dataclasses.replace(kept, state=kept.state | changes)
        await self.bot.panels.keep(kept.token, kept.state)
        return kept

    async def _shown_in(self, job_id: str, guild_id: int | None) -> str | None:
        """Return the link of the message of a job in this Discord server; None where it has none."""
        for kept in await self._all_kept():
            if kept.guild_id == guild_id and kept.state.get("job") == job_id and "message" in kept.state:
                return f"https://discord.com/channels/{guild_id}/{kept.state['channel']}/{kept.state['message']}"
        return None

    async def _all_kept(self) -> list[PanelState]:
        query = select(panels).where(panels.c.kind == KIND)
        async with self.bot.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [PanelState(row.token, row.kind, row.guild_id, row.user_id, json.loads(row.state)) for row in rows]

    # ------------------------------------------------------------------ following

    async def resume(self) -> None:
        """Go on with the messages of jobs that were not seen to their end; after each start."""
        try:
            kept_ones = await self._all_kept()
        except (DatabaseError, SQLAlchemyError) as error:
            log.warning("messages of jobs are not followed", reason=str(error).splitlines()[0])
            return
        for kept in kept_ones:
            if kept.token not in self._tasks and "message" in kept.state and not kept.state.get("over"):
                self._follow(kept)

    def _follow(self, kept: PanelState) -> None:
        self._start(kept.token, self._follow_message(kept))

    def _start(self, token: str, work: Any) -> None:
        task = self._tasks[token] = asyncio.create_task(work, name=f"message of a job {token}")
        task.add_done_callback(lambda _: self._tasks.pop(token, None))

    async def _follow_message(self, kept: PanelState) -> None:
        t = self.bot.catalogue.texts(str(kept.state.get("language")))
        job: Job | None = None
        shown_at = 0.0
        try:
            async for job in steps_of(self.bot, str(kept.state["job"])):
                if job.id != kept.state["job"]:
                    kept = await self._keep(kept, job=job.id)
                if job.active and time.monotonic() - shown_at >= EVERY and (job.done or job.total):
                    shown_at = time.monotonic()
                    kept = await self._show(kept, running_view(kept, job, await left_of(self.bot, job), t), t)
            if job is not None:
                await self._show(kept, ended_view(kept, job, t), t)
                await self._keep(kept, over=True)
        except discord.NotFound:
            await self.bot.panels.close(kept.token)  # somebody deleted the message, or its channel: he had a reason
        except JobUnknownError:
            await self._keep(kept, over=True)
        except (DatabaseError, SQLAlchemyError) as error:
            log.warning("a job's message is not followed", reason=str(error).splitlines()[0])

    async def _follow_answer(self, kept: PanelState, job_id: str, message: discord.Message, t: Texts) -> None:
        kept = dataclasses.replace(kept, state=kept.state | {"job": job_id})
        job: Job | None = None
        shown_at = 0.0
        try:
            async for job in steps_of(self.bot, str(kept.state["job"])):
                if job.active and time.monotonic() - shown_at >= EVERY and (job.done or job.total):
                    shown_at = time.monotonic()
                    await message.edit(view=running_view(kept, job, await left_of(self.bot, job), t))
            if job is not None:
                await message.edit(view=ended_view(kept, job, t))
        except (discord.HTTPException, OSError, JobError, DatabaseError, SQLAlchemyError) as error:
            log.info("an answer about a job is not brought up to date any more", reason=str(error))

    async def _show(self, kept: PanelState, view: ui.LayoutView, t: Texts) -> PanelState:
        """Change a job's message; past an hour a new one goes on, for Discord slows edits of old ones down.

        Raises:
            discord.NotFound: it is not there any more.
        """
        channel = self.bot.get_partial_messageable(int(kept.state["channel"]), guild_id=kept.guild_id)
        message = channel.get_partial_message(int(kept.state["message"]))
        try:
            if self.bot.clock() - float(kept.state.get("posted_at", 0)) <= FRESH:
                await message.edit(view=view)
                return kept
            sent = await channel.send(view=view)
            kept = await self._keep(kept, message=sent.id, posted_at=self.bot.clock())
            text = t("job.continued", link=sent.jump_url)
            await message.edit(view=panel(job_title(kept.state["kind"], kept.state["arguments"], t), text))
        except discord.NotFound:
            raise
        except (discord.HTTPException, OSError) as error:
            log.warning("progress cannot be shown", reason=str(error))
        return kept

    # ------------------------------------------------------------------ buttons

    async def _pressed(self, interaction: Question, kept: PanelState, action: str) -> None:
        sight = await sight_of(interaction)
        try:
            job = await self.bot.app.jobs.get(str(kept.state["job"]))
            if not may_see(job, sight):
                raise UserError("health.needs_whole")
            if action == "cancel":
                await self.bot.app.actions.cancel(job.id, actor(interaction))
        except JobError as error:
            raise refused(error) from error
        t = await self.bot.texts_for(interaction, private=True)
        if action == "cancel":
            await answer(interaction, panel(t("health.cancel"), t("health.told_to_end")), private=True)
        else:
            await self.show_job(interaction, sight, job)

    async def show_job(self, interaction: Question, sight: Sight, job: Job) -> None:
        """Answer a person alone with all that is known of a job."""
        t = await self.bot.texts_for(interaction, private=True)
        text = "\n".join(sight.clean(line) for line in job_lines(job, t, reasons=sight.reasons))
        files = [] if job.active else attached(sight.clean_files(await details_of(self.bot, job)))
        view = panel(t("health.job_title"), text, tone=tone_of_job(job))
        for file in files:
            view.add_item(ui.File(file.uri))
        await answer(interaction, Card(view=view, files=files), private=True)


def follower_of(bot: Face) -> Follower:
    """Return the one follower of a bot.

    Raises:
        UserError: the commands about jobs are not loaded.
    """
    cog: Any = bot.get_cog("Jobs")
    if cog is None:
        raise UserError("health.no_jobs")
    found = cog.follower
    assert isinstance(found, Follower)  # noqa: S101 - for the type checker
    return found
