"""When something counts as late or wrong, and whom to tell: `[health]` and `[alerts]` of the TOML file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.config import ConfigError, Settings
from bot.health.findings import Thresholds

DAY = 86400

Seconds = Annotated[int, Field(ge=0, le=3650 * DAY)]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a place stops being green. All in seconds.

    Attributes:
        grace: a failure that is over by then is nothing to be red about.
        source: age of a game server's last answered poll.
        listing: age of a destination's last whole listing.
        pending: age of the oldest file that waits to be copied.
        verified: age within which every copy is to be read back once.
        check: age of the last comparison of ledger and listing; 0: it need not be made at all.
        overdue: age at which a new file should have been imported.
        growing: age at which a file should have been complete.
    """

    grace: int = 900
    source: int = 1020
    listing: int = 2700
    pending: int = 3600
    verified: int = 40 * DAY
    check: int = 2 * DAY
    overdue: int = 900
    growing: int = 3600


class HealthSettings(BaseModel):
    """The `[health]` table. Seconds, unless it says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grace: Annotated[Seconds, Field(description="a failure that is over by then is nothing to be red about")] = 900
    source_limit: Annotated[
        Seconds | None,
        Field(description="age of a game server's last answered poll; not given: two polls and the grace"),
    ] = None
    listing_limit: Annotated[
        Seconds | None,
        Field(description="age of a destination's last listing; not given: two intervals and the grace"),
    ] = None
    pending_limit: Annotated[Seconds, Field(description="age of the oldest file that waits to be copied")] = 3600
    verify_limit: Annotated[Seconds, Field(description="every copy is to be read back once within so long")] = 40 * DAY
    check_limit: Annotated[
        Seconds, Field(description="age of the last comparison of ledger and listing; 0: it need not be made")
    ] = 2 * DAY
    listing_deadline: Annotated[
        float, Field(gt=0, le=600, description="how long `diagnose` waits for a destination's listing")
    ] = 20.0
    large_gap: Annotated[
        int, Field(ge=1, description="files with one cause from which on it is said that they are many at once")
    ] = 100
    recent: Annotated[Seconds, Field(description="a missing file this young says that the cause is still at work")] = (
        7 * DAY
    )
    dropped: Annotated[int, Field(ge=0, description="rows that processed_files may lose between two looks")] = 0
    overdue: Annotated[Seconds, Field(description="after which a new file should have been imported")] = 900
    growing_too_long: Annotated[Seconds, Field(description="after which a file should have been complete")] = 3600

    @property
    def thresholds(self) -> Thresholds:
        """What a diagnosis of a game server goes by."""
        return Thresholds(
            large_gap=self.large_gap,
            recent=self.recent,
            dropped=self.dropped,
            overdue=self.overdue,
            growing_too_long=self.growing_too_long,
        )

    def limits(self, poll_interval: int, mirror_interval: int) -> Limits:
        """Return what the colours go by, where polls and listings come that often (seconds)."""
        listing = self.listing_limit if self.listing_limit is not None else 2 * mirror_interval + self.grace
        return Limits(
            grace=self.grace,
            source=self.source_limit if self.source_limit is not None else 2 * poll_interval + self.grace,
            listing=listing,
            pending=self.pending_limit,
            verified=self.verify_limit,
            check=self.check_limit,
            overdue=self.overdue,
            growing=self.growing_too_long,
        )


class AlertSettings(BaseModel):
    """The `[alerts]` table. Addresses are secrets: here stand only the names of the variables that hold them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: Annotated[bool, Field(description="write incidents into the log")] = True
    webhook_url_env: Annotated[str, Field(description="variable with the address that incidents are posted to")] = ""
    webhook_format: Annotated[
        Literal["auto", "discord", "json"], Field(description="auto: discord where the address is Discord's")
    ] = "auto"
    heartbeat_url_env: Annotated[
        str, Field(description="variable with a Healthchecks-type address that is called while all is well")
    ] = ""
    heartbeat_interval: Annotated[int, Field(ge=10, le=DAY, description="seconds between two calls")] = 300
    failures: Annotated[
        int, Field(ge=1, le=1000, description="tries in a row that have to fail before people are told")
    ] = 3
    sightings: Annotated[
        int, Field(ge=1, le=100, description="looks in a row that have to see anything else that is wrong")
    ] = 2
    settle: Annotated[
        Seconds, Field(description="how long it has to be well before it is over; doubles while it comes and goes")
    ] = 300
    reminder: Annotated[int, Field(ge=300, le=30 * DAY, description="seconds between two reminders")] = DAY
    most_per_hour: Annotated[
        int, Field(ge=1, le=1000, description="messages to one place in an hour; what is more is put together")
    ] = 20
    timeout: Annotated[float, Field(gt=0, le=60, description="seconds for one request")] = 10.0

    @field_validator("webhook_url_env", "heartbeat_url_env")
    @classmethod
    def _name_of_a_variable(cls, value: str) -> str:
        # An address put here by mistake must not be repeated in the message.
        if value and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value) is None:
            raise ValueError("give the name of an environment variable, not the address itself")
        return value

    def address(self, variable: str) -> str | None:
        """Return the address that a variable holds; None where none is named.

        Raises:
            ConfigError: the variable is not set.
        """
        if not variable:
            return None
        value = os.environ.get(variable, "").strip()
        if not value:
            raise ConfigError(f"[alerts]: the environment variable {variable} is not set; set it, or take its name out")
        return value


def health_settings(settings: Settings) -> HealthSettings:
    """Return the `[health]` table.

    Raises:
        ConfigError: the TOML file says something that is not right.
    """
    return settings.table("health", HealthSettings)


def alert_settings(settings: Settings) -> AlertSettings:
    """Return the `[alerts]` table.

    Raises:
        ConfigError: the TOML file says something that is not right.
    """
    return settings.table("alerts", AlertSettings)
