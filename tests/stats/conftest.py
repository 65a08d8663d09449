"""What questions about games read from."""

from __future__ import annotations

import pytest

from bot.stats.rollups import EVERY_ROUND, KEPT, Sources


@pytest.fixture(params=[EVERY_ROUND, KEPT], ids=["every round", "kept"])
def sources(request: pytest.FixtureRequest) -> Sources:
    found: Sources = request.param
    return found
