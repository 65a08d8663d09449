"""Work that takes longer than Discord's 15 minutes: a message of the bot's own, with a bar, edited as it goes on."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import discord
import structlog

from bot.cogs.access import level_of
from bot.cogs.answers import Card, answer
from bot.cogs.errors import cause_of, explain
from bot.cogs.face import Question
from bot.cogs.panel import Tone, panel
from bot.cogs.text import when
from bot.locales import Texts

log = structlog.get_logger()

EVERY: Final = 3.0
"""Seconds between two edits at least; Discord takes about five in five seconds of a channel."""

FRESH: Final = 50 * 60.0
"""Seconds after which a new message goes on: Discord slows edits of messages older than an hour down."""

WIDTH: Final = 12
"""Characters of the bar."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far the work is.

    Attributes:
        done: of `total`.
        total: None where it is not known yet.
        text: what is going on, escaped.
        eta: seconds left, from and to; None where nobody can say.
    """

    done: int
    total: int | None = None
    text: str = ""
    eta: tuple[float, float] | None = None


@dataclass(slots=True)
class Outcome:
    """How it ended: the last item that the work yields.

    Attributes:
        text: what came of it, escaped.
        tone: whether that is good.
        details: files to attach, name to content.
    """

    text: str
    tone: Tone = Tone.GOOD
    details: dict[str, bytes] = field(default_factory=dict)


def bar(step: Step, t: Texts) -> str:
    """Return a step as a line with a bar, never a full one before the end, nor a number that nobody knows."""
    if not step.total:
        return t.number(step.done)
    share = min(step.done / step.total, 1.0)
    full = int(share * WIDTH)
    shown = "▓" * full + "░" * (WIDTH - full)
    line = f"{shown} {t.number(step.done)}/{t.number(step.total)} · {t.percent(int(share * 100))}"
    if step.eta is not None:
        low, high = (max(round(value / 60), 1) for value in step.eta)
        line += " · " + (t("job.left", count=high) if low == high else t("job.left_range", low=low, high=high))
    return line


class LongJob:
    """One piece of work and its message.

    The message is the bot's own, so that it can be edited for as long as the work takes. Where the bot may not write in
    the channel, the answer to the command is edited instead, as long as Discord allows that.

    Args:
        origin: the command; it is answered at once.
        t: texts of the answer's language.
        title: what is being done.
        clock: seconds, to pace edits by.
    """

    def __init__(self, origin: Question, t: Texts, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.origin = origin
        self.t = t
        self.title = title
        self.message: discord.Message | None = None
        self._clock = clock
        self._began = clock()
        self._posted_at = 0.0
        self._edited_at = 0.0
        self._own = False

    async def run(self, work: AsyncIterator[Step | Outcome]) -> Outcome | None:
        """Do the work and show how it goes; return its outcome, or None where it failed and that was told."""
        await self._begin()
        outcome: Outcome | None = None
        try:
            async for item in work:
                if isinstance(item, Outcome):
                    outcome = item
                elif self._clock() - self._edited_at >= EVERY:
                    await self._show(Card(view=panel(self.title, item.text, bar(item, self.t))))
        except Exception as error:
            await self._failed(error)
            return None
        outcome = outcome or Outcome(self.t("job.done"))
        files = [discord.File(io.BytesIO(content), name) for name, content in outcome.details.items()]
        await self._show(Card(view=_with_files(panel(self.title, outcome.text, tone=outcome.tone), files), files=files))
        return outcome

    async def _begin(self) -> None:
        first = Card(view=panel(self.title, self.t("job.starting")))
        channel = self.origin.channel
        sent: discord.Message | None = None
        if isinstance(channel, discord.abc.Messageable):
            with contextlib.suppress(discord.Forbidden, discord.NotFound):
                sent = await channel.send(**first.as_new())
        if sent is not None:
            self._own = True
            self.message = sent
            await answer(self.origin, panel(self.title, self.t("job.follow", link=sent.jump_url)), private=True)
        else:
            await answer(self.origin, first, private=True)
            self.message = await self.origin.original_response()
        self._posted_at = self._edited_at = self._clock()

    async def _show(self, card: Card) -> None:
        """Change the message; what Discord does not take just now is taken with the next step."""
        self._edited_at = self._clock()
        try:
            if self._own and self.message is not None and self._clock() - self._posted_at > FRESH:
                old, self.message = self.message, await self.message.channel.send(**card.as_new())
                self._posted_at = self._clock()
                await old.edit(view=panel(self.title, self.t("job.continued", link=self.message.jump_url)))
            elif self._own and self.message is not None:
                await self.message.edit(**card.as_edit())
            else:
                await self.origin.edit_original_response(**card.as_edit())
        except (discord.HTTPException, OSError) as error:
            log.warning("progress cannot be shown", reason=str(error))

    async def _failed(self, error: Exception) -> None:
        cause = cause_of(error)
        text = explain(cause, self.t, await level_of(self.origin), self.origin.client.scrubber)
        if text is None:
            log.error("a long job failed", title=self.title, exc_info=cause)
            text = self.t("job.failed", when=when(discord.utils.utcnow().timestamp()))
        await self._show(Card(view=panel(self.title, text, tone=Tone.BAD)))


def _with_files(view: discord.ui.LayoutView, files: list[discord.File]) -> discord.ui.LayoutView:
    for file in files:
        view.add_item(discord.ui.File(file.uri))
    return view
