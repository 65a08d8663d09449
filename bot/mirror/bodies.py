"""What is to be stored: bytes, a file or a stream, read in parts and held against its hash."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from bot.mirror.errors import SourceProblem

Body: TypeAlias = bytes | Path | AsyncIterable[bytes]
"""Bytes, a file, or a stream of chunks of any size."""


def md5_of(data: bytes) -> str:
    """Return the MD5 of bytes in lower-case hex, as stores name single-part objects by it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class BodyReader:
    """Reads a body in parts of one size, and says at the end whether it was what the caller announced.

    A file may be changed while it is read: an upload must be given up before it is completed then, or the store would
    hold bytes that nobody ever had. So the hash is compared when the last part has been handed out, before the end is.

    Args:
        body: what to read.
        sha256: of the whole body, lower-case hex.
        part_size: bytes in each part but the last.
        key: for the error messages.
    """

    def __init__(self, body: Body, sha256: str, part_size: int, key: str) -> None:
        self._body = body
        self._sha256 = sha256
        self._part_size = part_size
        self._key = key
        self._hash = hashlib.sha256()
        self.size = 0

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the parts; the last one may be shorter, and an empty body is one empty part.

        Raises:
            SourceProblem: the file cannot be read, or the bytes do not have the announced hash.
        """
        any_part = False
        source = self._source()
        try:
            async for part in source:
                any_part = True
                self._hash.update(part)
                self.size += len(part)
                yield part
        finally:
            await source.aclose()
        found = self._hash.hexdigest()
        if found != self._sha256:
            raise SourceProblem(
                f"{self._key} was not stored",
                f"its bytes have the SHA-256 {found[:16]}… and not {self._sha256[:16]}…: it changed while it was read",
                "It is read again on the next try",
            )
        if not any_part:
            yield b""

    def _source(self) -> AsyncGenerator[bytes, None]:
        if isinstance(self._body, bytes):
            return _byte_parts(self._body, self._part_size)
        if isinstance(self._body, Path):
            return _file_parts(self._body, self._part_size)
        return _stream_parts(self._body, self._part_size)


async def _byte_parts(body: bytes, part_size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), part_size):
        yield body[start : start + part_size]


async def _stream_parts(chunks: AsyncIterable[bytes], part_size: int) -> AsyncGenerator[bytes, None]:
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        while len(pending) >= part_size:
            part = bytes(pending[:part_size])
            del pending[:part_size]
            yield part
    if pending:
        yield bytes(pending)


def file_size(path: Path) -> int:
    """Return a file's size in bytes.

    Raises:
        SourceProblem: there is no such plain file, or it may not be read.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable(path, "it is not a plain file")
    return found.st_size


async def _file_parts(path: Path, part_size: int) -> AsyncGenerator[bytes, None]:
    try:
        file = await asyncio.to_thread(open_plain, path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        while True:
            try:
                part = await asyncio.to_thread(file.read, part_size)
            except OSError as error:
                raise _unreadable(path, error.strerror or str(error)) from error
            if not part:
                return
            yield part
    finally:
        file.close()


def open_plain(path: Path | str, folder: int | None = None) -> BinaryIO:
    """Open a plain file to read; a link could point anywhere, and a pipe must not make us wait.

    Raises:
        OSError: it is not there, may not be read, or is something else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENOTDIR, "it is not a plain file")
    return os.fdopen(descriptor, "rb")


def _unreadable(path: Path, why: str) -> SourceProblem:
    return SourceProblem(
        f"{path} was not stored", f"it cannot be read: {why}", "Check that the file is there and may be read"
    )
