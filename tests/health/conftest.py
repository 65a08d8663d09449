from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.health.clinic import Clinic, clinic, play
from tests.standins.objectstores import moto_server


@pytest.fixture(scope="session")
def few_rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sixty round files of some evenings."""
    folder = tmp_path_factory.mktemp("few")
    return [folder / name for name in play(folder, 60)]


@pytest.fixture
async def house(tmp_path: Path, few_rounds: list[Path]) -> AsyncIterator[Clinic]:
    """An installation that has brought everything in and lacks nothing."""
    async with clinic(tmp_path, few_rounds) as made:
        await made.poll()
        yield made


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server; every test uses a prefix of its own."""
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url
