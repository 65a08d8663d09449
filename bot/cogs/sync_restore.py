"""What /sync restore would bring back, and the question whether it shall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import discord
from discord import ui

from bot.cogs.access import Level
from bot.cogs.answers import Card, answer
from bot.cogs.face import Question
from bot.cogs.sync_scope import Sight
from bot.cogs.text import code, escape, lines
from bot.cogs.views import Confirm
from bot.health.restore import RestoreReport, restore_missing
from bot.ingest.poll import Poller
from bot.locales import Texts

SAMPLES: Final = 8
"""Names that the question shows; the attachment has all."""


async def would_restore(pollers: Iterable[Poller]) -> list[RestoreReport]:
    """Return what would come back, and from where. Changes nothing.

    Raises:
        ArchiveError: an archive folder cannot be read.
        DatabaseError: the database cannot be asked.
    """
    return [await restore_missing(poller, dry_run=True) for poller in pollers]


def restore_question(reports: Sequence[RestoreReport], t: Texts, *, reasons: bool) -> str:
    """Return the question whether this shall come back."""
    rows = []
    for report in reports:
        if not report.missing and not report.adopted:
            continue
        name = f"**{escape(report.server)}**"
        rows.append(
            t(
                "health.would_restore",
                server=name,
                count=len(report.missing),
                from_server=len(report.from_server),
                from_database=len(report.from_database),
            )
        )
        for key, count in (("set_aside", report.set_aside), ("adopted", report.adopted), ("lost", report.problems)):
            if count:
                rows.append(t(f"health.restore.{key}", count=len(count)))
        if report.server_error is not None:
            said = f": {lines(report.server_error, 200)}" if reasons else ""
            rows.append(f"> {t('health.not_reached')}{said}")
        rows += [f"-# `{code(item, 110)}`" for item in report.missing[:SAMPLES]]
        if len(report.missing) > SAMPLES:
            rows.append("-# " + t("health.more_names", count=len(report.missing) - SAMPLES))
    return "\n".join(rows)


async def confirmed(
    interaction: Question, t: Texts, sight: Sight, reports: Sequence[RestoreReport], files: list[discord.File]
) -> Question | None:
    """Show what would be done, with every name attached; return the press where the person agreed."""
    question = sight.clean(restore_question(reports, t, reasons=sight.reasons))
    asked = Confirm(interaction, t, question, t("health.restore_button"), level=Level.ADMIN)
    for file in files:
        asked.add_item(ui.File(file.uri))
    await answer(interaction, Card(view=asked, files=files), private=True)
    await asked.wait()
    return asked.answer
