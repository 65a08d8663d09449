"""The archive, `local_stats/`: one folder per game server with every stats file as it came."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from parsers import is_stats_file_name

REPLACED = ".replaced"
"""Folder for earlier contents of files that changed on the server. Nothing is ever deleted."""

TEMPORARY_SUFFIX = ".part"


class ArchiveError(Exception):
    """The archive cannot be read or written. The message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A stats file in the archive: its name and size in bytes."""

    name: str
    size: int


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes in lower-case hex: the key that contents are known by."""
    return hashlib.sha256(data).hexdigest()


class Archive:
    """One game server's folder of the archive.

    A file appears under its name whole or not at all: it is written under a temporary name, checked, and renamed.
    Names come from outside, so only those of the stats-file grammar (no separators, no dots in front) are let in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        if not is_stats_file_name(name):
            raise ArchiveError(f"{name!r} is not the name of a stats file; nothing was written")
        return self.folder / name

    def scan(self) -> list[ArchivedFile]:
        """Return the stats files of the folder, sorted by name; anything else in it is passed over.

        Raises:
            ArchiveError: the folder cannot be read.
        """
        found = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if is_stats_file_name(entry.name) and entry.is_file(follow_symlinks=False):
                        found.append(ArchivedFile(entry.name, entry.stat(follow_symlinks=False).st_size))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(
                f"cannot read the archive {self.folder}: {error.strerror}; check LOCAL_STATS_PATH"
            ) from error
        return sorted(found, key=lambda file: file.name)

    def other_names(self) -> int:
        """Return how many entries of the folder have names that no stats file has."""
        return sum(1 for path in self.folder.iterdir() if not is_stats_file_name(path.name))

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a file's bytes (at most `limit` + 1 of them), or None where the archive has no such file.

        Raises:
            ArchiveError: it is there and cannot be read, or is not a plain file.
        """
        path = self._path(name)
        try:
            # A link in the archive is not followed: it could point anywhere. A pipe must not make us wait.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ArchiveError(f"cannot read {path}: it is not a plain file; look who put it there")
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(limit + 1)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"cannot read {path}: {error.strerror}; check the folder's rights") from error

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put a file into the archive, whole or not at all.

        A file of that name with other bytes is kept, in the folder `.replaced`, under its name and hash.

        Args:
            name: of the stats-file grammar.
            data: the whole file.
            durable: wait until the disk has the bytes. A long backlog passes False and calls `flush` per batch; a power
                cut can then leave a file short, which the next start sees by its size and mends from the database.

        Raises:
            ArchiveError: the disk is full, the folder is read-only, and so on; nothing is left behind.
        """
        path = self._path(name)
        temporary = self.folder / f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb", buffering=0) as file:
                    written = file.write(data)
                    if written != len(data):
                        raise OSError(28, "No space left on device")
                    if durable:
                        os.fsync(file.fileno())
                self._set_aside(path, data)
                temporary.rename(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            if durable:
                self.flush()
        except OSError as error:
            raise ArchiveError(
                f"cannot write {path}: {error.strerror}; free space or check the rights of {self.folder}"
            ) from error

    def _set_aside(self, path: Path, data: bytes) -> None:
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        aside = self.folder / REPLACED
        if not stat.S_ISREG(status.st_mode):
            # A link, a pipe or a folder under the name of a stats file makes room for it, and is kept as well.
            aside.mkdir(exist_ok=True)
            path.rename(aside / f"{path.name}.{secrets.token_hex(8)}")
            return
        earlier = self.read(path.name, status.st_size)
        if earlier is None or earlier == data:
            return
        kept = aside / f"{path.name}.{content_hash(earlier)[:16]}"
        aside.mkdir(exist_ok=True)
        if kept.exists():
            return
        try:
            # A second name for the earlier bytes: until the new ones take the first, it has always its file.
            kept.hardlink_to(path)
        except OSError:
            path.rename(kept)  # a file system without links

    def flush(self) -> None:
        """Make the folder's new names durable.

        Raises:
            ArchiveError: the disk does not take them.
        """
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ArchiveError(
                f"cannot write to the archive {self.folder}: {error.strerror}; look at its disk"
            ) from error

    def remove_leftovers(self) -> int:
        """Remove temporary files that a killed run left behind; return how many there were."""
        leftovers: Iterable[Path] = self.folder.glob(f".*{TEMPORARY_SUFFIX}") if self.folder.is_dir() else ()
        count = 0
        for path in leftovers:
            path.unlink(missing_ok=True)
            count += 1
        return count
