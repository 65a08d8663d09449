"""When things are done by themselves that nobody asks for: `[schedule]` of the TOML file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bot.cron import Cron


class ScheduleSettings(BaseModel):
    """The `[schedule]` table. What most people set, RECONCILE_SCHEDULE and SNAPSHOT_SCHEDULE, is a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inspect_interval: Annotated[
        int,
        Field(
            ge=0, le=7 * 86400, description="seconds between two looks at the live statistics of a destination; 0 = off"
        ),
    ] = 3600
    verify_schedule: Annotated[Cron, Field(description="when a share of the copies is read back; UTC, or off")] = (
        "30 4 * * *"
    )
    verify_percent: Annotated[
        float, Field(gt=0, le=100, description="how much of them; 2.5 a day comes round in 40 days")
    ] = 2.5
    drill_schedule: Annotated[
        Cron, Field(description="when the newest snapshot is restored elsewhere to prove that it can be; UTC, or off")
    ] = "0 5 * * sun"
    daily_snapshots: Annotated[int, Field(ge=1, le=31, description="snapshots of the database kept of days")] = 7
    weekly_snapshots: Annotated[int, Field(ge=0, le=53, description="and of weeks")] = 4
    monthly_snapshots: Annotated[int, Field(ge=0, le=120, description="and of months")] = 12
