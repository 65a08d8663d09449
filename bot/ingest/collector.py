"""Python's search for garbage in cycles, and when it is in the way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for garbage in cycles over a stretch that makes very many objects and hardly a cycle.

    It would look through all of them again and again, for a fifth of an import's time. What is in no cycle is freed at
    once all the same. The stretch has to be short: other tasks of the loop go without the search as well.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
