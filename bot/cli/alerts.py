"""alerts: what people were told of, whether telling works, and what they do not want to hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, fail, load, print_json, run
from bot.utc import utc_second

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.db.engine import Database
    from bot.health.alerts import Tested
    from bot.health.incidents import Incident, Mute

alert_commands = typer.Typer(
    help="See, test and mute what people are told when something is wrong.", no_args_is_help=True
)

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="An incident's key, such as destination:b2:auth, or a pattern with *.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(alert_commands, name="alerts")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    from bot.db import migrate
    from bot.db.engine import Database

    database = Database(settings.database_url)
    try:
        await migrate.require_current(database)
        yield database
    finally:
        await database.close()


@alert_commands.command("list")
def list_command(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many incidents.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show incidents, the open ones first, and what is muted."""
    import time

    settings = load()

    async def main() -> tuple[list[Incident], list[Mute]]:
        from bot.health.incidents import list_incidents, list_mutes

        async with _opened(settings) as database:
            return await list_incidents(database, limit=limit), await list_mutes(database, time.time())

    found, mutes = run(main)
    if as_json:
        from dataclasses import asdict

        incidents = [asdict(item) | {"ended_at": item.ended_at, "seconds": item.seconds} for item in found]
        print_json({"incidents": incidents, "mutes": [asdict(item) for item in mutes]})
    else:
        _print_incidents(found, mutes)
    raise typer.Exit(ExitCode.PROBLEM if any(item.closed_at is None for item in found) else ExitCode.OK)


def _print_incidents(found: list[Incident], mutes: list[Mute]) -> None:
    from bot.health.colour import spell
    from bot.ingest.sftp_session import printable

    for item in found:
        lasted = "OPEN" if item.seconds is None else f"over, lasted {spell(item.seconds)}"
        typer.echo(f"{item.key}  {lasted}  since {utc_second(item.began_at)}")
        typer.echo(f"  {printable(item.text, 500)}")
        if item.closed_at is None and item.command:
            typer.echo(f"  do: {item.command}")
    if not found:
        typer.echo("no incident yet")
    for item_muted in mutes:
        until = "until it is lifted" if item_muted.until_at is None else f"until {utc_second(item_muted.until_at)}"
        typer.echo(f"muted: {printable(item_muted.pattern, 200)} {until}, by {printable(item_muted.actor, 80)}")


@alert_commands.command("test")
def try_command(as_json: JsonOption = False) -> None:
    """Send a test message through every notifier and the heartbeat, and say what became of each."""
    settings = load()

    async def main() -> list[Tested]:
        from bot.health.alerts import build_watch

        async with _opened(settings) as database:
            return await build_watch(settings, database).test()

    results = run(main)
    if as_json:
        values: list[dict[str, Any]] = [
            {
                "notifier": item.notifier,
                "ok": item.error is None,
                "error": item.error,
                "seconds": round(item.seconds, 3),
            }
            for item in results
        ]
        print_json({"notifiers": values})
    else:
        for item in results:
            typer.echo(f"{item.notifier}: {'sent' if item.error is None else item.error}")
        if not {item.notifier for item in results} - {"log"}:
            typer.echo("only the log is told: name a webhook in [alerts] of the TOML file (.env.example shows how)")
    raise typer.Exit(ExitCode.PROBLEM if any(item.error is not None for item in results) else ExitCode.OK)


@alert_commands.command("mute")
def mute_command(
    key: KeyArgument,
    until: Annotated[
        str | None, typer.Option("--until", help="For so long (30m, 6h, 2d), or until 2026-01-31T18:00 UTC.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell nobody of an incident, now or when it comes; it stays on every screen."""
    import time

    settings = load()
    now = time.time()
    end = None if until is None else parse_until(until, now)
    if end is not None and end <= now:
        fail(f"--until {until}: that is over already", ExitCode.USAGE)

    async def main() -> None:
        from bot.health.audit import command_line_actor
        from bot.health.incidents import mute

        async with _opened(settings) as database:
            await mute(database, key, until_at=end, actor=command_line_actor(), now=now)

    run(main)
    if as_json:
        print_json({"pattern": key, "until_at": end})
    else:
        typer.echo(f"{key}: muted " + ("until it is lifted" if end is None else f"until {utc_second(end)}"))


@alert_commands.command("unmute")
def unmute_command(key: KeyArgument, as_json: JsonOption = False) -> None:
    """Lift a mute; what is still wrong is told then."""
    import time

    settings = load()

    async def main() -> bool:
        from bot.health.audit import command_line_actor
        from bot.health.incidents import unmute

        async with _opened(settings) as database:
            return await unmute(database, key, actor=command_line_actor(), now=time.time())

    lifted = run(main)
    if as_json:
        print_json({"pattern": key, "lifted": lifted})
    else:
        typer.echo(f"{key}: lifted" if lifted else f"{key}: it was not muted")
    raise typer.Exit(ExitCode.OK if lifted else ExitCode.PROBLEM)


def parse_until(text: str, now: float) -> int:
    """Return the unix time that a duration or a date tells; end the command where it is neither."""
    import re
    from datetime import UTC, datetime

    if match := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return int(now) + int(match[1]) * {"m": 60, "h": 3600, "d": 86400}[match[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--until {text}: write 30m, 6h, 2d or 2026-01-31T18:00", ExitCode.USAGE)
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())
