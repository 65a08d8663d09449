"""A folder as a destination: a NAS, a USB disk, another file system of the same machine.

Objects are plain files below the folder, so that a person can read them without this bot; their time stamp is the
original's. There is nothing beside them: hashes are computed when asked for.

A disk that is not mounted looks like an empty folder. So the folder carries a mark (`PROBE_KEY`), and without it
nothing is listed, read or written. Links are never followed, neither to files nor to folders.

A disk can hang for minutes. Its calls run on threads of this destination's own, so that no other one waits for it; a
call that hangs past its deadline keeps its thread until the system gives up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from bot.mirror.base import (
    StoreBase,
    Written,
    finish_anyway,
)
from bot.mirror.bodies import open_plain
from bot.mirror.destinations import DestinationSettings
from bot.mirror.errors import Exists, Refused, StoreAuth, StoreError, Unavailable
from bot.mirror.store import (
    MTIME_METADATA,
    PROBE_BODY,
    PROBE_KEY,
    Capabilities,
    CreateOnly,
    KeyOrder,
    ListingGuard,
    ObjectInfo,
    ObjectReader,
)

T = TypeVar("T")

_CHUNK = 1024 * 1024
_BATCH = 1000
_LEFTOVER_AGE = 24 * 3600.0
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


_NOTHING_MOUNTED = "it lies on the same file system as /, so nothing is mounted there"


class _NotMarkedError(Exception):
    """The folder does not carry our mark."""


class DirectoryStore(StoreBase):
    """A folder.

    Args:
        settings: of the destination.
        new: nothing was ever copied there, so that a folder without the mark gets it.
    """

    def __init__(self, settings: DestinationSettings, *, new: bool = False) -> None:
        super().__init__(settings)
        if settings.path is None:
            raise ValueError("kind directory needs a path")
        self._root = settings.path
        self._new = new
        self._threads = ThreadPoolExecutor(
            max_workers=min(settings.concurrency, 8), thread_name_prefix=f"mirror-{settings.name}"
        )

    async def _close(self) -> None:
        # A thread that hangs in a dead disk must not keep us: it is left behind.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T], what: str, key: str | None = None) -> T:
        return await self._call(lambda: asyncio.get_running_loop().run_in_executor(self._threads, work), what, key)

    # -- the folder

    @contextlib.contextmanager
    def _folder(self, *names: str, make: bool = False) -> Iterator[int]:
        """Open the folder of an object, step by step from the marked root, so that no link leads out of it."""
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                self._assert_mounted(at)
            except _NotMarkedError:
                if not self._new:
                    raise
                self._mark(at)
            for name in names:
                try:
                    below = os.open(name, _FOLDER, dir_fd=at)
                except FileNotFoundError:
                    if not make:
                        raise
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o755, dir_fd=at)
                        os.fsync(at)
                    below = os.open(name, _FOLDER, dir_fd=at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    def _assert_mounted(self, root: int) -> None:
        if self._on_system_disk(root):
            raise _NotMarkedError(_NOTHING_MOUNTED)
        try:
            mark = os.stat(PROBE_KEY, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            raise _NotMarkedError(f"it does not hold {PROBE_KEY}, which marks it as this bot's") from None
        if not stat.S_ISREG(mark.st_mode):
            raise _NotMarkedError(f"{PROBE_KEY} in it is not a plain file")

    # -- what it can do

    async def _probe(self) -> Capabilities:
        def look() -> None:
            with self._folder() as root:
                if not os.access(".", os.W_OK, dir_fd=root):
                    raise PermissionError(errno.EACCES, "Permission denied")
                _remove_leftovers(root)

        await self._run(look, "looking at the folder")
        return Capabilities(
            CreateOnly.ATOMIC,
            create_only_parts=True,
            metadata=False,
            etag_md5=False,
            key_order=KeyOrder.UTF8,
            pages_seen=True,
            retry_after=False,
            limits={
                "metadata": "nothing is kept beside the files; hashes are computed when asked for",
                "etag_md5": "files have no ETags",
                "retry_after": "a folder asks for no pauses",
            },
        )

    def _mark(self, root: int) -> None:
        if self._on_system_disk(root):
            raise _NotMarkedError(_NOTHING_MOUNTED)
        file = _NewFile(lambda: os.dup(root), PROBE_KEY)
        try:
            file.write(PROBE_BODY)
            with contextlib.suppress(FileExistsError):
                file.commit(create=True, mtime=None)
        finally:
            file.discard()

    # -- writing

    async def _write_whole(self, key: str, data: bytes, metadata: dict[str, str], *, create: bool) -> Written:
        file = self._new_file(key)

        def write() -> None:
            try:
                file.write(data)
                file.commit(create=create, mtime=_mtime_of(metadata))
            finally:
                file.discard()

        await self._run(write, "storing", key)
        return Written(None)

    async def _write_parts(
        self, key: str, parts: AsyncGenerator[bytes, None], metadata: dict[str, str], *, create: bool
    ) -> Written:
        file = self._new_file(key)
        try:
            async for part in parts:
                await self._run(functools.partial(file.write, part), "storing", key)
            commit = functools.partial(file.commit, create=create, mtime=_mtime_of(metadata))
            await self._run(commit, "storing", key)
        finally:
            # Also when cancelled: it waits, on a thread, for a write that is under way, and leaves nothing behind.
            await finish_anyway(asyncio.get_running_loop().run_in_executor(self._threads, file.discard))
        return Written(None)

    def _new_file(self, key: str) -> _NewFile:
        *folders, name = key.split("/")

        def folder() -> int:
            with self._folder(*folders, make=True) as opened:
                return os.dup(opened)

        return _NewFile(folder, name)

    # -- reading

    async def _head(self, key: str) -> ObjectInfo | None:
        def look() -> os.stat_result | None:
            *folders, name = key.split("/")
            try:
                with self._folder(*folders) as folder:
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                # The root itself may be what is missing.
                with self._folder():
                    return None
            return found if stat.S_ISREG(found.st_mode) else None

        found = await self._run(look, "looking at", key)
        return None if found is None else self._info(key, found)

    @contextlib.asynccontextmanager
    async def _open(self, key: str) -> AsyncIterator[ObjectReader]:
        *folders, name = key.split("/")

        def opened() -> tuple[BinaryIO, os.stat_result] | None:
            try:
                with self._folder(*folders) as folder:
                    file = open_plain(name, folder)
            except FileNotFoundError:
                with self._folder():
                    return None
            return file, os.fstat(file.fileno())

        found = await self._run(opened, "reading", key)
        if found is None:
            raise self._not_found(key)
        file, facts = found
        try:
            yield ObjectReader(self._info(key, facts), self._chunks(file, key), self.name)
        finally:
            file.close()

    async def _chunks(self, file: BinaryIO, key: str) -> AsyncGenerator[bytes, None]:
        while chunk := await self._run(functools.partial(file.read, _CHUNK), "reading", key):
            yield chunk

    def _info(self, key: str, facts: os.stat_result) -> ObjectInfo:
        when = datetime.fromtimestamp(facts.st_mtime, UTC)
        return ObjectInfo(self._short(key), facts.st_size, when, mtime=facts.st_mtime)

    async def _list(self, prefix: str, after: str) -> AsyncGenerator[ObjectInfo, None]:
        guard = ListingGuard(self.name, prefix, KeyOrder.UTF8, after)
        walk = self._walk(prefix)
        turn = threading.Lock()

        def step() -> list[tuple[str, os.stat_result]]:
            with turn:
                return list(itertools.islice(walk, _BATCH))

        def end() -> None:
            with turn:  # who breaks off may do so while a step is under way
                walk.close()

        try:
            while batch := await self._run(step, "listing"):
                for key, facts in batch:
                    if key > after:
                        guard.key(key)
                        yield self._info(key, facts)
        finally:
            await finish_anyway(asyncio.get_running_loop().run_in_executor(self._threads, end))

    def _walk(self, prefix: str) -> Generator[tuple[str, os.stat_result], None, None]:
        """Yield the files below a folder in the order of their keys, without following a link."""
        names = prefix.split("/")[:-1]
        try:
            with self._folder(*names) as top:
                yield from self._walk_folder(top, prefix)
        except FileNotFoundError:
            with self._folder():
                return

    def _walk_folder(self, folder: int, path: str) -> Generator[tuple[str, os.stat_result], None, None]:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        # "a.txt" comes before "a/b": a folder takes its place in the order with its slash.
        for name, is_folder in sorted(found, key=lambda item: os.fsencode(item[0] + "/" * item[1])):
            if is_folder:
                try:
                    below = os.open(name, _FOLDER, dir_fd=folder)
                except FileNotFoundError:
                    continue
                try:
                    yield from self._walk_folder(below, f"{path}{_readable(name)}/")
                finally:
                    os.close(below)
                continue
            if _TEMPORARY.fullmatch(name) is not None or (not path and name == PROBE_KEY):
                continue
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield path + _readable(name), facts

    # -- errors

    def _error(self, error: BaseException, what: str, key: str | None) -> StoreError | None:
        failed = self._what(what, key)
        if isinstance(error, _NotMarkedError):
            return Unavailable(
                failed,
                f"{self._root} is not the folder it was: {error}",
                "Mount the disk or share. If the folder is meant to start empty, say so when adding the destination",
            )
        if not isinstance(error, OSError):
            return None
        why = f"{error.strerror or error} ({self._root})"
        number = error.errno
        if isinstance(error, FileExistsError):
            return Exists(failed, "there is such a file", "It is compared")
        if number in {errno.ENOSPC, errno.EDQUOT}:
            return Refused(failed, why, "Make room on that disk; copying goes on by itself then", reason="DiskFull")
        if number in {errno.EACCES, errno.EPERM}:
            return StoreAuth(failed, why, "Let the user this bot runs as read and write the folder")
        if number == errno.EROFS:
            return StoreAuth(failed, why, "The file system is read-only: remount it; an error of the disk can do this")
        if number in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}:
            return Refused(
                failed, why, "Something else is where a folder or file should be: look at it", reason="NotAFile"
            )
        if number in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EFBIG}:
            return Refused(failed, why, "That file system cannot hold such a name or size", reason="NotPossible")
        if isinstance(error, FileNotFoundError):
            return Unavailable(failed, why, "Mount the disk or share, or make the folder")
        return self._unavailable(what, key, why)

    def _on_system_disk(self, root: int) -> bool:
        return self.settings.mounted and os.fstat(root).st_dev == Path("/").stat().st_dev


class _NewFile:
    """A file that appears under its name whole or not at all, whatever happens on the way.

    Its calls may come from several threads: `discard` waits for the one that is under way, and ends it all.

    Args:
        folder: opens the folder that it goes to; called at the first write.
        name: in that folder.
    """

    def __init__(self, folder: Callable[[], int], name: str) -> None:
        self._open_folder = folder
        self._name = name
        self._temporary = f".{secrets.token_hex(8)}.part"
        self._lock = threading.Lock()
        self._folder: int | None = None
        self._file: int | None = None
        self._done = False

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._lock:
            file = self._opened()
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]

    def commit(self, *, create: bool, mtime: float | None) -> None:
        """Make what was written durable, and give it its name.

        Raises:
            FileExistsError: `create`, and the name is taken.
        """
        with self._lock:
            file = self._opened()
            folder = self._folder
            if mtime is not None:
                os.utime(file, (mtime, mtime))
            os.fsync(file)
            if create:
                try:
                    self._link(folder)
                except FileExistsError:
                    if not stat.S_ISREG(os.stat(self._name, dir_fd=folder, follow_symlinks=False).st_mode):
                        raise OSError(errno.ENOTDIR, "something that is no file has this name") from None
                    raise
            else:
                os.rename(self._temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)  # type: ignore[arg-type]

    def discard(self) -> None:
        """Let go of everything; what was not committed is gone."""
        with self._lock:
            self._done = True
            if self._file is not None:
                os.close(self._file)
                self._file = None
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    os.unlink(self._temporary, dir_fd=self._folder)
                os.close(self._folder)
                self._folder = None

    def _opened(self) -> int:
        if self._done:
            raise OSError(errno.ECANCELED, "given up")
        if self._folder is None:
            self._folder = self._open_folder()
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._temporary, flags, 0o644, dir_fd=self._folder)
        return self._file

    def _link(self, folder: int | None) -> None:
        try:
            os.link(self._temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
        # FAT, exFAT and some shares know no links: an empty file takes the name, then the whole one takes its place.
        # Only a crash between these two lines leaves the empty one, which the next run reports as a difference.
        os.close(os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder))
        os.rename(self._temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder)


def _remove_leftovers(root: int) -> None:
    """Remove temporary files of runs that were killed, in the root and below; not those that may be in use."""
    for path, _, files, folder in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        del path
        for name in files:
            if _TEMPORARY.fullmatch(name) is not None:
                with contextlib.suppress(OSError):
                    if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > _LEFTOVER_AGE:
                        os.unlink(name, dir_fd=folder)


def _mtime_of(metadata: dict[str, str]) -> float | None:
    return float(metadata[MTIME_METADATA]) if MTIME_METADATA in metadata else None


def _readable(name: str) -> str:
    """Return a name as a key; bytes that are not UTF-8 are shown, so that the file is listed rather than lost."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
