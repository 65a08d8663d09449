"""run, sync, import and db: the commands that bring files in and keep the database fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, ServerOption, configured_servers, fail, load, print_json, run

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from bot.app import App
    from bot.config import Settings
    from bot.ingest.poll import Poller, PollReport

database_commands = typer.Typer(help="Look after the database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("run")(run_command)
    app.command("sync")(sync)
    app.command("import")(import_folder)
    app.add_typer(database_commands, name="db")


NO_SERVER = "no game server is set up: run `python -m bot setup`, or set SSH_HOST, SSH_USER and REMOTE_STATS_PATH"


# ---------------------------------------------------------------------- run


def run_command() -> None:
    """Poll, copy and do what the timetable says until told to stop (SIGTERM or Ctrl-C)."""
    settings = load()
    if not configured_servers(settings):
        fail(NO_SERVER, ExitCode.CONFIG)
    run(lambda: serve(settings))


async def serve(settings: Settings) -> None:
    """Run all roles until SIGTERM or SIGINT: bring the archive in, show the faces, then poll, copy and do jobs."""
    import asyncio
    import gc
    import signal
    from contextlib import AsyncExitStack

    import structlog

    from bot.ingest.collector import collector_paused

    with collector_paused():
        from bot.app import opened

    log = structlog.get_logger()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened(settings) as app, AsyncExitStack() as stack:
        await app.bring_in_archives()
        address = await _show_faces(app, stack)
        await stack.enter_async_context(app.working())
        log.info(
            "running",
            servers=list(app.pollers),
            every=settings.ssh_check_interval,
            destinations=list(app.mirrors.copiers),
            web=address,
        )
        # What is there by now stays: looking through all of it for garbage takes a tenth of a second each time, in
        # which nobody is answered.
        gc.collect()
        gc.freeze()
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


async def _show_faces(app: App, stack: AsyncExitStack) -> str | None:
    """Start the faces that the settings ask for, until the stack is left; return the web's address.

    They share one studio. What nobody asks for is not imported: an idle bot without a face stays small.
    """
    if not app.settings.web_port and app.settings.discord_bot_token is None:
        return None
    from bot.cards.studio import Studio
    from bot.ingest.collector import collector_paused

    studio, address = Studio(), None
    stack.push_async_callback(studio.close)
    if app.settings.web_port:
        with collector_paused():
            from bot.web.serve import served

            address = await stack.enter_async_context(served(app, studio))
    if app.settings.discord_bot_token is not None:
        with collector_paused():
            from bot.client import discord_face

        presence = await stack.enter_async_context(discord_face(app, studio=studio))
        if presence is not None:
            app.events.brought.append(lambda _report: presence.rounds_came())
    return address


# ---------------------------------------------------------------------- sync


def sync(
    server: ServerOption = None,
    restore: Annotated[
        bool,
        typer.Option("--restore", help="Fetch only the files that the archive misses again; import nothing twice."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --restore: only say which files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Poll the game servers once, now, and say what came of it."""
    settings = load()
    if dry_run and not restore:
        fail("--dry-run goes with --restore", ExitCode.USAGE)
    reports, copies, problems = run(lambda: _sync(settings, server, restore=restore, dry_run=dry_run, quiet=as_json))
    if as_json:
        print_json({"servers": reports, "destinations": copies})
    raise typer.Exit(ExitCode.PROBLEM if problems else ExitCode.OK)


async def _sync(
    settings: Settings, wanted: str | None, *, restore: bool, dry_run: bool, quiet: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
    from bot.app import opened
    from bot.cli.mirror import cycle_record
    from bot.ingest.game_server_errors import GameServerError

    reports: list[dict[str, Any]] = []
    problems = False
    async with opened(settings) as app:
        pollers = chosen(app, wanted)
        failure: GameServerError | None = None
        for poller in pollers:
            try:
                holder = await poller.lease.hold() if poller.lease is not None else None
                if holder is not None:
                    record = await _elsewhere(app, poller, holder.holder, restore=restore, dry_run=dry_run, quiet=quiet)
                else:
                    record = await (_restore(poller, dry_run=dry_run) if restore else _poll(poller, quiet=quiet))
            except GameServerError as error:
                # One server that is down holds the others back from nothing.
                failure = error
                record = {"server": poller.server.name, "error": str(error), "error_code": error.code}
            problems = problems or bool(record.get("problems"))
            reports.append(record)
            if not quiet:
                _print_report(record)
        # What came in goes on to every destination before this ends; one that does not work is said, and waits.
        sent = [] if restore else await app.mirrors.drain()
        for copied in sent:
            problems = problems or copied.wrong
            if not quiet:
                typer.echo(f"{copied.destination}: {copied.summary}")
        copies = [cycle_record(copied) for copied in sent]
        if failure is not None and not quiet:
            raise failure
        if failure is not None:
            print_json({"servers": reports, "destinations": copies})
            raise typer.Exit(ExitCode.SERVER)
    return reports, copies, problems


async def _elsewhere(
    app: App, poller: Poller, holder: str, *, restore: bool, dry_run: bool, quiet: bool
) -> dict[str, Any]:
    """Have the process that polls this server do it, and return what it says of it: counts and the first names."""
    from bot.cli.jobs import done_there, end_of

    arguments: dict[str, Any] = {"server": poller.server.name}
    if restore:
        arguments["dry_run"] = dry_run
    job = await done_there(app, "restore_missing" if restore else "poll", arguments, holder, quiet=quiet)
    end_of(job, as_json=False)
    (record,) = job.result["servers"]
    return dict(record) | {"done_by": holder}


async def _restore(poller: Poller, *, dry_run: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from bot.health.restore import restore_missing

    report = await restore_missing(poller, dry_run=dry_run)
    return asdict(report)


async def _poll(poller: Poller, *, quiet: bool) -> dict[str, Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=quiet or not sys.stdout.isatty()) as bar:
        task = bar.add_task(poller.server.name, total=None, visible=False)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        _, archived = await poller.start(progress)
        report = await poller.poll(full=True, progress=progress)
    record = report_record(report)
    record["imported_from_archive"] = archived.new_rounds
    record["problems"] = [{"file": name, "reason": reason} for name, reason in archived.problems + report.problems]
    return record


def report_record(report: PollReport) -> dict[str, Any]:
    """Return a poll's report as plain values for JSON."""
    return {
        "server": report.server,
        "listed": report.listed,
        "fetched": report.fetched,
        "imported": report.new_rounds,
        "outcomes": {result.value: count for result, count in sorted(report.outcomes.items())},
        "problems": [{"file": name, "reason": reason} for name, reason in report.problems],
        "growing": report.growing,
        "skipped": [{"name": name, "reason": reason} for name, reason in report.skipped],
        "suspicious": report.suspicious,
        "parked": report.parked,
        "seconds": round(report.seconds, 3),
    }


def _print_report(record: dict[str, Any]) -> None:
    name = record["server"]
    if "error" in record:
        typer.echo(f"{name}: not polled")
        return
    if "done_by" in record:
        _print_elsewhere(record)
        return
    if "listed" not in record:
        _print_restore(record)
        return
    outcomes = ", ".join(f"{count} {result}" for result, count in record["outcomes"].items()) or "nothing new"
    typer.echo(
        f"{name}: {record['listed']} files listed, {record['fetched']} fetched, {outcomes} in {record['seconds']} s"
    )
    for title, items in (
        ("not imported", [f"{item['file']}: {item['reason']}" for item in record["problems"]]),
        ("still growing", record["growing"]),
        ("passed over", [f"{item['name']}: {item['reason']}" for item in record["skipped"]]),
    ):
        for text in items:
            typer.echo(f"  {title}: {text}")
    if record["parked"]:
        typer.echo(f"  {record['parked']} files wait for a person: python -m bot files list --state failed")
    if record["suspicious"]:
        typer.echo(f"  {record['suspicious']}")


def _print_elsewhere(record: dict[str, Any]) -> None:
    name = record["server"]
    if "listed" in record:
        outcomes = ", ".join(f"{count} {result}" for result, count in record["outcomes"].items()) or "nothing new"
        typer.echo(f"{name}: {record['listed']} files listed, {record['fetched']} fetched, {outcomes}")
    else:
        would = "would come" if record["dry_run"] else "came"
        typer.echo(
            f"{name}: the archive misses {record['missing']} files; {record['from_server']} {would} from the game "
            f"server, {record['from_database']} from the database"
        )
    for problem in record["problems"]:
        typer.echo(f"  not imported: {problem['file']}: {problem['reason']}")
    if record.get("suspicious"):
        typer.echo(f"  {record['suspicious']}")


def _print_restore(record: dict[str, Any]) -> None:
    would = "would come" if record["dry_run"] else "came"
    typer.echo(
        f"{record['server']}: the archive misses {len(record['missing'])} files; "
        f"{len(record['from_server'])} {would} from the game server, {len(record['from_database'])} from the database"
    )
    if record["server_error"]:
        typer.echo(f"  the game server could not be asked: {record['server_error']}")
    for name in record["missing"] if record["dry_run"] else ():
        typer.echo(f"  {name}")
    for title, names in (
        ("other bytes lay there, kept in .replaced", record["set_aside"]),
        ("has its row in the ledger again", record["adopted"]),
        ("has other bytes on the game server now", record["other_on_server"]),
    ):
        for name in names:
            typer.echo(f"  {title}: {name}")
    for name, reason in record["problems"]:
        typer.echo(f"  not brought back: {name}: {reason}")


def chosen(app: App, wanted: str | None) -> list[Poller]:
    """Return the pollers to work on; end the command where the name is not one of them, or there is none at all."""
    pollers = list(app.pollers.values())
    if not pollers:
        fail(NO_SERVER, ExitCode.CONFIG)
    if wanted is None:
        return pollers
    if wanted not in app.pollers:
        fail(f"no game server is called {wanted!r}; there are: {', '.join(app.pollers)}", ExitCode.USAGE)
    return [app.pollers[wanted]]


# ---------------------------------------------------------------------- import


def import_folder(
    folder: Annotated[Path, typer.Argument(help="Folder with stats files, such as an older bot's local_stats.")],
    server: Annotated[
        str | None, typer.Option("--server", help="Game server these files are of; SERVER_NAME if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import stats files that are on disk already: into the archive and the database. The folder is only read."""
    settings = load()
    if not folder.is_dir():
        fail(f"{folder} is no folder", ExitCode.USAGE)
    record = run(lambda: _import_folder(settings, folder, server, quiet=as_json))
    if as_json:
        print_json(record)
    else:
        counts = ", ".join(f"{count} {result}" for result, count in record["outcomes"].items()) or "nothing"
        typer.echo(f"{record['files']} stats files in {folder}: {counts}")
        for item in record["problems"] + record["ignored"]:
            typer.echo(f"  not imported: {item['file']}: {item['reason']}")
        if record["other_names"]:
            typer.echo(f"  {record['other_names']} other names in the folder were passed over")
    raise typer.Exit(ExitCode.PROBLEM if record["problems"] else ExitCode.OK)


async def _import_folder(settings: Settings, folder: Path, wanted: str | None, *, quiet: bool) -> dict[str, Any]:
    from rich.progress import Progress

    from bot.app import archive_poller, opened
    from bot.ingest.folder import import_from

    async with opened(settings) as app:
        poller = await archive_poller(app, wanted or settings.server_name)
        await poller.start()
        with Progress(transient=True, disable=quiet or not sys.stdout.isatty()) as bar:
            task = bar.add_task(f"importing {folder}", total=None)
            report = await import_from(
                poller, folder, lambda done, total: bar.update(task, completed=done, total=total)
            )
    return {
        "server": report.server,
        "files": report.files,
        "outcomes": {result.value: count for result, count in sorted(report.outcomes.items())},
        "problems": [{"file": name, "reason": reason} for name, reason in report.problems],
        "ignored": [{"file": name, "reason": reason} for name, reason in report.ignored],
        "other_names": report.other_names,
    }


# ---------------------------------------------------------------------- db


@database_commands.command()
def upgrade() -> None:
    """Bring the database to this version's schema; a SQLite file is copied beside itself first."""
    settings = load()

    async def main() -> tuple[str | None, str]:
        from bot.db import migrate
        from bot.db.engine import Database

        database = Database(settings.database_url)
        try:
            return await migrate.upgrade(database)
        finally:
            await database.close()

    before, now = run(main)
    typer.echo(f"schema {now}: nothing to do" if before == now else f"schema {before or 'none'} -> {now}")


@database_commands.command()
def check(as_json: JsonOption = False) -> None:
    """Look whether the database fits this version and is whole."""
    settings = load()

    async def main() -> Any:
        from bot.db import migrate
        from bot.db.engine import Database

        database = Database(settings.database_url)
        try:
            return await migrate.check(database)
        finally:
            await database.close()

    state = run(main)
    if as_json:
        print_json({"revision": state.revision, "problems": list(state.problems), "current": state.current})
    elif state.current:
        typer.echo(f"schema {state.revision}: whole and up to date")
    for problem in state.problems if not as_json else ():
        typer.echo(f"problem: {problem}")
    raise typer.Exit(ExitCode.OK if state.current else ExitCode.DATABASE)
