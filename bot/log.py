"""Logging: structlog, quiet by default, and with one processor that no secret gets past."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

HIDDEN = "***"


class Scrubber:
    """Replaces known secrets, wherever in an event they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Very short secrets would tear holes into ordinary words.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def __call__(self, _logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Scrub one structlog event."""
        for key, value in event.items():
            event[key] = self.scrub(value)
        return event

    def scrub(self, value: Any) -> Any:
        """Return a value in which no secret is left; containers are walked, anything else is judged by its text."""
        if isinstance(value, bool | int | float) or value is None:
            return value
        if isinstance(value, dict):
            return {key: self.scrub(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return (
                type(value)(self.scrub(item) for item in value)
                if type(value) in (list, tuple)
                else self.scrub(str(value))
            )
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if text != str(value) or not isinstance(value, str) else value


def configure_logging(level: str = "info", form: str = "console", secrets: Iterable[str] = ()) -> None:
    """Set logging up for the process: to stderr, so that stdout stays for answers.

    Args:
        level: debug, info, warning or error.
        form: console for people, json for collectors.
        secrets: texts that must never be logged.
    """
    number = getattr(logging, level.upper())
    renderer: Any
    if form == "json":
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Scrubber(secrets),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # Asked for with every event: whoever puts another stream in its place gets what is logged from then on.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries that log on their own say only what is worth a person's time.
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, force=True)
    # A poll that takes longer than its interval is nothing to warn of; what goes wrong in one is ours to say.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
