"""The way into object stores: one protocol that every kind of destination keeps, and what they all share.

**Nothing is deleted.** There is no call for it, and the documented credentials do not allow it.

**Create-only.** `put_if_absent` never writes over an object. Where the store honours a conditional write the store
itself sees to that. Where it does not (`probe` finds out), and for large objects through some engines, we look first,
which leaves a moment in which two writers could both find nothing: the one writer per destination is what closes it.
An object that is there already counts as ours only when its size and hash say so, and is read back where neither does.

**Retries are the caller's.** The libraries below are told to try once, so that one call is one request, bad credentials
are offered once, and a pause that a store asks for is kept. `StoreError.transient` says when trying again makes sense;
`list(after=...)` goes on behind the last key seen.

**Every request has a deadline** (`timeout` of the destination); a large object gets it for each part.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.mirror.bodies import Body, BodyReader, file_size, md5_of
from bot.mirror.errors import (
    ContentMismatch,
    Exists,
    ListingIncomplete,
    NotFound,
    Refused,
    StoreAuth,
    StoreError,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from bot.mirror.destinations import DestinationSettings

__all__ = [
    "PROBE_BODY",
    "PROBE_KEY",
    "Body",
    "Capabilities",
    "CreateOnly",
    "KeyOrder",
    "ListingGuard",
    "ObjectInfo",
    "ObjectReader",
    "ObjectStore",
    "Proof",
    "PutResult",
    "StoreBase",
    "StoredObject",
    "check_key",
]

PROBE_KEY = ".etlegacy-stats-bot"
"""The one object besides the copies: written once below the prefix, never changed, left out of listings."""

PROBE_BODY = (
    b"This object was written by the ET:Legacy stats bot to find out what this store can do,\n"
    b"and shows it later that the store is the right one. It never changes. Please leave it here.\n"
)

LONGEST_KEY = 1024
"""Bytes of UTF-8, prefix included: the limit of S3, Google Cloud Storage and Azure alike."""

MOST_PARTS = 9_900

FINISH_WITHIN = 10.0
"""Seconds for cleaning up behind an upload that was given up."""

AUTH_PAUSE = 30.0
"""Seconds for which credentials that were refused as a whole are not offered again, whoever asks."""

SHA256_METADATA = "sha256"
MTIME_METADATA = "mtime"
"""Seconds since 1970 with a fraction: the form that rclone writes and reads."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


class CreateOnly(StrEnum):
    """What a store does with a conditional write to a key that is taken.

    Attributes:
        ATOMIC: it refuses to write over the object.
        IGNORED: it writes over it without a word, so we look first.
        REFUSED: it does not know the condition and refuses the whole request, so we look first.
    """

    ATOMIC = "atomic"
    IGNORED = "ignored"
    REFUSED = "refused"


class KeyOrder(StrEnum):
    """In what order a store lists its keys.

    Attributes:
        UTF8: of their UTF-8 bytes.
        EITHER: of their UTF-8 bytes or UTF-16 units, the store does not say; emoji and the like differ.
    """

    UTF8 = "utf8"
    EITHER = "either"


class Proof(StrEnum):
    """What speaks for the store having these very bytes, from weak to strong.

    Attributes:
        SENT: the store took the upload and gave nothing to compare.
        METADATA: size and the SHA-256 that was stored beside the object agree.
        ETAG: the store's own MD5 of what it holds agrees.
        READ: the object was read back and has the right SHA-256.
    """

    SENT = "sent"
    METADATA = "metadata"
    ETAG = "etag"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store and the way into it can do, found out by `probe`.

    Attributes:
        create_only: what becomes of a conditional write of an object sent in one piece.
        create_only_parts: whether an object sent in parts is completed conditionally too.
        metadata: SHA-256 and time stamp are stored beside the object and given back by `head`.
        etag_md5: the ETag of an object sent in one piece is its MD5.
        key_order: what listings are held to.
        pages_seen: listings are held to their page tokens too, not only to their keys.
        retry_after: the store's wish for a pause reaches `Throttled.retry_after`.
        limits: for what is missing above, why: one sentence for each, by the name of the attribute.
    """

    create_only: CreateOnly
    create_only_parts: bool
    metadata: bool
    etag_md5: bool
    key_order: KeyOrder
    pages_seen: bool
    retry_after: bool
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object, as far as a listing or a look at it tells.

    Attributes:
        key: without the destination's prefix.
        size: in bytes.
        last_modified: when the store got it, UTC.
        etag: the store's own mark of this content, without quotes.
        md5: lower-case hex, where the probe has shown that this store's ETags are MD5s and this one can be.
        sha256: lower-case hex, as stored beside the object; a listing never has it.
        mtime: the original file's time in seconds since 1970, as stored beside the object; a listing never has it.
    """

    key: str
    size: int
    last_modified: datetime
    etag: str | None = None
    md5: str | None = None
    sha256: str | None = None
    mtime: float | None = None


@dataclass(frozen=True, slots=True)
class PutResult:
    """What became of an upload.

    Attributes:
        key: without the destination's prefix.
        created: False where the same object was there before.
        size: in bytes.
        etag: as the store says it.
        proof: what speaks for the store having these very bytes.
    """

    key: str
    created: bool
    size: int
    etag: str | None
    proof: Proof


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A whole object: its bytes, held against the length and the hash that the store gave with it."""

    info: ObjectInfo
    data: bytes


class ObjectReader:
    """The bytes of an object as they come. Iterate over it once, to the end: the check of the whole is there.

    Attributes:
        info: what the store says about the object.
    """

    def __init__(self, info: ObjectInfo, chunks: AsyncIterator[bytes], where: str) -> None:
        self.info = info
        self._chunks = chunks
        self._where = where

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield chunks of any size.

        Raises:
            ContentMismatch: length or hash of the whole are not what the store announced.
            StoreError: reading broke off.
        """
        seen = 0
        digest = hashlib.sha256()
        async for chunk in self._chunks:
            seen += len(chunk)
            digest.update(chunk)
            yield chunk
        if seen != self.info.size:
            raise self._mismatch(f"it announced {self.info.size} bytes and sent {seen}")
        if self.info.sha256 is not None and digest.hexdigest() != self.info.sha256:
            raise self._mismatch(f"the SHA-256 is {digest.hexdigest()[:16]}… and not {self.info.sha256[:16]}…")

    def _mismatch(self, why: str) -> ContentMismatch:
        return ContentMismatch(
            f"{self._where}: what came back of {self.info.key} is not what was stored",
            why,
            "Read it once more; if it stays so, the copy is damaged: compare it with another destination",
        )


class ObjectStore(Protocol):
    """An object store, seen through one destination: its bucket, its prefix, its credentials.

    Keys are relative to the prefix. All calls raise `StoreError` and nothing else; each is safe to cancel.
    """

    @property
    def name(self) -> str:
        """The destination's name in settings and messages."""

    async def probe(self) -> Capabilities:
        """Find out what the store can do: three small requests, five the first time; kept for the life of this object.

        Raises:
            StoreAuth: the credentials may not read, list or write.
            StoreError: as of the other calls.
        """

    async def put_if_absent(self, key: str, body: Body, *, sha256: str, mtime: float | None = None) -> PutResult:
        """Store an object unless there is one; probes first where nobody has.

        Args:
            key: below the prefix.
            body: bytes, a file, or a stream; what is longer than a part is sent in parts.
            sha256: of the whole body in lower-case hex; stored beside the object, and held against what is read.
            mtime: of the original file, seconds since 1970; stored beside the object.

        Returns:
            `created` is False where these very bytes were there already.

        Raises:
            Exists: other bytes have this key; they are left alone.
            SourceProblem: the body cannot be read or does not have this hash; nothing was stored.
            ContentMismatch: the store says that it took something else.
        """

    async def put(self, key: str, body: Body, *, sha256: str, mtime: float | None = None) -> PutResult:
        """Store an object, in place of an earlier one. Only for destinations that say `on_differs = replace`."""

    async def get(self, key: str, *, limit: int) -> StoredObject:
        """Return a whole object of at most `limit` bytes.

        Raises:
            NotFound: there is none.
            TooLarge: it is longer than `limit`.
            ContentMismatch: it came back short or with another hash.
        """

    def open(self, key: str) -> AbstractAsyncContextManager[ObjectReader]:
        """Return an object to read as a stream: `async with store.open(key) as reader: async for chunk in reader`."""

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what the store says about an object, or None where there is none."""

    def list(self, prefix: str = "", *, after: str = "") -> AsyncGenerator[ObjectInfo, None]:
        """Yield every object below `prefix`, in the store's order, as the pages come.

        Args:
            prefix: a folder: empty, or ending in a slash.
            after: go on behind this key.

        Raises:
            ListingIncomplete: pages or keys do not follow one another. Whatever came before proves nothing then.
        """

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""


def check_key(key: str, prefix: str = "") -> None:
    """Hold a key to what all kinds of stores can keep without changing it.

    Raises:
        Refused: the key is empty or too long, has empty, `.` or `..` parts, control characters or backslashes.
    """
    parts = key.split("/")
    why = ""
    if not key or any(part in {"", ".", ".."} for part in parts):
        why = "a key has one or more parts between slashes, none of them empty, '.' or '..'"
    elif re.search(r"[\x00-\x1f\x7f\\]", key) is not None:
        why = "control characters and backslashes do not survive in every store"
    elif any(part.endswith(".") for part in parts):
        why = "Azure drops a dot at the end of a part"
    else:
        try:
            length = len((prefix + key).encode())
        except UnicodeEncodeError:
            why = "it is not valid Unicode"
        else:
            if length > LONGEST_KEY:
                why = f"{length} bytes are more than the {LONGEST_KEY} a key may have"
    if why:
        raise Refused(f"{key[:80]!r} cannot be a key", why, "Rename the file, or leave it out", reason="InvalidKey")


def plain_md5(etag: str | None) -> str | None:
    """Return an ETag if it has the form of an MD5; that of an object sent in parts has not."""
    return etag if etag is not None and _MD5.fullmatch(etag) is not None else None


def metadata_of(sha256: str, mtime: float | None) -> dict[str, str]:
    """Return what is stored beside an object."""
    found = {SHA256_METADATA: sha256}
    if mtime is not None:
        found[MTIME_METADATA] = f"{mtime:.9f}".rstrip("0").rstrip(".")
    return found


def from_metadata(metadata: Mapping[str, str]) -> tuple[str | None, float | None]:
    """Return SHA-256 and time stamp from what is stored beside an object; None for what is absent or makes no sense."""
    lower = {name.lower(): value for name, value in metadata.items()}
    sha256 = lower.get(SHA256_METADATA, "")
    mtime: float | None = None
    if re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", lower.get(MTIME_METADATA, "")) is not None:
        mtime = float(lower[MTIME_METADATA])
    return (sha256 if _SHA256.fullmatch(sha256) is not None else None), mtime


class ListingGuard:
    """Holds a listing to what a whole one looks like: tokens that move on, keys that rise, none twice.

    Args:
        where: the destination, for the messages.
        prefix: that every key has to begin with.
        order: in which the keys have to come.
        after: that every key has to lie behind.
    """

    def __init__(self, where: str, prefix: str, order: KeyOrder, after: str = "") -> None:
        self._where = where
        self._prefix = prefix
        self._order = order
        self._last: str | None = None
        self._after = after
        self._tokens: set[str] = set()
        self.count = 0

    @property
    def last(self) -> str | None:
        """The last key that passed."""
        return self._last

    def key(self, key: str) -> None:
        """Let one key pass.

        Raises:
            ListingIncomplete: it does not begin with the prefix, came before, or is out of order.
        """
        if not key.startswith(self._prefix):
            raise self.incomplete(f"{key[:80]!r} does not begin with {self._prefix!r}, which is what was asked for")
        before = self._last if self._last is not None else self._after
        if before and not behind(key, before, self._order):
            came = "was listed twice" if key == before else f"came behind {before[:80]!r}"
            # A store that does not list in order loses keys between its pages (s3rver does), and nobody could tell.
            raise self.incomplete(f"{key[:80]!r} {came}: a page was repeated, or keys are not in order")
        self._last = key
        self.count += 1

    def token(self, token: str | None) -> str:
        """Let the token for the next page pass, and return it.

        Raises:
            ListingIncomplete: there is none although there is more, or it was given before.
        """
        if not token:
            raise self.incomplete(f"after {self.count} objects there is more, but nothing to ask for it with")
        if token in self._tokens:
            raise self.incomplete(f"after {self.count} objects the store sends us back to a page that was read")
        self._tokens.add(token)
        return token

    def incomplete(self, why: str) -> ListingIncomplete:
        """Return the error for a listing that cannot be the whole truth."""
        return ListingIncomplete(
            f"{self._where}: the listing is not complete",
            why,
            "It is tried again, and the last good numbers stand. If it lasts, this store cannot be relied on",
        )


def behind(key: str, before: str, order: KeyOrder) -> bool:
    """Return whether a key comes behind another in an order."""
    if key > before:  # Python compares code points, which is the order of their UTF-8 bytes
        return True
    return order is KeyOrder.EITHER and key.encode("utf-16-be") > before.encode("utf-16-be")


class StoreBase(ABC):
    """What all destinations share: the prefix, the deadline, the look before a write, the check after it."""

    def __init__(self, settings: DestinationSettings, secrets: tuple[str, ...] = ()) -> None:
        self.settings = settings
        self._prefix = settings.prefix
        self._secrets = secrets
        self._order = KeyOrder.UTF8
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._capabilities: Capabilities | None = None
        self._probing: asyncio.Task[Capabilities] | None = None
        self._refused_login: tuple[float, StoreAuth] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def name(self) -> str:
        """The destination's name in settings and messages."""
        return self.settings.name

    # -- what each kind of destination does its own way; keys are whole here, prefix included

    @abstractmethod
    async def _probe(self) -> Capabilities: ...

    @abstractmethod
    async def _write_whole(self, key: str, data: bytes, metadata: dict[str, str], *, create: bool) -> Written: ...

    @abstractmethod
    async def _write_parts(
        self, key: str, parts: AsyncGenerator[bytes, None], metadata: dict[str, str], *, create: bool
    ) -> Written: ...

    @abstractmethod
    async def _head(self, key: str) -> ObjectInfo | None:
        """Look at an object; a missing bucket may look like a missing object here."""

    @abstractmethod
    def _open(self, key: str) -> AbstractAsyncContextManager[ObjectReader]: ...

    @abstractmethod
    def _list(self, prefix: str, after: str) -> AsyncGenerator[ObjectInfo, None]: ...

    @abstractmethod
    def _error(self, error: BaseException, what: str, key: str | None) -> StoreError | None:
        """Return what a library's error means, or None where it is none of ours."""

    @abstractmethod
    async def _close(self) -> None: ...

    # -- the protocol

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._close()

    async def probe(self) -> Capabilities:
        """Find out what the store can do, once."""
        if self._capabilities is not None:
            return self._capabilities
        # All who ask while it runs get the same answer, also when it is an error: one wrong password, one request.
        if self._probing is None or self._probing.done():
            self._probing = asyncio.ensure_future(self._probe())
        self._capabilities = await asyncio.shield(self._probing)
        return self._capabilities

    async def put_if_absent(self, key: str, body: Body, *, sha256: str, mtime: float | None = None) -> PutResult:
        """Store an object unless there is one."""
        return await self._put(key, body, sha256, mtime, create=True)

    async def put(self, key: str, body: Body, *, sha256: str, mtime: float | None = None) -> PutResult:
        """Store an object, in place of an earlier one."""
        return await self._put(key, body, sha256, mtime, create=False)

    async def get(self, key: str, *, limit: int) -> StoredObject:
        """Return a whole object of at most `limit` bytes."""
        async with self.open(key) as reader:
            if reader.info.size > limit:
                raise TooLarge(
                    f"{self.name}: {key} was not read",
                    f"it has {reader.info.size} bytes, more than {limit}",
                    "Nothing that this bot stores there is that large: look what it is",
                )
            # The reader holds the store to the announced size only at the end; what flows until then counts too.
            data = bytearray()
            async with contextlib.aclosing(aiter(reader)) as chunks:
                async for chunk in chunks:
                    data += chunk
                    if len(data) > limit:
                        raise TooLarge(
                            f"{self.name}: {key} was not read",
                            f"it announced {reader.info.size} bytes and sent more than {limit}",
                            "Compare it with another destination",
                        )
            return StoredObject(reader.info, bytes(data))

    def open(self, key: str) -> AbstractAsyncContextManager[ObjectReader]:
        """Return an object to read as a stream."""
        check_key(key, self._prefix)
        return self._open(self._prefix + key)

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what the store says about an object, or None where there is none."""
        check_key(key, self._prefix)
        found = await self._head(self._prefix + key)
        if found is None:
            await self._assert_bucket()
        return found

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncGenerator[ObjectInfo, None]:
        """Yield every object below `prefix`, in the store's order."""
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"{prefix!r}: not every store lists by anything but folders; end it with a slash")
        async with contextlib.aclosing(
            self._list(self._prefix + prefix, self._prefix + after if after else "")
        ) as found:
            async for info in found:
                if info.key != PROBE_KEY:
                    yield info

    # -- shared steps

    async def _assert_bucket(self) -> None:
        """Raise BucketMissing where a missing object could also be a missing bucket, and is."""
        return

    async def _probe_read(self, key: str) -> ObjectInfo | None:
        """Return the probe's object where it is there, after a look at whether it is as it was."""
        try:
            async with self._open(key) as reader:
                found = b"".join([chunk async for chunk in reader])
        except NotFound:
            return None
        if found != PROBE_BODY:
            raise Refused(
                f"{self.name}: the store cannot be trusted with copies",
                f"{PROBE_KEY}, which never changes, came back as something else",
                "Look at the object; if something other than this bot wrote it, use another prefix",
                reason="ProbeChanged",
            )
        return reader.info

    async def _probe_written(self, key: str) -> ObjectInfo:
        """Return what the store says about the probe's object, which was just written."""
        found = await self._head(key)
        if found is None:
            raise self._unavailable("probing", None, f"{PROBE_KEY} was written and is not there")
        return found

    async def _put(self, key: str, body: Body, sha256: str, mtime: float | None, *, create: bool) -> PutResult:
        check_key(key, self._prefix)
        if _SHA256.fullmatch(sha256) is None:
            raise ValueError("sha256 has to be 64 lower-case hex digits")
        capabilities = await self.probe()
        whole = self._prefix + key
        size = len(body) if isinstance(body, bytes) else file_size(body) if isinstance(body, Path) else None
        reader = BodyReader(body, sha256, self._part_size(size), key)
        metadata = metadata_of(sha256, mtime)
        async with contextlib.aclosing(reader.parts()) as parts:
            first = await anext(parts)
            second = await anext(parts, None)
            in_parts = second is not None
            atomic = capabilities.create_only is CreateOnly.ATOMIC
            # Before hundreds of megabytes are sent only to be refused, one look is worth its request, atomic or not.
            if create and (in_parts or not atomic):
                there = await self._head(whole)
                if there is not None:
                    return await self._already(there, sha256, size, None if in_parts else first)
            try:
                if second is None:
                    written = await self._write_whole(whole, first, metadata, create=create and atomic)
                else:
                    joined = _chain(first, second, parts)
                    async with contextlib.aclosing(joined):
                        written = await self._write_parts(whole, joined, metadata, create=create)
            except Exists:
                there = await self._head(whole)
                if there is None:
                    raise Unavailable(
                        f"{self.name}: {key} was not stored",
                        "the store says both that there is such an object and that there is none",
                        "It is tried again",
                    ) from None
                return await self._already(there, sha256, size, None if in_parts else first)
        proof = self._check_written(key, written, capabilities)
        return PutResult(key, True, reader.size, written.etag, proof)

    def _check_written(self, key: str, written: Written, capabilities: Capabilities) -> Proof:
        if written.etag is None or written.expected_etag is None or not capabilities.etag_md5 or written.encrypted:
            return Proof.SENT
        if written.etag == written.expected_etag:
            return Proof.ETAG
        if plain_md5(written.expected_etag) is None:
            return Proof.SENT  # how parts are summed up is each store's own affair
        raise ContentMismatch(
            f"{self.name}: {key} may not have been stored as it is",
            f"the store names what it took {cleaned_etag(written.etag)}, our bytes are {written.expected_etag}",
            "It is compared by reading it back; the source is untouched",
        )

    async def _already(self, there: ObjectInfo, sha256: str, size: int | None, data: bytes | None) -> PutResult:
        """Decide whether an object that has our key is ours. Never on the word of the store alone that it exists."""
        proof: Proof | None = None
        why = f"the object there has {there.size} bytes, ours {size}"
        if size is None or there.size == size:
            if data is not None and there.md5 is not None and there.md5 == md5_of(data):
                proof = Proof.ETAG
            elif there.sha256 == sha256 and there.md5 is None:
                proof = Proof.METADATA
            else:
                found = await self._hash(there.key)
                proof = Proof.READ if found == sha256 else None
                why = f"the object there has the SHA-256 {found[:16]}…, ours is {sha256[:16]}…"
        if proof is not None:
            return PutResult(there.key, False, there.size, there.etag, proof)
        raise Exists(
            f"{self.name}: {there.key} was not stored",
            f"another object has this key: {why}",
            "Neither is touched. Look which one is right; then say `on_differs = replace`, or leave it",
            info=there,
        )

    async def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        async with self._open(self._prefix + key) as reader:
            # What is stored beside the object may be wrong as well: only the bytes count here.
            reader.info = replace(reader.info, sha256=None)
            async with contextlib.aclosing(aiter(reader)) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
        return digest.hexdigest()

    def _part_size(self, size: int | None) -> int:
        # No store takes more than 10,000 parts of one object.
        return max(self.settings.part_size, -(-(size or 0) // MOST_PARTS))

    async def _call(self, request: Callable[[], Awaitable[T]], what: str, key: str | None = None) -> T:
        """Make one request: when it is its turn, within the deadline, with the library's errors put into ours."""
        loop = asyncio.get_running_loop()
        async with self._slots:
            if self._refused_login is not None and loop.time() < self._refused_login[0]:
                known = self._refused_login[1]
                raise StoreAuth(known.what, known.why, known.next_step, whole=True)
            try:
                async with asyncio.timeout(self.settings.timeout) as deadline:
                    return await request()
            except StoreError:
                raise
            except TimeoutError as error:
                if not deadline.expired():
                    raise self._unavailable(what, key, str(error) or "no answer in time") from None
                raise self._unavailable(what, key, f"no answer within {self.settings.timeout:g} s") from None
            except Exception as error:
                meaning = self._error(error, what, key)
                if meaning is None:
                    raise
                if isinstance(meaning, StoreAuth) and meaning.whole:
                    self._refused_login = (loop.time() + AUTH_PAUSE, meaning)
                # The library's own error may hold signed addresses; it must not get into a log as our cause.
                raise meaning from None

    def _what(self, what: str, key: str | None) -> str:
        if key is None:
            return f"{self.name}: {what} failed"
        return f"{self.name}: {what} {self._short(key)} failed"

    def _short(self, key: str) -> str:
        return key.removeprefix(self._prefix)

    def _unavailable(self, what: str, key: str | None, why: str) -> Unavailable:
        return Unavailable(
            self._what(what, key),
            why,
            "It is tried again later; if it lasts, check the network and the store's status page",
        )

    def _not_found(self, key: str) -> NotFound:
        return NotFound(
            f"{self.name}: there is no {self._short(key)}",
            "the store does not have it",
            "Reconcile, then copy it again",
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What a store answered to an upload.

    Attributes:
        etag: as the store says it, without quotes.
        expected_etag: what it should be where ETags are MD5s.
        encrypted: the store says that it encrypts in a way that makes ETags anything but MD5s.
    """

    etag: str | None
    expected_etag: str | None = None
    encrypted: bool = False


def cleaned_etag(etag: str) -> str:
    """Return an ETag fit for a message."""
    return re.sub(r"[^\w.+/=-]", "", etag)[:64]


async def _chain(first: bytes, second: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    yield second
    async for part in rest:
        yield part


async def finish_anyway(work: Awaitable[None]) -> None:
    """Do what has to be done although we are cancelled; give it a moment, and never raise in its name."""
    task: asyncio.Future[None] = asyncio.ensure_future(work)
    with contextlib.suppress(TimeoutError, StoreError):
        async with asyncio.timeout(FINISH_WITHIN):
            await asyncio.shield(task)
    if not task.done():
        task.cancel()
