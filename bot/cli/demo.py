"""demo: the main job on a simulated game server, with nothing to set up and nothing that leaves the machine."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import ExitCode, fail, run
from bot.cli.demo_news import newsroom, show_last_summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from bot.app import App
    from bot.cards.studio import Studio
    from bot.cli.demo_news import Tell
    from bot.config import Settings
    from bot.ingest.poll import Poller, PollReport

FOLDER = Path("demo-data")
PASSWORD = "demo"  # noqa: S105 - of a server that listens on 127.0.0.1 for as long as the demo runs
ZONE = "Europe/Berlin"
SEED = 4
WEB_PORT = 8080
BUCKET = "rounds"
DESTINATIONS = ("aws_s3", "backblaze_b2")
"""The second one joins late."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("demo")(demo)


def demo(
    rounds: Annotated[
        int, typer.Option(min=2, max=20000, help="Rounds the simulated server has played already.")
    ] = 300,
    every: Annotated[float, typer.Option(min=0.5, max=600, help="Seconds between two new rounds.")] = 5.0,
    live: Annotated[int, typer.Option(min=0, help="Stop after so many new rounds; 0 goes on until Ctrl-C.")] = 0,
) -> None:
    """Watch a backlog come in and new rounds arrive: simulated server, SFTP, archive, database, answers."""
    if importlib.util.find_spec("tools.simulate") is None:
        fail("the simulated server comes with the project's repository; run it there, as `make demo`", ExitCode.USAGE)
    run(lambda: _demo(rounds, every, live))


async def _demo(rounds: int, every: float, live: int) -> None:
    import signal
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from bot.log import configure_logging
    from tools.simulate.backlog import write_backlog
    from tools.simulate.object_store import SimulatedObjectStore
    from tools.simulate.sftp_server import SimulatedSftpServer

    configure_logging("warning")
    console = Console(highlight=False, soft_wrap=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await asyncio.to_thread(shutil.rmtree, FOLDER, ignore_errors=True)
    stats_folder = FOLDER / "game-server" / "gamestats"
    zone = ZoneInfo(ZONE)
    last_night = datetime.now(zone).replace(tzinfo=None, hour=23, minute=40, second=0) - timedelta(days=1)
    console.print(f"[bold]1.[/] A simulated game server plays {rounds} rounds and serves them over SFTP on 127.0.0.1.")
    played = await asyncio.to_thread(
        write_backlog, stats_folder, SEED, rounds, last_evening_end=last_night, zone=zone, layout=None
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatedSftpServer(FOLDER / "game-server", users={"demo": PASSWORD}))
        (FOLDER / "known_hosts").write_text(server.known_hosts_line)
        console.print(f"   {server.host}:{server.port}, host key {server.fingerprint}, {len(played)} files.")
        stores = await asyncio.gather(
            *(
                stack.enter_async_context(SimulatedObjectStore(FOLDER / f"{name}.log", bucket=BUCKET))
                for name in DESTINATIONS
            )
        )
        endpoints = dict(zip(DESTINATIONS, (store.endpoint for store in stores), strict=True))
        first, late = DESTINATIONS
        console.print(f"   Two S3 servers stand by for copies: {', '.join(endpoints.values())}.\n")
        await _first_day(_settings(server.port, {first: endpoints[first]}), console)
        if stop.is_set():
            return
        console.print(f"[bold]5.[/] {late} is added to the settings, and the bot started again.")
        await _second_day(_settings(server.port, endpoints), late, stats_folder, every, live, stop, console)
    console.print(
        f"\nEverything is in {FOLDER}/: ask more with\n"
        f"   DATABASE_URL=sqlite:///{FOLDER}/rounds.db .venv/bin/python -m bot leaderboard dpm"
    )


async def _first_day(settings: Settings, console: Console) -> None:
    """Bring the backlog in, show last night, and copy everything to the one destination there is."""
    from bot.app import opened

    async with opened(settings) as app:
        poller = app.pollers["demo"]
        console.print("[bold]2.[/] The bot fetches and imports the backlog.")
        await _backlog(app, poller, console)
        console.print("\n[bold]3.[/] Last night:")
        await _last_session(app, console)
        await show_last_summary(app, console, ZONE)
        console.print(f"[bold]4.[/] Every file gets a copy in {DESTINATIONS[0]}.")
        await _fill(app, DESTINATIONS[0], console)
        console.print()


async def _second_day(
    settings: Settings, late: str, folder: Path, every: float, live: int, stop: asyncio.Event, console: Console
) -> None:
    """Let a destination join late: why it holds less, how it catches up, and that both agree in the end."""
    from bot.app import opened
    from bot.cards.studio import Studio

    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(opened(settings))
        await stack.enter_async_context(app.jobs.started())
        studio = Studio()
        stack.push_async_callback(studio.close)
        await stack.enter_async_context(_web_pages(app, studio, console))
        poller = app.pollers["demo"]
        await poller.start()
        await app.mirrors.copiers[late].book.track()
        console.print("   Why do the two not hold the same?\n")
        await _why_not_the_same(app, console)
        console.print(f"\n   {late} is brought up to date:")
        await _fill(app, late, console)
        await _show_destinations(app, console)
        console.print("\n[bold]6.[/] Where every file is:")
        await _diagnosis(poller, console)
        if stop.is_set():
            return
        console.print(f"[bold]7.[/] The server plays on, a round every {every:g} s (Ctrl-C ends the demo).")
        async with newsroom(app, console, ZONE, studio) as tell:
            await _live(app, poller, folder, every, live, stop, console, tell)
        await _show_destinations(app, console)


@asynccontextmanager
async def _web_pages(app: App, studio: Studio, console: Console) -> AsyncIterator[None]:
    """Serve the web pages meanwhile, and print a link that logs in; a port that is taken is only said."""
    from bot.web.serve import WebError, login_link, serve_web

    async with AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(serve_web(app, port=app.settings.web_port, studio=studio))
        except WebError as error:
            console.print(f"   No web pages: {error}.", markup=False)
        else:
            link = await login_link(app, address or "", "demo")
            console.print(f"   The web pages meanwhile: {address} - log in, once, with\n   {link}\n", markup=False)
        yield


async def _fill(app: App, name: str, console: Console) -> None:
    """Bring one destination up to date, with a bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None)
        report = await app.mirrors.copiers[name].cycle(
            asked=True, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    console.print(f"   {name}: {report.summary}, in {report.seconds:.1f} s.")


async def _show_destinations(app: App, console: Console) -> None:
    """Print where everything stands, from the database alone."""
    from bot.cli.status import print_overview
    from bot.health.overview_taking import places_of, take_overview

    print_overview(await take_overview(app.database, places_of(app.settings), app.importer.clock()), console)


async def _why_not_the_same(app: App, console: Console) -> None:
    """Say why the late destination does not hold what the first one holds."""
    from bot.cli.destinations import print_comparison
    from bot.health.destinations import compare, examine_destination

    left, right = [await examine_destination(app.mirrors.copiers[name]) for name in DESTINATIONS]
    print_comparison(compare(left, right), console)


def _settings(port: int, endpoints: Mapping[str, str]) -> Settings:
    """Return the demo's own settings; what is set up for real on this machine plays no part."""
    import os

    from pydantic import SecretStr

    from bot.config import load_settings

    # Names of variables stand in the file, as in a real one; these servers take any credentials.
    os.environ |= {"DEMO_ACCESS_KEY": "demo", "DEMO_SECRET_KEY": "demo-secret"}
    config = FOLDER / "bot.toml"
    config.write_text("".join(_destination(name, endpoint) for name, endpoint in endpoints.items()))
    return load_settings(
        _env_file=None,
        database_url=f"sqlite:///{FOLDER}/rounds.db",
        local_stats_path=FOLDER / "local_stats",
        discord_bot_token=None,
        server_name="demo",
        server_timezone=ZONE,
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user="demo",
        ssh_key_path=None,
        ssh_password=SecretStr(PASSWORD),
        ssh_known_hosts=FOLDER / "known_hosts",
        remote_stats_path="gamestats",
        ssh_check_interval=5,
        session_gap_minutes=60,
        min_players_per_side=2,
        filler_maps=(),
        config_file=config,
        mirror_interval=60,
        web_port=WEB_PORT,
        log_level="warning",
        log_format="console",
    )


def _destination(name: str, endpoint: str) -> str:
    # The kind is s3 for both: what answers here speaks S3, whatever it is called.
    return (
        f'[[destinations]]\nname = "{name}"\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{endpoint}"\n'
        'region = "us-east-1"\naddressing = "path"\n'
        'access_key_env = "DEMO_ACCESS_KEY"\nsecret_key_env = "DEMO_SECRET_KEY"\n\n'
    )


async def _backlog(app: App, poller: Poller, console: Console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("files", total=None)
        await poller.start()
        if poller.lease is not None:
            await poller.lease.hold()
        report = await poller.poll(progress=lambda done, total: bar.update(task, completed=done, total=total))
    app.events.tell_polled(report)
    await app.notes.flush()
    counts = ", ".join(f"{count} {result}" for result, count in sorted(report.outcomes.items()))
    console.print(f"   {report.fetched} files fetched, {counts}, in {report.seconds:.1f} s.")
    for name, reason in report.problems:
        console.print(f"   not imported: {name}: {reason}", markup=False)


async def _last_session(app: App, console: Console) -> None:
    from bot.cli.answers.sessions import show_session
    from bot.stats.sessions import find_session, session_answer

    async with app.database.read() as connection:
        answer = await session_answer(connection, await find_session(connection, "last"))
    show_session(console, answer)


async def _diagnosis(poller: Poller, console: Console) -> None:
    from bot.cli.health import print_diagnosis
    from bot.health.diagnose import examine

    print_diagnosis(await examine(poller), console)


async def _live(
    app: App, poller: Poller, folder: Path, every: float, live: int, stop: asyncio.Event, console: Console, tell: Tell
) -> None:
    """Let the simulated server play on, show each round as it arrives, and copy it everywhere."""
    from zoneinfo import ZoneInfo

    from bot.schedule import MirrorSchedule, PollSchedule
    from tools.simulate.__main__ import keep_playing

    arrived: asyncio.Queue[str] = asyncio.Queue()

    copying = MirrorSchedule(app.mirrors.copiers.values(), app.settings.mirror_interval, app.events)

    def heard(report: PollReport) -> None:
        copying.wake()
        for name in report.new_rounds:
            arrived.put_nowait(name)
        for name, reason in report.problems:
            console.print(f"   not imported: {name}: {reason}", markup=False)

    schedule = PollSchedule([poller], interval=min(every, 2.0), events=app.events)
    app.events.brought.append(heard)
    playing = asyncio.create_task(
        keep_playing(folder, SEED, every=every, slow=min(1.0, every / 4), zone=ZoneInfo(ZONE), say=None)
    )
    copying.start()
    schedule.start()
    shown = 0
    try:
        while not stop.is_set() and (live == 0 or shown < live):
            waiting = [asyncio.create_task(arrived.get()), asyncio.create_task(stop.wait()), playing]
            done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in pending - {playing}:
                task.cancel()
            if playing in done:
                playing.result()
            if waiting[0] in done:
                name = str(waiting[0].result())
                await _show_round(poller, name, console)
                await tell(name)
                shown += 1
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await schedule.stop()
        await app.mirrors.drain()
        await copying.stop()
        await app.notes.flush()


async def _show_round(poller: Poller, name: str, console: Console) -> None:
    from sqlalchemy import select

    from bot.db.schema import matches, player_rounds, players, rounds

    database = poller.importer.database
    async with database.read() as connection:
        query = (
            select(rounds, matches.c.status, matches.c.result)
            .join(matches, matches.c.id == rounds.c.match_id)
            .where(rounds.c.server_id == poller.server.id, rounds.c.file_name == name)
        )
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            console.print(f"   {name}: awards", markup=False)
            return
        best = (
            await connection.execute(
                select(players.c.name, player_rounds.c.damage_given, player_rounds.c.kills)
                .join(players, players.c.id == player_rounds.c.player_id)
                .where(player_rounds.c.round_id == row.id)
                .order_by(player_rounds.c.damage_given.desc(), players.c.name)
                .limit(1)
            )
        ).one_or_none()
    minutes = "?:??" if row.seconds is None else f"{row.seconds // 60}:{row.seconds % 60:02}"
    text = f"   {row.map_name} R{row.number}  {minutes}  {row.axis} v {row.allies}"
    if best is not None:
        text += f"  most damage: {best.name} ({best.damage_given}, {best.kills} kills)"
    if row.number == 2 and row.result is not None:
        text += f"  -> {str(row.result).replace('_', ' ')}" if row.result != "draw" else "  -> draw"
    if row.flags:
        text += f"  [{row.flags}]"
    console.print(text, markup=False, soft_wrap=True)
