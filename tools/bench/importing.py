"""The comparisons that end in the database: parsing, importing, and a whole backlog from the server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tools.bench.environment import Environment, no_sshd, worker
from tools.bench.material import STANDARD_FILES
from tools.bench.measure import CPU, MEMORY, SECONDS, Comparison, Contender, Metric, Sample, Target

_STATEMENTS = Metric("statements", "statements a file", "")
_PER_FILE = Metric("seconds_per_file", "time a file", "s")
_CPU_PER_FILE = Metric("cpu_per_file", "CPU a file", "s")


def parse(environment: Environment, files: int) -> Comparison:
    """Parse in memory, in CPU time: nothing else of the machine is used."""

    async def ours() -> Sample:
        return await worker("parse", folder=str(environment.material.rounds(files)))

    async def split() -> Sample:
        return await worker("read_files", folder=str(environment.material.rounds(files)))

    return Comparison(
        "parse",
        f"Parse {files:,} round files",
        [Contender("ours", ours), Contender("only cutting lines and fields", split)],
        metrics=(
            Metric("seconds", "round 1, a file", "s"),
            Metric("round_2", "round 2 with its differential", "s"),
            Metric("mean", "any file", "s"),
            MEMORY,
        ),
        targets=(
            Target("≤ 200 µs a file, both rounds together", metric="mean", most=200e-6),
            Target("round 2 ≤ 2 of round 1", metric="round_2_of_1", most=2),
        ),
    )


class _Reference:
    """The rows that both floors insert: those of our own import, made once."""

    def __init__(self, environment: Environment, files: int) -> None:
        self.environment = environment
        self.files = files
        self._path: Path | None = None

    async def path(self) -> Path:
        """Return the SQLite database."""
        if self._path is None:
            path = self.environment.work / f"reference-{self.files}.db"
            await worker("import_archive", url=f"sqlite+aiosqlite:///{path}", archive=str(self.archive))
            self._path = path
        return self._path

    @property
    def archive(self) -> Path:
        """The files."""
        return self.environment.material.rounds(self.files)


async def _sqlite(environment: Environment, files: int) -> Sample:
    with environment.scratch() as folder:
        return await worker(
            "import_archive",
            url=f"sqlite+aiosqlite:///{folder / 'ours.db'}",
            archive=str(environment.material.rounds(files)),
        )


async def _postgres(environment: Environment, files: int) -> Sample:
    async with environment.postgres_database() as url:
        return await worker("import_archive", url=url, archive=str(environment.material.rounds(files)))


async def _floor_sqlite(environment: Environment, reference: _Reference) -> Sample:
    source = await reference.path()
    with environment.scratch() as folder:
        return await worker("floor_sqlite", source=str(source), target=str(folder / "floor.db"))


async def _floor_postgres(environment: Environment, reference: _Reference) -> Sample:
    source = await reference.path()
    async with environment.postgres_database() as url:
        return await worker("floor_postgres", source=str(source), url=url)


async def imports(environment: Environment, files: int, *, whole: bool) -> list[Comparison]:
    """Import archived files into both databases, and see whether a file's cost grows with their number."""
    reference = _Reference(environment, files)
    standard = files == STANDARD_FILES
    metrics = (SECONDS, CPU, MEMORY, _STATEMENTS)
    no_postgres = await environment.postgres()
    sizes = [files, 3 * files, *([9 * files] if whole else [])]

    def of_size(number: int) -> str:
        return f"{number:,} files"

    return [
        Comparison(
            "import-sqlite",
            f"Import {files:,} archived files into SQLite",
            [
                Contender("ours", partial(_sqlite, environment, files)),
                Contender("the same rows, bare sqlite3", partial(_floor_sqlite, environment, reference)),
            ],
            metrics=metrics,
            targets=(
                Target("≤ 4 s", most=4, when=standard),
                Target("peak memory ≤ 150 MiB", metric="memory", most=150, when=files >= STANDARD_FILES),
            ),
        ),
        Comparison(
            "import-postgres",
            f"Import {files:,} archived files into PostgreSQL",
            [
                Contender("ours", partial(_postgres, environment, files), no_postgres),
                Contender("the same rows, COPY", partial(_floor_postgres, environment, reference), no_postgres),
            ],
            metrics=metrics,
            targets=(
                Target("≤ 6 s", most=6, when=standard),
                Target("peak memory ≤ 150 MiB", metric="memory", most=150, when=files >= STANDARD_FILES),
            ),
        ),
        Comparison(
            "import-growth",
            "Does a file cost more when there are more of them? Import into SQLite",
            [Contender(of_size(number), partial(_sqlite, environment, number)) for number in reversed(sizes)],
            metrics=(_CPU_PER_FILE, _PER_FILE, SECONDS, MEMORY, _STATEMENTS),
            targets=(
                Target(
                    f"at {of_size(sizes[-1])} ≤ 1.2 of the cost at {of_size(files)}",
                    metric="cpu_per_file",
                    most=1.2,
                    against=(of_size(files),),
                    when=files >= STANDARD_FILES,
                ),
                Target("peak memory ≤ 150 MiB", metric="memory", most=150, when=files >= STANDARD_FILES),
            ),
            runs=3,
        ),
    ]


async def backlog(environment: Environment, files: int) -> Comparison:
    """From the server into the database, and the two halves of that each alone."""
    title = f"Backlog of {files:,} files, from the server into SQLite, loopback"
    if (why := no_sshd()) is not None:
        return Comparison("backlog", title, [Contender("ours", None, why)])
    at = await environment.near()

    async def ours() -> Sample:
        source = environment.material.rounds(files)
        with environment.scratch() as folder:
            return await worker(
                "backlog",
                at=at.parameters(source),
                url=f"sqlite+aiosqlite:///{folder / 'ours.db'}",
                archive=str(folder / "local_stats"),
            )

    async def one_after_the_other() -> Sample:
        source = environment.material.rounds(files)
        with environment.scratch() as folder:
            first = await worker("fetch", at=at.parameters(source), target=str(folder))
        second = await _sqlite(environment, files)
        alone = {"fetching": first["seconds"], "importing": second["seconds"]}
        return {key: first[key] + second[key] for key in ("seconds", "cpu")} | alone

    return Comparison(
        "backlog",
        title,
        [
            Contender("ours", ours),
            Contender("fetching, then importing", one_after_the_other),
        ],
        metrics=(
            SECONDS,
            CPU,
            MEMORY,
            Metric("fetching", "fetching alone", "s"),
            Metric("importing", "importing alone", "s"),
        ),
        targets=(
            Target("≤ 6 s", most=6, when=files == STANDARD_FILES),
            Target("peak memory ≤ 150 MiB", metric="memory", most=150, when=files >= STANDARD_FILES),
        ),
        note="The importer that communities of this game use takes 454 s for 3,253 files on a machine of this kind.",
    )
