"""/sync: where every file is, why it is not where it should be, and the ways back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from discord import app_commands, ui

from bot.cards.health_files import as_csv, as_json, attached, comparison_files, diagnosis_files
from bot.cards.health_findings import (
    comparison_blocks,
    destination_blocks,
    fitted,
    history_blocks,
    history_record,
    server_blocks,
)
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import Card, answer, show
from bot.cogs.autocomplete import complete_destination, complete_server
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.mirror import complete_file
from bot.cogs.panel import Tone, panel
from bot.cogs.sync_follow import follower_of
from bot.cogs.sync_restore import confirmed, would_restore
from bot.cogs.sync_scope import Sight, copier_of, pollers_of, seen_overview, sight_of
from bot.cogs.sync_views import FailedView, StatusView, failed_files
from bot.cogs.text import code, escape
from bot.health.destinations import compare, examine_destination
from bot.health.diagnose import examine
from bot.health.findings import Severity
from bot.health.settings import health_settings
from bot.health.timeline import file_history
from bot.locales import Texts
from parsers import is_stats_file_name

TONES = {Severity.OK: Tone.GOOD, Severity.ATTENTION: Tone.CARE, Severity.PROBLEM: Tone.BAD}


class Sync(Cog):
    """Where files are."""

    group = app_commands.Group(name="sync", description="Where every file is, and why it is not.")

    @group.command(name="status")
    @needs(Level.VIEWER, private=True)
    async def status(self, interaction: Question) -> None:
        """Every game server and every destination at one glance."""
        sight = await sight_of(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        overview = await seen_overview(self.bot, sight)
        await answer(interaction, StatusView(interaction, t, overview, sight))

    # ------------------------------------------------------------------ why

    @group.command(name="diagnose")
    @app_commands.describe(
        server="Only this game server.",
        destination="Only this destination of copies.",
        compare_with="Why this other destination does not hold the same.",
        file="One file's way through all places.",
    )
    @app_commands.autocomplete(
        server=complete_server, destination=complete_destination, compare_with=complete_destination, file=complete_file
    )
    @needs(Level.ADMIN, private=True, defer=Defer.AT_ONCE)
    async def diagnose(
        self,
        interaction: Question,
        server: str | None = None,
        destination: str | None = None,
        compare_with: str | None = None,
        file: str | None = None,
    ) -> None:
        """What differs between the places, why, whether it matters, and the one command that mends it."""
        sight = await sight_of(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        if file is not None:
            await self._file(interaction, sight, t, server, file)
        elif compare_with is not None:
            await self._compare(interaction, sight, t, destination, compare_with)
        else:
            await self._places(interaction, sight, t, server, destination)

    async def _places(
        self, interaction: Question, sight: Sight, t: Texts, server: str | None, destination: str | None
    ) -> None:
        limits = health_settings(self.bot.app.settings)
        if destination is not None:
            sight.require_whole()
            copiers = [copier_of(self.bot, destination)]
        else:
            copiers = list(self.bot.app.mirrors.copiers.values()) if sight.whole and server is None else []
        names = () if destination is not None and server is None else sight.chosen(server)
        # At once: a destination that hangs costs its own deadline and nobody else's time.
        looks = asyncio.gather(*(examine_destination(one, deadline=limits.listing_deadline) for one in copiers))
        try:
            diagnoses = [
                await examine(poller, thresholds=limits.thresholds, several_servers=len(self.bot.app.pollers) > 1)
                for poller in await pollers_of(self.bot, names)
            ]
            places = list(await looks)
        finally:
            looks.cancel()
        blocks = [block for one in diagnoses for block in server_blocks(one, t, self.bot.mention)]
        blocks += [block for place in places for block in destination_blocks(place, t, self.bot.mention)]
        severities = [item.severity for item in diagnoses] + [item.severity for item in places]
        severity = max(severities, key=lambda item: item.rank)
        await self._answer(interaction, sight, t, blocks, diagnosis_files(diagnoses, places), severity)

    async def _compare(
        self, interaction: Question, sight: Sight, t: Texts, destination: str | None, other: str
    ) -> None:
        sight.require_whole()
        if destination is None or destination == other:
            raise UserError("health.two_destinations")
        deadline = health_settings(self.bot.app.settings).listing_deadline
        copiers = [copier_of(self.bot, destination), copier_of(self.bot, other)]
        left, right = await asyncio.gather(*(examine_destination(one, deadline=deadline) for one in copiers))
        found = compare(left, right)
        blocks = comparison_blocks(found, t, self.bot.mention)
        await self._answer(interaction, sight, t, blocks, comparison_files(found), found.severity)

    async def _file(self, interaction: Question, sight: Sight, t: Texts, server: str | None, name: str) -> None:
        if not is_stats_file_name(name):
            raise UserError("health.no_file_name", name=escape(name, 80))
        histories = [await file_history(poller, name) for poller in await pollers_of(self.bot, sight.chosen(server))]
        known = [history for history in histories if history.known]
        if not known:
            raise UserError("health.unknown_file", name=f"`{code(name, 110)}`")
        blocks = [block for history in known for block in history_blocks(history, t, reasons=sight.whole)]
        files = {"file.json": as_json([history_record(history, reasons=sight.whole) for history in known])}
        await self._answer(interaction, sight, t, blocks, files, None)

    async def _answer(
        self,
        interaction: Question,
        sight: Sight,
        t: Texts,
        blocks: Sequence[str],
        files: dict[str, bytes],
        severity: Severity | None,
    ) -> None:
        made = attached(sight.clean_files(files))
        tone = Tone.PLAIN if severity is None else TONES[severity]
        view = panel(t("health.diagnose_title"), *(sight.clean(block) for block in fitted(blocks, t)), tone=tone)
        for file in made:
            view.add_item(ui.File(file.uri))
        await answer(interaction, Card(view=view, files=made))

    # ------------------------------------------------------------------ what can be done

    @group.command(name="now")
    @app_commands.describe(server="Only this game server.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.ADMIN, private=True)
    async def now(self, interaction: Question, server: str | None = None) -> None:
        """Look at the game servers now, and bring in what is new."""
        sight = await sight_of(interaction)
        await follower_of(self.bot).submit(interaction, sight, "poll", {"server": self._one(sight, server)})

    def _one(self, sight: Sight, server: str | None) -> str | None:
        """Return the game server to act on; None: all of them, for whoever has them all.

        Raises:
            UserError: there are several, and others that are not his.
        """
        names = sight.chosen(server)
        if server is None and sight.whole:
            return None
        if len(names) != 1:
            raise UserError("health.choose_server", servers=", ".join(map(escape, names)))
        return names[0]

    @group.command(name="failed")
    @app_commands.describe(server="Only of this game server.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.ADMIN, private=True)
    async def failed(self, interaction: Question, server: str | None = None) -> None:
        """Files that failed, with the reason; try one or all of them again."""
        sight = await sight_of(interaction)
        names = sight.chosen(server)
        t = await self.bot.texts_for(interaction, private=True)
        found = [item for item in await failed_files(self.bot, sight) if item.server in names]
        if not found:
            nothing = panel(t("health.failed_title", count=0), t("health.nothing_failed"), tone=Tone.GOOD)
            await answer(interaction, nothing)
            return
        await FailedView(interaction, t, sight, found).send()

    @group.command(name="restore")
    @app_commands.describe(server="Only this game server.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.ADMIN, private=True, defer=Defer.AT_ONCE)
    async def restore(self, interaction: Question, server: str | None = None) -> None:
        """Bring back what the archive misses; first only shown, and done when you agree."""
        sight = await sight_of(interaction)
        one = self._one(sight, server)
        t = await self.bot.texts_for(interaction, private=True)
        pollers = await pollers_of(self.bot, sight.chosen(server))
        reports = await would_restore(pollers)
        if not any(report.missing or report.adopted for report in reports):
            await answer(
                interaction, panel(t("health.job.restore_missing"), t("health.nothing_missing"), tone=Tone.GOOD)
            )
            return
        rows = [(r.server, name, "") for r in reports for name in r.missing]
        rows += [(r.server, name, reason) for r in reports for name, reason in r.problems]
        files = sight.clean_files({"missing.csv": as_csv(("server", "name", "problem"), rows)})
        pressed = await confirmed(interaction, t, sight, reports, attached(files))
        if pressed is not None:
            # The question is answered: its buttons go.
            await show(pressed, panel(t("health.job.restore_missing"), t("job.starting")))
            await follower_of(self.bot).submit(pressed, sight, "restore_missing", {"server": one, "dry_run": False})


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Sync(bot))
