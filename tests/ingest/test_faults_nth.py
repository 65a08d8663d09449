"""Let the nth statement, disk call or read fail, for every n until nothing fails; each time all has to come right."""

import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from bot.db.engine import Database, bulk_insert
from bot.db.schema import metadata
from bot.ingest import poll as poll_module
from bot.ingest.archive import ArchiveError
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.importer import Importer, Incoming
from bot.ingest.poll import Poller
from tests.ingest.world import Files, World, content, evenings_of_play, facts, facts_at_once, opened_world, simulated
from tools.simulate.hazards import Hazards

FILES = evenings_of_play(21, rounds=6)
AWARDED = dict(list(evenings_of_play(8, evenings=1, hazards=Hazards.hostile()).items())[:3])
LATER = dict(list(FILES.items())[4:])


@pytest.fixture
async def world(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(poll_module, "BATCH", 3)
    async with opened_world(tmp_path, database) as made:
        made.line = made.source()
        yield made
        await made.line.close()


async def empty(world: World) -> None:
    """Forget everything on our side."""
    async with world.database.write() as connection:
        if world.database.is_sqlite:
            await connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
    for path in sorted(world.root.joinpath("local_stats").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


class Countdown:
    """Fails once, at the nth call."""

    def __init__(self, n: int, error: Callable[[], Exception]) -> None:
        self.left = n
        self.error = error

    @property
    def failed(self) -> bool:
        return self.left <= 0

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error()


@contextmanager
def failing_statement(database: Database, n: int) -> Iterator[Countdown]:
    """Let the nth statement, bulk insert or commit fail as a failing disk does."""
    countdown = Countdown(n, lambda: OperationalError("nth", {}, Exception("disk I/O error")))
    engine = database.engine.sync_engine

    async def insert(*args: Any, **kwargs: Any) -> None:
        await bulk_insert(*args, **kwargs)
        countdown()

    with pytest.MonkeyPatch.context() as patch:
        for module in ("facts.awards", "facts.players", "facts.rounds", "facts.sessions", "importer"):
            patch.setattr(f"bot.ingest.{module}.bulk_insert", insert)
        event.listen(engine, "before_cursor_execute", countdown)
        event.listen(engine, "commit", countdown)
        try:
            yield countdown
        finally:
            event.remove(engine, "before_cursor_execute", countdown)
            event.remove(engine, "commit", countdown)


@contextmanager
def failing_disk(folder: Path, n: int) -> Iterator[Countdown]:
    """Let the nth call that changes something in a folder fail."""
    countdown = Countdown(n, lambda: OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "rename", "hardlink_to", "mkdir"):
            real = getattr(Path, name)

            def call(path: Path, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
                if path.is_relative_to(folder):
                    countdown()
                return _real(path, *args, **kwargs)

            patch.setattr(Path, name, call)
        real_fsync = os.fsync

        def fsync(descriptor: int) -> None:
            if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(folder):
                countdown()
            real_fsync(descriptor)

        patch.setattr(os, "fsync", fsync)
        yield countdown


async def polled(world: World) -> dict[str, list[Any]]:
    """Return what undisturbed polls give: first some of the files, then a file changed and the rest."""
    await empty(world)
    set_out(world)
    poller = await first_poll(world)
    await second_poll(world, poller)
    return await content(world.database)


def set_out(world: World) -> None:
    """Put on the game server what its first poll finds: one file will change, some will come later."""
    for path in world.games.iterdir():
        path.unlink()
    world.put({name: data for name, data in {**FILES, **AWARDED}.items() if name not in LATER})
    changing = min(FILES)
    world.put({changing: b"\r\n".join(FILES[changing].split(b"\r\n")[:-3]) + b"\r\n"})


async def first_poll(world: World) -> Poller:
    poller = await world.poller()
    await poller.poll()
    return poller


async def second_poll(world: World, poller: Poller) -> None:
    world.put(FILES)
    await poller.poll(full=True)


async def check_until_untouched(
    world: World, restart: bool, fault: Callable[[int], Any], at_first: bool, stride: int
) -> int:
    """Fail at every n, and look that a clean run afterwards mends it all; return how many places there were.

    A usual run takes only every `stride`th place.
    """
    expected = await polled(world)
    n = 1 - stride
    while True:
        n += stride
        assert n < 2000
        await empty(world)
        set_out(world)
        poller = None if at_first else await first_poll(world)
        with suppress(OperationalError, ArchiveError, GameServerError), fault(n) as countdown:
            if poller is None:
                poller = await world.poller()
                await poller.poll()
            else:
                await second_poll(world, poller)
        assert "failed" not in (await world.states()).values()
        if restart or poller is None:
            poller = await world.poller()
        if at_first:
            # Only what this poll finds tells the earlier bytes of the file that changes.
            await poller.poll(full=True)
        await second_poll(world, poller)
        assert await content(world.database) == expected, n
        assert world.archived() == {**AWARDED, **FILES}
        assert world.leftovers() == []
        statements = world.database.statements
        assert (await poller.poll(full=True)).fetched == 0
        assert world.database.statements == statements
        if not countdown.failed:
            return n


def every(stride: int) -> pytest.MarkDecorator:
    """Some places in a usual run, every one in a long run."""
    long = [pytest.mark.long, pytest.mark.timeout(3600)]
    whole = pytest.param(1, id="every place", marks=long)
    return pytest.mark.parametrize("stride", [pytest.param(stride, id="some places"), whole])


restarts = pytest.mark.parametrize("restart", [False, True], ids=["same process", "restart"])
firsts = pytest.mark.parametrize("at_first", [False, True], ids=["later poll", "first poll"])


@restarts
@firsts
@every(19)
async def test_after_any_statement_failed_a_clean_run_gives_the_same(
    world: World, restart: bool, at_first: bool, stride: int
) -> None:
    places = await check_until_untouched(
        world, restart, lambda n: failing_statement(world.database, n), at_first, stride
    )
    assert places > 30


@restarts
@firsts
@every(9)
async def test_after_any_disk_call_failed_a_clean_run_gives_the_same(
    world: World, restart: bool, at_first: bool, stride: int
) -> None:
    places = await check_until_untouched(world, restart, lambda n: failing_disk(world.attic, n), at_first, stride)
    assert places > 10


async def test_players_of_a_batch_that_was_rolled_back_are_nobody_elses(world: World) -> None:
    """The numbers that they had go to the next ones who come; who remembers them would mix people up."""
    lost, others = ([*evenings_of_play(seed, rounds=2).items()] for seed in (22, 23))
    importer = Importer(world.database, world.rules, world.clock)
    server = await importer.server(world.name, world.zone)

    async def take(files: list[tuple[str, bytes]]) -> None:
        await importer.import_files(server, [Incoming(name, data) for name, data in files])

    with failing_commit(world.database), pytest.raises(OperationalError):
        await take(lost)
    assert await world.states() == {}
    await take(others)
    await take(lost)
    assert await facts(world.database, world.name) == await facts_at_once(world, dict(lost + others))


@contextmanager
def failing_commit(database: Database) -> Iterator[None]:
    """Let the next commit fail."""
    countdown = Countdown(1, lambda: OperationalError("commit", {}, Exception("disk I/O error")))
    event.listen(database.engine.sync_engine, "commit", countdown)
    try:
        yield
    finally:
        event.remove(database.engine.sync_engine, "commit", countdown)


@contextmanager
def failing_read(world: World, files: Files, n: int) -> Iterator[Countdown]:
    """Cut the connection within the nth file."""
    faults = simulated(world).faults
    countdown = Countdown(1, lambda: Exception("unused"))
    sizes = sorted(len(data) for data in files.values())
    faults.drop_after = sum(sizes[:n]) - 1 if n <= len(sizes) else None
    due = faults.drop_after is not None
    try:
        yield countdown
    finally:
        if due and faults.drop_after is None:
            countdown.left = 0
        faults.drop_after = None


@restarts
@every(4)
async def test_after_the_connection_broke_at_any_file_a_clean_run_gives_the_same(
    world: World, restart: bool, stride: int
) -> None:
    places = await check_until_untouched(
        world, restart, lambda n: failing_read(world, {**AWARDED, **FILES}, n), at_first=True, stride=stride
    )
    assert places > len(FILES)
