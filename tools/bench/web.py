"""The web face: how long each page and each question of the API takes, over the standard database and a large one."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tools.bench.environment import Environment, worker
from tools.bench.material import STANDARD_FILES
from tools.bench.measure import MEMORY, Comparison, Contender, Metric, Sample, Target

LARGE = 200_000
"""Player rounds of the large database."""

LARGEST = 1_000_000
"""The same where there is time: what the targets are about."""

_ASKED = 9
"""How often each page is asked for in one run."""

_METRICS = (
    Metric("seconds", "median page", "s", 4),
    Metric("slowest_page", "slowest page", "s", 4),
    Metric("median_answer", "median answer of the API", "s", 4),
    Metric("slowest_answer", "slowest answer of the API", "s", 4),
    MEMORY,
)


def comparisons(environment: Environment, files: int, *, whole: bool) -> list[Comparison]:
    """Serve a database of `files` rounds, and a large one; both are made once and kept with the material."""
    wanted = LARGEST if whole else LARGE
    return [
        _pages(environment, files, None, f"Web pages over {files:,} rounds", 0.1, judged=files == STANDARD_FILES),
        _pages(environment, files, wanted, f"Web pages over {wanted:,} player rounds", 0.3, judged=whole),
    ]


def _pages(
    environment: Environment, files: int, many: int | None, title: str, limit: float, *, judged: bool
) -> Comparison:
    return Comparison(
        "web" if many is None else f"web-{many}",
        title,
        [Contender("ours", partial(_measure, environment, files, many))],
        metrics=_METRICS,
        targets=(
            Target(f"the slowest page ≤ {limit * 1000:.0f} ms", metric="slowest_page", most=limit, when=judged),
            Target(f"the slowest answer ≤ {limit * 1000:.0f} ms", metric="slowest_answer", most=limit, when=judged),
        ),
        note=f"each asked for {_ASKED} times over HTTP, the client's own time included; of each "
        "the slowest counts. The worker prints each page by itself: python -m tools.bench.worker web_pages",
    )


async def _measure(environment: Environment, files: int, many: int | None) -> Sample:
    database = await _database(environment, files, many)
    return await worker("web_pages", database=str(database), asked=_ASKED)


async def _database(environment: Environment, files: int, many: int | None) -> Path:
    """Return the SQLite database to serve; made when first asked for."""
    folder = environment.material.rounds(files)
    path = folder.parent / f"web-{files}-{many or 'once'}.db"
    if not path.exists():
        made = environment.work / path.name
        url = f"sqlite+aiosqlite:///{made}"
        await worker("import_archive", url=url, archive=str(folder))
        # One copy of nothing leaves the rounds as they are, with their kept sums.
        await worker("many_rounds", url=url, player_rounds=many or 0)
        shutil.move(made, path)
    return path
