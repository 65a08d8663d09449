"""The real rounds that lie beside the project, for the tests that compare with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parsers.real_files import RealRounds


@pytest.fixture(scope="session")
def real_rounds(real_rounds_folder: Path) -> RealRounds:
    return RealRounds(real_rounds_folder)
