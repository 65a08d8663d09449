"""What happens in this process, told to whoever wants to know. Nobody who listens is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from bot.ingest.poll import PollReport
from bot.mirror.report import CycleReport

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(slots=True)
class Events:
    """Lists of listeners. One that fails is logged, and holds up neither the others nor what they listen to.

    Attributes:
        polled: told of every poll that ended.
        brought: told of those polls that did something: imported a file, or could not.
        poll_failed: told of the game server's name and of why a poll did not end.
        copied: told of every comparison with a destination that ended, however it ended.
    """

    polled: list[Callable[[PollReport], object]] = field(default_factory=list)
    brought: list[Callable[[PollReport], object]] = field(default_factory=list)
    poll_failed: list[Callable[[str, BaseException], object]] = field(default_factory=list)
    copied: list[Callable[[CycleReport], object]] = field(default_factory=list)

    def tell_polled(self, report: PollReport) -> None:
        """Tell of a poll."""
        self._tell(self.polled, report)
        if report.outcomes or report.problems:
            self._tell(self.brought, report)

    def tell_poll_failed(self, server: str, error: BaseException) -> None:
        """Tell of a poll that failed."""
        for listener in self.poll_failed:
            _heard(partial(listener, server, error))

    def tell_copied(self, report: CycleReport) -> None:
        """Tell of a comparison with a destination."""
        self._tell(self.copied, report)

    def _tell(self, listeners: list[Callable[[T], object]], what: T) -> None:
        for listener in listeners:
            _heard(partial(listener, what))


def _heard(tell: Callable[[], object]) -> None:
    try:
        tell()
    except Exception:
        log.exception("a listener failed")
