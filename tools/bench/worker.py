"""Our side of each comparison, one task to a process of its own: `python -m tools.bench.worker TASK JSON`.

A process for each run gives each its own peak of memory and no warm caches from the run before. What has to be there
first is made before the clock starts. The answer is one line of JSON on stdout: `seconds` by the wall, `cpu` seconds of
all threads, `memory` in MiB at the peak of the whole process, and what else the task has to tell.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
import os
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tools.bench.web_worker import many_rounds, web_pages

Answer = dict[str, float]

ZONE = "Europe/Berlin"

_STAMP, _NUMBER = len("2025-01-01-200000-"), len("-round-1.txt")


class Stopwatch:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Answer:
        """Return what has passed."""
        return {"seconds": time.perf_counter() - self._wall, "cpu": time.process_time() - self._cpu}


def peak_memory() -> float:
    """Return the most memory this process ever held, in MiB."""
    # ru_maxrss of a child begins with what its parent held when it was started; the kernel's own mark does not.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 if sys.platform != "darwin" else 1024 * 1024)


# ---------------------------------------------------------------------- fetching


def _game_server(at: dict[str, Any]) -> Any:
    from bot.ingest.game_server import GameServer
    from bot.ingest.ssh_login import ServerAddress
    from parsers import is_stats_file_name

    address = ServerAddress(
        host="127.0.0.1",
        port=at["port"],
        user=at["user"],
        folder=at["folder"],
        known_hosts=Path(at["known_hosts"]),
        key_path=Path(at["key"]),
    )
    return GameServer(address, name_filter=is_stats_file_name)


async def fetch(*, at: dict[str, Any], target: str) -> Answer:
    """Connect, list, fetch everything and write it."""
    server = _game_server(at)
    folder, number = Path(target), 0
    watch = Stopwatch()
    async with server:
        listing = await server.listing()
        async with contextlib.aclosing(server.fetch(listing.files)) as results:
            async for result in results:
                (folder / result.file.name).write_bytes(result.data)
                number += 1
        answer = watch.read()
    return answer | {"files": number}


async def fetch_bare(*, at: dict[str, Any], target: str, in_flight: int) -> Answer:
    """The same with asyncssh's own client in its fastest way: what our fetching is held against."""
    import asyncssh

    folder, number = Path(target), 0
    watch = Stopwatch()
    async with (
        asyncssh.connect(
            "127.0.0.1",
            at["port"],
            username=at["user"],
            client_keys=[at["key"]],
            agent_path=None,
            known_hosts=at["known_hosts"],
            config=None,
            encryption_algs=["aes128-gcm@openssh.com"],
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        listed = [
            (str(entry.filename), entry.attrs.size or 0)
            async for entry in sftp.scandir(at["folder"])
            if str(entry.filename).endswith(".txt")
        ]
        left = iter(listed)

        async def work() -> None:
            nonlocal number
            for name, size in left:
                file = await sftp.open(f"{at['folder']}/{name}", "rb", block_size=0)
                data: Any = await file.read(size)  # bytes, for a file opened as such
                await file.close()
                (folder / name).write_bytes(data)
                number += 1

        await asyncio.gather(*(work() for _ in range(in_flight)))
        answer = watch.read()
    return answer | {"files": number}


async def listing(*, at: dict[str, Any]) -> Answer:
    """Connect and list."""
    server = _game_server(at)
    watch = Stopwatch()
    async with server:
        found = await server.listing()
        answer = watch.read()
    return answer | {"files": len(found.files)}


# ---------------------------------------------------------------------- parsing


def _round_files(folder: str) -> list[tuple[str, bytes]]:
    """Return name and contents of every round file of a folder, in order."""
    return [(path.name, path.read_bytes()) for path in sorted(Path(folder).glob("*-round-[12].txt"))]


async def parse(*, folder: str) -> Answer:
    """Parse every round 1, then make the numbers of every round 2 with its round 1, all in memory."""
    from parsers import derive_round, parse_round_file

    contents = _round_files(folder)
    first = {name: data for name, data in contents if name.endswith("-round-1.txt")}
    second = {name: data for name, data in contents if name.endswith("-round-2.txt")}
    watch = Stopwatch()
    parsed = {name: parse_round_file(data, name) for name, data in first.items()}
    round_1 = watch.read()
    # The last round 1 before each round 2, if it is of the same map: near enough for measuring.
    names = list(first)
    before = {name: names[at - 1] for name in second if (at := bisect.bisect(names, name))}
    pairs = [(name, one) for name, one in before.items() if one[_STAMP:-_NUMBER] == name[_STAMP:-_NUMBER]]
    watch = Stopwatch()
    for name, one in pairs:
        derive_round(parse_round_file(second[name], name), parsed[one], number=2)
    round_2 = watch.read()
    cpu, files = round_1["cpu"] + round_2["cpu"], len(first) + len(pairs)
    of_1, of_2 = round_1["cpu"] / max(1, len(first)), round_2["cpu"] / max(1, len(pairs))
    return {"seconds": of_1, "round_2": of_2, "mean": cpu / max(1, files), "round_2_of_1": of_2 / of_1, "cpu": cpu}


async def read_files(*, folder: str) -> Answer:
    """Read every file and cut it into lines and fields: what no parser in Python can do without."""
    contents = _round_files(folder)
    watch = Stopwatch()
    for _, data in contents:
        for line in data.decode("utf-8", "replace").split("\n"):
            [int(field) for field in line.split() if field.isdigit()]
    answer = watch.read()
    return {"seconds": answer["cpu"] / max(1, len(contents)), "cpu": answer["cpu"], "files": len(contents)}


# ---------------------------------------------------------------------- importing


class _Statements:
    """Counts what is sent to a database, without the words around a transaction."""

    def __init__(self, database: Any) -> None:
        from sqlalchemy import event

        self.number = 0
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            self.number += 1


async def _poller(database: Any, archive: str, source: Any = None, *, new: bool = False) -> Any:
    """Return the poller of one game server, not started; where the database is new, its tables are made first."""
    from bot.ingest.archive import Archive
    from bot.ingest.importer import Importer
    from bot.ingest.ledger import Ledger
    from bot.ingest.poll import Poller
    from bot.ingest.rules import CountingRules

    if new:
        from bot.db import migrate  # it takes memory, which is measured

        await migrate.upgrade(database)
    importer = Importer(database, CountingRules())
    server = await importer.server("main", ZONE)
    if new:
        await importer.apply_rules()
    folder = Archive(Path(archive))
    return Poller(server, source, folder, Ledger(database, server, folder), importer)


async def import_archive(*, url: str, archive: str) -> Answer:
    """Start on an archive full of files that an empty database has never seen: read, parse and import them all."""
    from bot.db.engine import Database

    database = Database(url)
    try:
        poller = await _poller(database, archive, new=True)
        statements = _Statements(database)
        watch = Stopwatch()
        _, report = await poller.start()
        answer = watch.read()
    finally:
        await database.close()
    files = sum(report.outcomes.values())
    return answer | {"files": files, "statements": statements.number / max(1, files)} | _per_file(answer, files)


def _per_file(answer: Answer, files: int) -> Answer:
    return {f"{key}_per_file": answer[key] / max(1, files) for key in ("seconds", "cpu")}


async def _all_rows(url: str) -> list[tuple[Any, list[tuple[Any, ...]]]]:
    from sqlalchemy import select

    from bot.db.engine import Database
    from bot.db.schema import metadata

    database = Database(url)
    try:
        async with database.read() as connection:
            return [
                (table, [tuple(row) for row in (await connection.execute(select(table))).all()])
                for table in metadata.sorted_tables
            ]
    finally:
        await database.close()


async def _empty_database(url: str) -> None:
    from bot.db import migrate
    from bot.db.engine import Database

    database = Database(url)
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()


async def floor_sqlite(*, source: str, target: str) -> Answer:
    """Insert the rows of one database into another with nothing but Python's sqlite3: the limit of an import."""
    tables = await _all_rows(f"sqlite+aiosqlite:///{source}")
    await _empty_database(f"sqlite+aiosqlite:///{target}")
    rows = 0
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")
        watch = Stopwatch()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA defer_foreign_keys=ON")
        for table, values in tables:
            if values:
                marks = ", ".join("?" * len(values[0]))
                connection.executemany(f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})", values)  # noqa: S608
                rows += len(values)
        connection.execute("COMMIT")
        answer = watch.read()
    return answer | {"rows": rows}


async def floor_postgres(*, source: str, url: str) -> Answer:
    """Send the rows of a SQLite database to PostgreSQL with COPY: the limit of an import."""
    import asyncpg
    from sqlalchemy.engine import make_url

    tables = await _all_rows(f"sqlite+aiosqlite:///{source}")
    await _empty_database(url)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    rows = 0
    try:
        watch = Stopwatch()
        async with connection.transaction():
            for table, values in tables:
                if values:
                    columns = [column.name for column in table.columns]
                    await connection.copy_records_to_table(table.name, records=values, columns=columns)
                    rows += len(values)
        answer = watch.read()
    finally:
        await connection.close()
    return answer | {"rows": rows}


async def backlog(*, at: dict[str, Any], url: str, archive: str) -> Answer:
    """From an empty database and an empty archive to everything that lies on the server."""
    from bot.db.engine import Database

    database = Database(url)
    try:
        poller = await _poller(database, archive, _game_server(at), new=True)
        watch = Stopwatch()
        await poller.start()
        report = await poller.poll()
        answer = watch.read()
        await poller.close()
    finally:
        await database.close()
    files = sum(report.outcomes.values())
    return answer | {"files": files} | _per_file(answer, files)


# ---------------------------------------------------------------------- polling


async def ledger_of(*, url: str, folder: str) -> Answer:
    """Make a database whose ledger knows every file of a folder as imported, with size and time as SFTP lists them."""
    from bot.db import migrate
    from bot.db.engine import Database, bulk_insert
    from bot.db.schema import processed_files
    from bot.ingest.importer import Importer
    from bot.ingest.rules import CountingRules
    from parsers import PARSER_VERSION

    database = Database(url)
    try:
        await migrate.upgrade(database)
        server = await Importer(database, CountingRules()).server("main", ZONE)
        rows = []
        for name, size, now in _sizes_and_times(folder):
            rows.append((server.id, name, "imported", size, now, 0, now, now, now, PARSER_VERSION))
        columns = ("server_id", "name", "state", "size", "remote_mtime", "tries", "first_seen_at", "fetched_at")
        async with database.write() as connection:
            await bulk_insert(connection, processed_files, (*columns, "imported_at", "parser_version"), rows)
    finally:
        await database.close()
    return {"files": len(rows)}


def _sizes_and_times(folder: str) -> list[tuple[str, int, int]]:
    found = [(path.name, path.stat()) for path in sorted(Path(folder).iterdir())]
    return [(name, status.st_size, int(status.st_mtime)) for name, status in found]


async def poll_known(*, at: dict[str, Any], url: str, archive: str, warm: int) -> Answer:
    """Poll a server whose every file is known: after a restart, again, and with the folder's time standing still.

    `cold`, `warm` and `still` are CPU seconds of ours besides the listing (for `still`, where there is none, of the
    whole poll). `start` is what comes before the first poll of a process: the ledger and a look through the archive. Of
    the repeated ones, the median.
    """
    from bot.db.engine import Database

    database = Database(url)
    answer: Answer = {}
    try:
        source = _game_server(at)
        await source.connect()
        listed: list[float] = []
        list_folder = source.listing

        async def timed_listing() -> Any:
            before = time.process_time()
            found = await list_folder()
            listed.append(time.process_time() - before)
            return found

        source.listing = timed_listing
        poller = await _poller(database, archive, source)
        statements = _Statements(database)

        async def measured(work: Callable[[], Awaitable[Any]]) -> tuple[float, float, int]:
            listed.clear()
            asked, wall, cpu = statements.number, time.perf_counter(), time.process_time()
            await work()
            spent = time.process_time() - cpu - sum(listed)
            return spent, time.perf_counter() - wall, statements.number - asked

        # The start looks through the archive as well, which is told apart: it reads the ledger a second time here.
        loading, _, asked = await measured(poller.ledger.load)
        answer["start"], _, _ = await measured(poller.start)
        first, _, asked_then = await measured(lambda: poller.poll(full=True))
        answer["cold"], answer["cold_queries"] = loading + first, asked + asked_then
        runs = [await measured(lambda: poller.poll(full=True)) for _ in range(warm)]
        answer["warm"] = statistics.median(run[0] for run in runs)
        answer["warm_wall"] = statistics.median(run[1] for run in runs)
        answer["warm_queries"] = max(run[2] for run in runs)
        # A folder's time says nothing before it has stood still for two seconds.
        await asyncio.sleep(2.2)
        await poller.poll(full=True)
        runs = [await measured(poller.poll) for _ in range(3 * warm)]
        answer["still"] = statistics.median(run[0] for run in runs)
        answer["still_wall"] = statistics.median(run[1] for run in runs)
        answer["files"] = len(poller.ledger.memory)
        await poller.close()
    finally:
        await database.close()
    return answer


# ---------------------------------------------------------------------- copies


def _s3(at: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a bucket, with its key in the environment, where destinations look for it."""
    os.environ["BENCH_KEY_ID"], os.environ["BENCH_SECRET"] = at["key_id"], at["secret"]
    return {
        "kind": "s3",
        "bucket": at["bucket"],
        "endpoint": at["endpoint"],
        "region": "us-east-1",
        "addressing": "path",
        "access_key_env": "BENCH_KEY_ID",
        "secret_key_env": "BENCH_SECRET",
    }


async def mirror_cycle(
    *, url: str, archive: str, at: dict[str, Any], prefixes: list[str], engine: str, cycles: int
) -> Answer:
    """Run cycles of one destination for each prefix, all at once and with open clients; the last cycle counts."""
    from bot.db.engine import Database
    from bot.log import configure_logging
    from bot.mirror.copy import Copier
    from bot.mirror.mirrors import Mirrors
    from bot.mirror.settings import Destination

    configure_logging("warning")
    database = Database(url)
    try:
        pollers = {"main": await _poller(database, archive)}
        copiers = []
        for prefix in prefixes:
            settings = Destination(name=prefix, prefix=prefix, engine=engine, **_s3(at))
            copiers.append(Copier(settings, database, pollers))
            await copiers[-1].store()
        mirrors = Mirrors(copiers, pollers)
        for _ in range(cycles):
            watch = Stopwatch()
            reports = await mirrors.cycle()
            if any(report.failed for report in reports):
                # `rclone serve s3` sometimes answers 500 where several requests make the same folder.
                for report, again in zip(reports, await mirrors.drain(asked=True), strict=True):
                    report.failed = again.failed
                    report.uploaded += again.uploaded
            answer = watch.read()
        for copier in copiers:
            await copier.close()
    finally:
        await database.close()
    if any(report.error or report.failed for report in reports):
        raise RuntimeError(f"it did not work: {[report.error or report.failed for report in reports]}")
    files = sum(report.in_sync + len(report.uploaded) for report in reports)
    return answer | {"files": files}


async def list_bare(*, at: dict[str, Any], prefix: str, engine: str) -> Answer:
    """List a prefix with a library alone, its client open and used once before."""
    found = 0
    if engine == "obstore":
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            at["bucket"],
            endpoint=at["endpoint"],
            region="us-east-1",
            access_key_id=at["key_id"],
            secret_access_key=at["secret"],
            client_options={"allow_http": True},
        )
        await obstore.list(store, prefix="nothing-here/").collect_async()
        watch = Stopwatch()
        async for page in obstore.list(store, prefix=prefix, chunk_size=1000):
            found += len(page)
        return watch.read() | {"files": found}
    import aioboto3
    from botocore.config import Config

    session = aioboto3.Session(aws_access_key_id=at["key_id"], aws_secret_access_key=at["secret"])
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    async with session.client("s3", endpoint_url=at["endpoint"], region_name="us-east-1", config=config) as client:
        await client.list_objects_v2(Bucket=at["bucket"], Prefix="nothing-here/")
        watch = Stopwatch()
        async for page in client.get_paginator("list_objects_v2").paginate(Bucket=at["bucket"], Prefix=prefix):
            found += len(page.get("Contents", ()))
        return watch.read() | {"files": found}


TASKS: dict[str, Callable[..., Awaitable[Answer]]] = {
    task.__name__: task
    for task in (
        fetch,
        fetch_bare,
        listing,
        parse,
        read_files,
        import_archive,
        floor_sqlite,
        floor_postgres,
        backlog,
        ledger_of,
        poll_known,
        mirror_cycle,
        list_bare,
        many_rounds,
        web_pages,
    )
}


def main() -> None:
    """Do one task and print its answer."""
    name, parameters = sys.argv[1], json.loads(sys.argv[2])

    async def task() -> Answer:
        return await TASKS[name](**parameters)

    answer = asyncio.run(task())
    print(json.dumps(answer | {"memory": peak_memory()}))
    from bot.cli.leaving import leave

    leave(SystemExit(0))


if __name__ == "__main__":
    main()
