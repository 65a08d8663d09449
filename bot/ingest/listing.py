"""What a game server's stats folder holds: its files, and the entries that are none, however they are made up."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.ingest.remote_file import RemoteFile
from bot.ingest.sftp_session import Attributes, Name, printable

_LONGEST_NAME: Final = 255
_SKIPPED_KEPT: Final = 100
_IGNORED_KEPT: Final = 20

_UNSAFE_NAME = re.compile(rb"[\x00-\x1f\x7f/\\]")


class SkipReason(StrEnum):
    """Why an entry of the folder is no file to fetch, though it looks like one."""

    UNSAFE_NAME = "unsafe name"
    SYMLINK = "symlink"
    FOLDER = "folder"
    FIFO = "fifo"
    SPECIAL = "device or socket"
    TOO_LARGE = "too large"
    NO_ATTRIBUTES = "no type, size or time given"


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """An entry that was passed over. `name` is printable and short, not the name to ask for."""

    name: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Listing:
    """What the stats folder held.

    Attributes:
        files: plain files whose name passed the filter, by name.
        skipped: the first hundred entries that cannot be fetched and should be looked at.
        skipped_total: how many such entries there are.
        ignored_names: entries whose name is not that of a stats file.
        ignored_examples: the first few of those, printable.
        folder_mtime: the folder's own time, taken just before it was read; server's clock, whole seconds.
        settled: whether `folder_mtime` standing still proves that no file was added or removed since. It does not in
            the first two seconds, because the time has whole seconds. It never tells of a file that grew.
        taken_at: when the listing was begun, UTC.
    """

    files: list[RemoteFile]
    skipped: list[SkippedEntry]
    skipped_total: int
    ignored_names: int
    ignored_examples: list[str]
    folder_mtime: int
    settled: bool
    taken_at: datetime


@dataclass(slots=True)
class Entries:
    """Sorts the entries of a folder as they come."""

    name_filter: Callable[[str], bool]
    max_file_bytes: int
    files: dict[str, RemoteFile] = field(default_factory=dict)
    skipped: list[SkippedEntry] = field(default_factory=list)
    skipped_total: int = 0
    ignored_names: int = 0
    ignored_examples: list[str] = field(default_factory=list)

    def add(self, names: list[Name]) -> None:
        """Sort what one answer named."""
        for raw, attributes in names:
            if raw in (b".", b".."):
                continue
            if is_unsafe_name(raw):
                self._skip(raw, SkipReason.UNSAFE_NAME)
                continue
            try:
                name = raw.decode("utf-8")
                wanted = self.name_filter(name)
            except UnicodeDecodeError:
                wanted = False
            if not wanted:
                self.ignored_names += 1
                if len(self.ignored_examples) < _IGNORED_KEPT:
                    self.ignored_examples.append(printable(raw))
                continue
            reason = self._unfit(attributes)
            if reason is not None:
                self._skip(raw, reason)
                continue
            size, _, mtime = attributes
            # Named twice in one listing (it moved while the folder was read): the later word counts.
            self.files[name] = RemoteFile(name, size or 0, mtime or 0)

    def _unfit(self, attributes: Attributes) -> SkipReason | None:
        size, mode, mtime = attributes
        if mode is None or size is None or mtime is None:
            return SkipReason.NO_ATTRIBUTES
        if not stat.S_ISREG(mode):
            return _KINDS.get(stat.S_IFMT(mode), SkipReason.SPECIAL)
        return SkipReason.TOO_LARGE if size > self.max_file_bytes else None

    def _skip(self, raw: bytes, reason: SkipReason) -> None:
        self.skipped_total += 1
        if len(self.skipped) < _SKIPPED_KEPT:
            self.skipped.append(SkippedEntry(printable(raw), reason))


_KINDS: Final = {
    stat.S_IFLNK: SkipReason.SYMLINK,
    stat.S_IFDIR: SkipReason.FOLDER,
    stat.S_IFIFO: SkipReason.FIFO,
}


def is_unsafe_name(name: bytes) -> bool:
    """Tell whether a name could lead out of its folder, or is none that a file here may have."""
    return not name or len(name) > _LONGEST_NAME or name in (b".", b"..") or _UNSAFE_NAME.search(name) is not None
