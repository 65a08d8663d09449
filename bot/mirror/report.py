"""What a comparison of one destination with what is here found and did."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SAMPLES = 5


class Ended(StrEnum):
    """How a comparison ended."""

    DONE = "done"
    PAUSED = "paused"
    WAITING = "waiting"  # put off after failures; a person who asks is not made to wait
    BUSY = "busy"  # another process copies there
    FAILED = "failed"


@dataclass(slots=True)
class CycleReport:
    """What one cycle, or one emptying of the queue, did at one destination.

    Attributes:
        destination: its name.
        ended: how.
        listed: objects in the listing; None where there was none, or it failed: then nothing was concluded.
        listed_bytes: their size.
        in_sync: files that are here and there, each counted once; neither way did anything for them.
        uploaded: names (SERVER/FILE) of what went up.
        downloaded: of what came down and was imported.
        replaced: of what went up in place of another object, which is kept beside it.
        missing: of what two listings in a row did not show although it was there; sent again.
        unsure: how many files the listing did not show for the first time; nothing is concluded yet.
        differs: names of files that are there with other bytes.
        failed: names of what did not go up or come down, with the reason.
        excluded: how many files a rule keeps away.
        foreign: how many listed objects are no copies of ours.
        foreign_names: a few of them, fit to be shown.
        kept: how many replaced copies are kept beside theirs.
        postponed: files to bring down that wait, because another process polls their game server.
        pending: files still to be sent.
        error: why it failed, in a sentence with the way out; None where it did not.
        error_code: the same for programs.
        busy_with: who copies there, for `BUSY`.
        seconds: how long it took.
    """

    destination: str
    ended: Ended = Ended.DONE
    listed: int | None = None
    listed_bytes: int | None = None
    in_sync: int = 0
    uploaded: list[str] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unsure: int = 0
    differs: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    excluded: int = 0
    foreign: int = 0
    foreign_names: list[str] = field(default_factory=list)
    kept: int = 0
    postponed: int = 0
    pending: int = 0
    error: str | None = None
    error_code: str | None = None
    busy_with: str | None = None
    seconds: float = 0.0

    @property
    def skipped_upload(self) -> int:
        """Files here that did not go up, because they are there."""
        return self.in_sync

    @property
    def skipped_download(self) -> int:
        """Objects there that did not come down, because they are here: the same files, seen from the other side."""
        return self.in_sync

    @property
    def all_in_sync(self) -> bool:
        """True where a listing was compared and nothing was to do, nor is anything wrong."""
        return (
            self.ended is Ended.DONE
            and self.listed is not None
            and not (self.uploaded or self.downloaded or self.replaced or self.missing or self.differs or self.failed)
            and not (self.unsure or self.postponed or self.pending)
        )

    @property
    def wrong(self) -> bool:
        """True where a person should look."""
        return self.ended in (Ended.FAILED, Ended.BUSY) or bool(self.differs or self.failed or self.missing)

    @property
    def summary(self) -> str:
        """The line that the log and the command line show."""
        if self.ended is not Ended.DONE:
            return f"{self.ended.value}: {self.error or self.busy_with or ''}".rstrip(": ")
        if self.all_in_sync:
            return f"all in sync ({self.in_sync:,} files)"
        parts = [
            f"{len(self.downloaded):,} downloaded",
            f"{len(self.uploaded):,} uploaded",
            f"{self.in_sync:,} skipped",
        ]
        parts += [
            f"{count:,} {word}"
            for count, word in (
                (len(self.replaced), "replaced"),
                (len(self.differs), "differ"),
                (len(self.missing), "were missing"),
                (self.unsure, "not listed this once"),
                (self.postponed, "to come down later"),
                (len(self.failed), "failed"),
                (self.pending, "pending"),
            )
            if count
        ]
        return ", ".join(parts)
