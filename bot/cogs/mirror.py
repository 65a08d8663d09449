"""/mirror: the copies in object stores: where they stand, and what can be done with them."""

from __future__ import annotations

from typing import Final

from discord import app_commands, ui
from sqlalchemy import select

from bot.cards.health import destination_block, tone_of
from bot.cards.health_files import as_json, attached, differences_csv
from bot.cards.health_mirror import inspected_lines, states_line
from bot.cards.health_work import run_blocks, run_line
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import Card, answer
from bot.cogs.asker import actor
from bot.cogs.autocomplete import MOST_CHOICES, Entry, complete_destination, complete_server, completes, search
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import Tone, panel
from bot.cogs.sync_follow import QUICK, follower_of
from bot.cogs.sync_scope import Sight, copier_of, label, seen_overview, sight_of
from bot.cogs.sync_views import force
from bot.cogs.text import escape
from bot.db.schema import processed_files, servers
from bot.health.colour import worst
from bot.locales import Texts
from bot.mirror.inspect import inspected
from bot.mirror.mirrors import pause, resume
from bot.mirror.reconcile import run_record
from bot.mirror.runs import Run, differences, find_run, list_runs
from parsers import is_stats_file_name

MOST_RUNS: Final = 40
"""That are listed; the latest ones."""

EACH_PAGE: Final = 5

LONGEST_VALUE: Final = 100
"""Characters of a choice's value that Discord takes."""


@completes
async def complete_file(interaction: Question, current: str) -> list[Entry]:
    """Offer files of the game servers that are shown, the newest first; the value is the file's name."""
    sight = await sight_of(interaction)
    typed = "".join(char for char in current if char.isalnum() or char in "-_.+")[:64]
    c = processed_files.c
    query = (
        select(servers.c.name.label("server"), c.name)
        .join(servers, servers.c.id == c.server_id)
        .where(c.server_id.in_(sight.ids), c.name.contains(typed, autoescape=True))
        .order_by(c.name.desc())
        .limit(MOST_CHOICES)
    )
    async with interaction.client.database.read() as connection:
        rows = (await connection.execute(query)).all()
    names = {row.name: label(row.server, row.name) for row in rows if len(row.name) <= LONGEST_VALUE}
    return search([Entry(name, shown, (name.casefold(),), frozenset()) for name, shown in names.items()], "", None)


class Mirror(Cog):
    """The copies."""

    group = app_commands.Group(name="mirror", description="The copies of all files in other places.")

    @group.command(name="status")
    @app_commands.describe(destination="Only this one.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.VIEWER, private=True)
    async def status(self, interaction: Question, destination: str | None = None) -> None:
        """What is in each destination, what is still to be sent, and what is wrong."""
        sight = await sight_of(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        if destination is not None:
            copier_of(self.bot, destination)
        overview = await seen_overview(self.bot, sight)
        views = [view for view in overview.destinations if destination in (None, view.name)]
        if not views:
            raise UserError("health.no_destination")
        pages = []
        for view in views:
            block = destination_block(view, t, self.bot.mention, reasons=sight.reasons)
            rows = [block, states_line(view, t)]
            if sight.whole:
                seen = await inspected(self.bot.database, view.name)
                rows += inspected_lines(seen, t, reasons=sight.reasons)
            pages.append(sight.clean("\n".join(rows)))
        tone = tone_of(worst(view.verdict.colour for view in views))
        title = t("health.mirror_title")
        await Paginator(interaction, t, title, of_pages(pages), len(pages), level=Level.VIEWER, tone=tone).send()

    # ------------------------------------------------------------------ work

    @group.command(name="backfill")
    @app_commands.describe(destination="Where to.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True)
    async def backfill(self, interaction: Question, destination: str) -> None:
        """Bring a destination up to date: send what it lacks, fetch what only it has."""
        await self._job(interaction, "mirror.backfill", destination, quick=0)

    @group.command(name="verify")
    @app_commands.describe(destination="Only this one.", percent="How much of its copies to read back; 5 if left out.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True)
    async def verify(
        self,
        interaction: Question,
        destination: str | None = None,
        percent: app_commands.Range[float, 0.01, 100.0] = 5.0,
    ) -> None:
        """Read copies back and compare every byte, those first that were not read for longest."""
        await self._job(interaction, "mirror.verify", destination, percent=percent)

    @group.command(name="reconcile")
    @app_commands.describe(
        destination="Only this one.",
        dry_run="Only say what would be put right.",
        deep="Also earlier versions, unfinished uploads, and what lies outside.",
    )
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True, defer=Defer.AT_ONCE)
    async def reconcile(
        self, interaction: Question, destination: str | None = None, dry_run: bool = False, deep: bool = False
    ) -> None:
        """Compare what is believed of the copies with what is there, and put the ledger right."""
        await self._job(interaction, "mirror.reconcile", destination, dry_run=dry_run, deep=deep)

    async def _job(
        self, interaction: Question, kind: str, destination: str | None, *, quick: float = QUICK, **arguments: object
    ) -> None:
        sight = await self._whole(interaction)
        if destination is not None or not self.bot.app.mirrors:
            copier_of(self.bot, destination or "")
        given = {"destination": destination} | arguments
        await follower_of(self.bot).submit(interaction, sight, kind, given, quick=quick)

    async def _whole(self, interaction: Question) -> Sight:
        sight = await sight_of(interaction)
        sight.require_whole()
        return sight

    # ------------------------------------------------------------------ pause and go on

    @group.command(name="pause")
    @app_commands.describe(destination="Which one.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True)
    async def pause(self, interaction: Question, destination: str) -> None:
        """Send nothing more to a destination until it goes on; what is there stays."""
        await self._whole(interaction)
        changed = await pause(copier_of(self.bot, destination), actor(interaction))
        t = await self.bot.texts_for(interaction, private=True)
        command = f"{self.bot.mention('mirror resume')} destination:`{destination}`"
        key = "health.paused" if changed else "health.paused_already"
        text = t(key, destination=f"**{escape(destination)}**", command=command)
        await answer(interaction, panel(t("health.mirror_title"), text, tone=Tone.GOOD if changed else Tone.CARE))

    @group.command(name="resume")
    @app_commands.describe(destination="Which one.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True)
    async def resume(self, interaction: Question, destination: str) -> None:
        """Go on with a destination, and try files again that failed for good."""
        await self._whole(interaction)
        changed, again = await resume(copier_of(self.bot, destination), actor(interaction))
        t = await self.bot.texts_for(interaction, private=True)
        rows = [t("health.resumed" if changed else "health.not_paused", destination=f"**{escape(destination)}**")]
        if again:
            rows.append(t("health.count.tried_again", count=again))
        await answer(interaction, panel(t("health.mirror_title"), "\n".join(rows), tone=Tone.GOOD))

    # ------------------------------------------------------------------ runs

    @group.command(name="runs")
    @app_commands.describe(destination="Only of this one.", run="Number of a comparison, to see all of it.")
    @app_commands.autocomplete(destination=complete_destination)
    @needs(Level.ADMIN, private=True)
    async def runs(
        self,
        interaction: Question,
        destination: str | None = None,
        run: app_commands.Range[int, 1, 2**31 - 1] | None = None,
    ) -> None:
        """Past comparisons of ledger and copies: before and after; one of them with every name attached."""
        sight = await self._whole(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        if run is not None:
            await self._one_run(interaction, sight, t, run)
            return
        if destination is not None:
            copier_of(self.bot, destination)
        found = await list_runs(self.bot.database, destination, MOST_RUNS)
        if not found:
            await answer(interaction, panel(t("health.runs_title"), t("health.no_runs")))
            return
        pages = paged([run_line(item, t) for item in found], EACH_PAGE)
        title = t("health.runs_title")
        await Paginator(interaction, t, title, of_pages(pages), len(pages), level=Level.ADMIN).send()

    async def _one_run(self, interaction: Question, sight: Sight, t: Texts, run_id: int) -> None:
        run: Run | None = await find_run(self.bot.database, run_id)
        if run is None:
            raise UserError("health.no_run", run=run_id, command=self.bot.mention("mirror runs"))
        names = await differences(self.bot.database, run_id)
        files = {f"run-{run_id}.json": as_json(run_record(run))}
        if names:
            files[f"run-{run_id}.csv"] = differences_csv(names)
        made = attached(sight.clean_files(files))
        text = sight.clean("\n".join(run_blocks(run, t, reasons=sight.reasons)))
        view = panel(t("health.runs_title"), text, tone=Tone.GOOD if run.match else Tone.CARE)
        for file in made:
            view.add_item(ui.File(file.uri))
        await answer(interaction, Card(view=view, files=made))

    # ------------------------------------------------------------------ one file

    @group.command(name="force")
    @app_commands.describe(
        destination="Where to, or where from.",
        file="Name of a stats file.",
        direction="Which way; to the destination if left out.",
        server="Of which game server; needed where there are several.",
    )
    @app_commands.choices(
        direction=[
            app_commands.Choice(name="to the destination", value="to"),
            app_commands.Choice(name="from the destination", value="from"),
        ]
    )
    @app_commands.autocomplete(destination=complete_destination, file=complete_file, server=complete_server)
    @needs(Level.ADMIN, private=True, defer=Defer.AT_ONCE)
    async def force(
        self,
        interaction: Question,
        destination: str,
        file: app_commands.Range[str, 1, 255],
        direction: str = "to",
        server: str | None = None,
    ) -> None:
        """Transfer one file again, either way. What it replaces is kept beside it; nothing is lost."""
        sight = await self._whole(interaction)
        if not is_stats_file_name(file):
            raise UserError("health.no_file_name", name=escape(file, 80))
        names = sight.chosen(server)
        if len(names) != 1:
            raise UserError("health.choose_server", servers=", ".join(map(escape, names)))
        text, tone = await force(interaction, sight, destination, names[0], file, up=direction == "to")
        t = await self.bot.texts_for(interaction, private=True)
        await answer(interaction, panel(t("health.job.mirror_force"), text, tone=tone))


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Mirror(bot))
