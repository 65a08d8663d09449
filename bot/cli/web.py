"""web: keys for programs, and a way in for the admin of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, fail, load, print_json, run

if TYPE_CHECKING:
    from bot.community.keys import Key
    from bot.db.engine import Database

web_commands = typer.Typer(help="Let people and programs into the web pages and the API.", no_args_is_help=True)
key_commands = typer.Typer(help="Keys that programs show to the API.", no_args_is_help=True)
web_commands.add_typer(key_commands, name="key")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(web_commands, name="web")


@web_commands.command("login-link")
def login_link() -> None:
    """Print a link that logs one admin in, once, within ten minutes; `run` has to be running."""
    settings = load()
    from bot.health.audit import command_line_actor
    from bot.web.access import Logins
    from bot.web.serve import address_of
    from bot.web.settings import web_settings

    if settings.web_port == 0:
        fail("WEB_PORT is 0: no web pages are served", ExitCode.CONFIG)

    async def main(database: Database) -> str:
        import time

        return await Logins(database, time.time).make_link(command_line_actor())

    address = address_of(web_settings(settings), settings.web_port)
    typer.echo(f"{address}/login/link?token={run(lambda: _with_database(main))}")


@key_commands.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What it is for, such as grafana.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="games, sync or admin; may be given more than once.")
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Ends after so many days.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, once: only its hash is kept."""
    from bot.community.errors import CommunityError
    from bot.community.keys import Keys, Scope
    from bot.health.audit import command_line_actor

    wanted = scope or ["games"]
    unknown = sorted(set(wanted) - {item.value for item in Scope})
    if unknown:
        fail(f"there is no scope {', '.join(unknown)}; choose from {', '.join(Scope)}", ExitCode.USAGE)

    async def main(database: Database) -> tuple[Key, str]:
        import time

        scopes = [Scope(item) for item in wanted]
        return await Keys(database, time.time).add(name, scopes, command_line_actor(), days=days)

    try:
        key, text = run(lambda: _with_database(main))
    except CommunityError as error:
        fail(str(error), ExitCode.USAGE)
    if as_json:
        print_json({**_record(key), "key": text})
        return
    typer.echo(text)
    typer.echo(
        f"Key {key.id} opens: {', '.join(key.scopes)}. It is not shown again. "
        f'Send it as "Authorization: Bearer {key.hint}…".',
        err=True,
    )


@key_commands.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys; none of them can be read again."""
    from bot.community.keys import Keys

    async def main(database: Database) -> list[Key]:
        import time

        return await Keys(database, time.time).list()

    keys = run(lambda: _with_database(main))
    if as_json:
        print_json([_record(key) for key in keys])
        return
    if not keys:
        typer.echo("there are no keys; `web key add NAME` makes one")
    for key in keys:
        state = f"revoked {_day(key.revoked_at)}" if key.revoked_at else f"last used {_day(key.last_used_at)}"
        until = f", ends {_day(key.expires_at)}" if key.expires_at else ""
        typer.echo(f"{key.id:>4}  {key.hint}…  {' '.join(key.scopes):<16}  {key.name}  ({state}{until})")


@key_commands.command("revoke")
def revoke(number: Annotated[int, typer.Argument(help="Its number, as `web key list` shows it.")]) -> None:
    """End a key, at once."""
    from bot.community.keys import Keys
    from bot.health.audit import command_line_actor

    async def main(database: Database) -> bool:
        import time

        return await Keys(database, time.time).revoke(number, command_line_actor())

    if not run(lambda: _with_database(main)):
        fail(f"there is no key {number} that still opens anything", ExitCode.PROBLEM)
    typer.echo(f"key {number} opens nothing any more")


async def _with_database(main: Any) -> Any:
    from bot.cli.answers.asking import opened_database

    async with opened_database(load()) as database:
        return await main(database)


def _record(key: Key) -> dict[str, Any]:
    from bot.stats.plain import plain

    found: dict[str, Any] = plain(key)
    return found


def _day(at: int | None) -> str:
    from datetime import UTC, datetime

    return "never" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
