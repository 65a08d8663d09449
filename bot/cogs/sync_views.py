"""The screens of /sync that have buttons: the status, which is looked at anew, and the list of failed files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import discord
from discord import ui
from sqlalchemy import select

from bot.cards.health import status_blocks, status_title, tone_of
from bot.cards.health_findings import SIGNS
from bot.cogs.access import Level
from bot.cogs.answers import Card, answer, show
from bot.cogs.asker import actor
from bot.cogs.errors import UserError
from bot.cogs.face import Face, Question
from bot.cogs.paging import Paginator, Source
from bot.cogs.panel import Tone, container, panel
from bot.cogs.sync_follow import follower_of
from bot.cogs.sync_scope import Sight, copier_of, seen_overview, sight_for_all, sight_of
from bot.cogs.text import code, escape, lines, plain, when
from bot.cogs.views import Act, OwnView
from bot.db.schema import destinations, mirror_objects, processed_files, servers
from bot.health.findings import Severity
from bot.health.overview import Overview
from bot.locales import Texts
from bot.mirror.mirrors import note_by_hand

EACH_PAGE: Final = 6
"""Failed files on a page."""

LONGEST_FILE: Final = 110


class StatusView(OwnView):
    """Where every file is, with a button to look again, and one to show it to everybody."""

    def __init__(self, origin: Question, t: Texts, overview: Overview, sight: Sight) -> None:
        super().__init__(origin, level=Level.VIEWER)
        self.t = t
        self._fill(overview, sight)

    def _fill(self, overview: Overview, sight: Sight) -> None:
        self.clear_items()
        mention = self.latest.client.mention
        blocks = status_blocks(overview, self.t, mention, reasons=sight.reasons)
        row: ui.ActionRow[Any] = ui.ActionRow(Act(self._look_again, label=self.t("health.refresh")))
        if sight.level >= Level.ADMIN:
            row.add_item(Act(self._share, label=self.t("health.share")))
        title = status_title(overview, self.t)
        self.add_item(container(title, *map(sight.clean, blocks), row, tone=tone_of(overview.colour)))

    async def _look_again(self, interaction: Question) -> None:
        sight = await sight_of(interaction)
        self._fill(await seen_overview(interaction.client, sight), sight)
        await show(interaction, Card(view=self))

    async def _share(self, interaction: Question) -> None:
        sight = await sight_for_all(interaction)
        overview = await seen_overview(interaction.client, sight)
        t = await interaction.client.texts_for(interaction, private=False)
        blocks = status_blocks(overview, t, interaction.client.mention, reasons=False)
        view = panel(status_title(overview, t), *map(sight.clean, blocks), tone=tone_of(overview.colour))
        await answer(interaction, view, private=False)


# ---------------------------------------------------------------------- failed files


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that failed. `destination` is None where it could not be imported, else where it could not be sent.

    `next_try_at` is unix seconds; None where it waits for a person.
    """

    server: str
    name: str
    destination: str | None
    reason: str
    tries: int
    next_try_at: int | None


async def failed_files(bot: Face, sight: Sight) -> list[Failed]:
    """Return the files that failed on the game servers that may be seen, those that wait for a person first."""
    p, m = processed_files.c, mirror_objects.c
    imports = (
        select(servers.c.name.label("server"), p.name, p.reason, p.tries, p.next_try_at)
        .join(servers, servers.c.id == p.server_id)
        .where(p.state == "failed", p.server_id.in_(sight.ids))
        .order_by(p.next_try_at.is_not(None), servers.c.name, p.name)
    )
    copies = (
        select(servers.c.name.label("server"), m.name, m.reason, m.tries, m.next_try_at)
        .add_columns(destinations.c.name.label("destination"))
        .join(servers, servers.c.id == m.server_id)
        .join(destinations, destinations.c.id == m.destination_id)
        .where(m.state == "failed", m.server_id.in_(sight.ids))
        .order_by(m.next_try_at.is_not(None), destinations.c.name, servers.c.name, m.name)
    )
    async with bot.database.read() as connection:
        found = [
            Failed(row.server, row.name, None, row.reason or "", row.tries, row.next_try_at)
            for row in await connection.execute(imports)
        ]
        known = bot.app.mirrors.copiers
        found += [
            # What a destination said may name its hosts and buckets, which are the operator's.
            Failed(row.server, row.name, row.destination, row.reason or "" if sight.whole else "", row.tries, None)
            for row in await connection.execute(copies)
            if row.destination in known
        ]
    return found


def failed_block(item: Failed, t: Texts) -> str:
    """Return a failed file: which, where, why, and what happens next."""
    sign = SIGNS[Severity.PROBLEM if item.next_try_at is None else Severity.ATTENTION]
    where = f" → {plain(item.destination, 60)}" if item.destination else ""
    rows = [f"{sign} `{code(f'{item.server}/{item.name}{where}', LONGEST_FILE)}`"]
    if item.reason:
        rows.append(f"> {lines(item.reason.replace(chr(10), ' '), 220)}")
    after = t("health.tries", count=item.tries)
    waits = (
        t("health.waits_for_you")
        if item.next_try_at is None
        else t("health.next_try", when=when(item.next_try_at, "R"))
    )
    rows.append(f"-# {after} · {waits}")
    return "\n".join(rows)


class FailedView(Paginator):
    """Failed files, page by page, with a way to try one or all of them again."""

    def __init__(self, origin: Question, t: Texts, sight: Sight, found: Sequence[Failed]) -> None:
        self.found = list(found)
        self.sight = sight
        pages = -(-len(self.found) // EACH_PAGE)
        title = t("health.failed_title", count=len(self.found))
        super().__init__(origin, t, title, self._source(), pages, level=Level.ADMIN, tone=Tone.BAD)

    def _page(self, number: int) -> list[Failed]:
        return self.found[number * EACH_PAGE : (number + 1) * EACH_PAGE]

    def _source(self) -> Source:
        async def page(number: int) -> list[str]:
            return [self.sight.clean(failed_block(item, self.t)) for item in self._page(number)]

        return page

    async def send(self, *, private: bool | None = None) -> None:
        """Answer with the first page; its buttons work however few pages there are."""
        await self.build(0)
        await answer(self.latest, self, private=private)

    async def build(self, number: int) -> None:
        """Put a page and its buttons into the layout."""
        await super().build(number)
        first = number * EACH_PAGE
        options = [
            discord.SelectOption(
                label=plain(item.name, 100),
                value=str(first + position),
                description=plain(item.server + (f" → {item.destination}" if item.destination else ""), 100),
            )
            for position, item in enumerate(self._page(number))
        ]
        self.add_item(ui.ActionRow(_RetryOne(self, options, self.t("health.retry_one"))))
        self.add_item(ui.ActionRow(Act(self._all, label=self.t("health.retry_all"))))

    async def _all(self, interaction: Question) -> None:
        sight = await sight_of(interaction)
        follower = follower_of(interaction.client)
        if sight.whole:
            await follower.submit(interaction, sight, "retry", {})
            return
        # Copies fail at destinations that are shared, so those are tried again by whoever has the whole house.
        names = {item.server for item in self.found if item.destination is None and sight.sees(item.server)}
        if not names:
            sight.require_whole()
        for name in sorted(names):
            await follower.submit(interaction, sight, "retry", {"server": name})

    async def retry(self, interaction: Question, position: int) -> None:
        """Try one file again: import it, or send it."""
        item = self.found[position]
        sight = await sight_of(interaction)
        if not sight.sees(item.server):
            sight.require_whole()
        if item.destination is None:
            arguments = {"server": item.server, "names": [item.name]}
            await follower_of(interaction.client).submit(interaction, sight, "retry", arguments)
            return
        sight.require_whole()
        text, tone = await force(interaction, sight, item.destination, item.server, item.name, up=True)
        await answer(interaction, panel(self.t("health.job.mirror_force"), text, tone=tone), private=True)


class _RetryOne(ui.Select[Any]):
    """Chooses the file to try again."""

    def __init__(self, pages: FailedView, options: list[discord.SelectOption], placeholder: str) -> None:
        super().__init__(options=options, placeholder=placeholder)
        self.pages = pages

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Try it."""
        await self.pages.retry(interaction, int(self.values[0]))


async def force(
    interaction: Question, sight: Sight, destination: str, server: str, name: str, *, up: bool
) -> tuple[str, Tone]:
    """Transfer one file again; return what came of it, in words.

    Raises:
        UserError: there is no such destination.
        StoreError: it did not get there, or cannot be read there.
        LeaseLostError: another process has what this takes.
    """
    bot = interaction.client
    copier = copier_of(bot, destination)
    t = await bot.texts_for(interaction, private=True)
    try:
        done = await (copier.force_up(server, name) if up else copier.force_down(server, name))
    except LookupError as error:
        raise UserError("health.refused", reason=escape(sight.clean(str(error)), 400)) from error
    action = "mirror.force_up" if up else "mirror.force_down"
    details: dict[str, object] = {"destination": destination, "what": done.what}
    await note_by_hand(copier, action, done.file, details, actor(interaction))
    key = f"health.forced.{done.what}"
    word = t(key) if key in t else escape(done.what)
    return f"`{code(done.file, LONGEST_FILE)}`: **{word}**\n> {lines(sight.clean(done.detail), 300)}", Tone.GOOD
