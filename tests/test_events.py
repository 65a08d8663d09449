"""Events: everybody who listens is told, and nobody who fails holds up the rest."""

from __future__ import annotations

import structlog

from bot.events import Events
from bot.ingest.importer import Result
from bot.ingest.poll import PollReport


def _report(**changes: object) -> PollReport:
    report = PollReport("main")
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_every_poll_is_told_and_those_that_brought_something_twice() -> None:
    polled: list[PollReport] = []
    brought: list[PollReport] = []
    events = Events(polled=[polled.append], brought=[brought.append])
    quiet, busy, troubled = _report(), _report(), _report(problems=[("a", "torn")])
    busy.outcomes[Result.IMPORTED] = 1
    for report in (quiet, busy, troubled):
        events.tell_polled(report)
    assert polled == [quiet, busy, troubled]
    assert brought == [busy, troubled]


def test_a_listener_that_fails_is_logged_and_the_others_are_told() -> None:
    heard: list[tuple[str, str]] = []

    def broken(_server: str, _error: BaseException) -> None:
        raise ValueError("no")

    events = Events(poll_failed=[broken, lambda server, error: heard.append((server, str(error)))])
    with structlog.testing.capture_logs() as logs:
        events.tell_poll_failed("main", OSError("away"))
    assert heard == [("main", "away")]
    assert [line["event"] for line in logs] == ["a listener failed"]
