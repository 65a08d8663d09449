"""What each kind of job takes: one model for each, which faces can show and which checks what comes from outside."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Arguments(BaseModel):
    """What every kind of job takes: nothing that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfServer(Arguments):
    """A game server, or all of them."""

    server: str | None = None


class OfDestination(Arguments):
    """A destination, or all of them."""

    destination: str | None = None


class InspectArguments(OfDestination):
    """How far to look."""

    deep: bool = False


class ReconcileArguments(InspectArguments):
    """A dry run writes nothing."""

    dry_run: bool = False


class VerifyArguments(OfDestination):
    """How much to read back."""

    percent: Annotated[float, Field(gt=0, le=100)] = 5.0


class RestoreMissingArguments(OfServer):
    """What the archive misses comes back."""

    dry_run: bool = False


class RetryArguments(OfServer, OfDestination):
    """Failed files of a game server, of a destination, or of all."""

    names: tuple[Annotated[str, Field(max_length=255)], ...] | None = None


class DrillArguments(OfDestination):
    """The way back: `full` restores every file and compares every fact, else the newest snapshot is proven."""

    full: bool = False
