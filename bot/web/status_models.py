"""The shape of what the API says of the places, for its OpenAPI document. The values come from the services."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Colour = Literal["green", "yellow", "red", "grey", "unknown"]
At = Annotated[int | None, Field(description="unix seconds")]


class Shape(BaseModel):
    """What all of these share: nothing that is not named here is ever in an answer."""

    model_config = ConfigDict(extra="forbid")


class ReasonShape(Shape):
    """Why a place has its colour, and the command that mends it."""

    code: str
    colour: Colour
    text: str
    needs_you: bool
    since: At
    do: str | None


class VerdictShape(Shape):
    """A colour with its reasons."""

    colour: Colour
    needs_you: bool
    reasons: list[ReasonShape]


class ListedShape(Shape):
    """Files in a game server's folder."""

    files: int | None
    basis: Literal["listing", "ledger"]
    as_of: At


class SourceLedgerShape(Shape):
    """Files of a game server in the ledger."""

    files: int
    imported: int
    basis: Literal["ledger"]
    as_of: At


class NewestShape(Shape):
    """The round that ended last."""

    ended_at: int
    map_name: str
    number: int


class SourceShape(VerdictShape):
    """One game server."""

    server: str
    last_ok_at: At
    listed: ListedShape
    ledger: SourceLedgerShape
    not_imported: dict[str, int]
    failures: int
    failing_since: At
    error: str | None
    newest_round: NewestShape | None


class CopiesShape(Shape):
    """Copies as the ledger has them."""

    basis: Literal["ledger"]
    as_of: At
    expected: int
    stored: int
    stored_bytes: int
    pending: int
    states: dict[str, int]


class ObjectsShape(Shape):
    """Objects as the last whole listing showed them."""

    basis: Literal["listing"]
    as_of: At
    stale: bool
    objects: int | None
    bytes: int | None
    extra: int | None
    unexamined: int


class CheckShape(Shape):
    """The last comparison of ledger and listing."""

    as_of: At
    seconds: int | None
    causes: dict[str, int]
    unexplained: int


class DestinationShape(VerdictShape):
    """One destination."""

    destination: str
    kind: str
    stale: bool
    ledger: CopiesShape
    listing: ObjectsShape
    check: CheckShape
    verified_from: At
    last_verified_at: At
    oldest_pending_at: At
    last_ok_at: At
    failures: int
    failing_since: At
    error: str | None
    error_code: str | None
    rate_files_per_second: float | None
    eta_seconds: Annotated[list[float] | None, Field(description="the earliest and the latest end that is likely")]


class StatusShape(Shape):
    """Everything at one glance. Every number says its basis and as of when."""

    taken_at: int
    colour: Colour
    status: Annotated[str, Field(examples=["attention (2 of 5 need you)"])]
    need_you: int
    places: int
    sources: list[SourceShape]
    destinations: list[DestinationShape]


class PublicShape(Shape):
    """What anybody may know: whether it works, and how old that knowledge is."""

    taken_at: int
    colour: Colour
    status: str
    need_you: int
    places: int
    listing_as_of: At
    newest_round_at: At


class TotalShape(Shape):
    """Objects and their bytes."""

    objects: int
    bytes: int


class CostShape(Shape):
    """What a month costs, by the prices of the settings."""

    currency: str
    storage: float | None
    requests: float | None
    total: float | None


class BucketShape(Shape):
    """One bucket: live numbers from looking at it, waiting and failed files from the ledger."""

    destination: str
    kind: str
    basis: Literal["listing"]
    connection: str | None
    checked_at: At
    as_of: At
    stale: bool
    error: str | None
    error_code: str | None
    seconds: float | None
    objects: int | None
    bytes: int | None
    oldest_at: At
    newest_at: At
    prefixes: dict[str, TotalShape] | None
    cost_per_month: CostShape | None
    deep: dict[str, Any] | None
    pending: Annotated[int, Field(description="files that wait, as the ledger has them")]
    failed: Annotated[int, Field(description="files that failed for good, as the ledger has them")]


class FailedCopyShape(Shape):
    """A copy that failed for good, differs, or is not there any more."""

    destination: str
    server: str
    name: str
    state: str
    reason: str | None
    error_code: str | None
    tries: int
    queued_at: int


class FailedFileShape(Shape):
    """A file that was not imported."""

    id: int
    server: str
    name: str
    state: str
    reason: str | None
    tries: int
    next_try_at: At


class FailedShape(Shape):
    """What failed, on either side, from the ledger. `more` tells that there is more than this page shows."""

    as_of: int
    imports: list[FailedFileShape]
    copies: list[FailedCopyShape]
    more: bool


class ProgressShape(Shape):
    """How far a task is; `total` is null where nobody knows."""

    done: int
    total: int | None
    stage: str


class TaskShape(Shape):
    """A task that somebody asked for."""

    id: str
    kind: str
    arguments: dict[str, Any]
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    actor: str
    created_at: int
    started_at: At
    ended_at: At
    progress: ProgressShape
    result: Any
    error: str | None
    resumed_as: str | None
    already: Annotated[bool, Field(description="it was under way already; this request began nothing")]


class AcceptedShape(Shape):
    """A task was taken on; ask its address how far it is."""

    task_id: str
    state: str
    status_url: str
    events_url: str
    already: bool
