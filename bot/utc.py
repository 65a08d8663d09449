"""Moments as text in UTC, for logs, findings and the command line."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_minute(at: float) -> str:
    """Return unix seconds as a date and time to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def utc_second(at: float) -> str:
    """Return unix seconds as a date and time to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
