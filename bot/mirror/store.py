"""The way into object stores: one protocol that every kind of destination keeps.

**Nothing is deleted.** There is no call for it, and the documented credentials do not allow it.

**Create-only.** `put_if_absent` never writes over an object. Where the store honours a conditional write the store
itself sees to that. Where it does not (`probe` finds out), and for large objects through some engines, we look first,
one call at a time for each key. That leaves a moment in which two processes could both find nothing: the one writer per
destination is what closes it.
An object that is there already counts as ours only when its size and hash say so, and is read back where neither does.

**Retries are the caller's.** The libraries below are told to try once, so that one call is one request, bad credentials
are offered once, and a pause that a store asks for is kept. `StoreError.transient` says when trying again makes sense;
`list(after=...)` goes on behind the last key seen.

**Every request has a deadline** (`timeout` of the destination); a large object gets it for each part.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.mirror.bodies import Body
from bot.mirror.errors import (
    ContentMismatch,
    ListingIncomplete,
    Refused,
)

__all__ = [
    "PROBE_BODY",
    "PROBE_KEY",
    "SNAPSHOTS",
    "Body",
    "Capabilities",
    "CreateOnly",
    "Hidden",
    "HiddenKind",
    "KeyOrder",
    "LifecycleRule",
    "ListingGuard",
    "ObjectInfo",
    "ObjectReader",
    "ObjectStore",
    "Proof",
    "PutResult",
    "StoredObject",
    "check_key",
]

PROBE_KEY = ".etlegacy-stats-bot"
"""The one object besides the copies: written once below the prefix, never changed, left out of all listings."""

SNAPSHOTS = ".snapshots/"
"""Where snapshots of the database lie below the prefix. They are ours, and no copies of stats files."""

PROBE_BODY = (
    b"This object was written by the ET:Legacy stats bot to find out what this store can do,\n"
    b"and shows it later that the store is the right one. It never changes. Please leave it here.\n"
)

LONGEST_KEY = 1024
"""Bytes of UTF-8, prefix included: the limit of S3, Google Cloud Storage and Azure alike."""

SHA256_METADATA = "sha256"
MTIME_METADATA = "mtime"
"""Seconds since 1970 with a fraction: the form that rclone writes and reads."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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


class HiddenKind(StrEnum):
    """What lies in a bucket, is paid for, and is in no listing.

    Attributes:
        OLD_VERSION: an earlier version of an object, or one that a hide marker covers.
        HIDE_MARKER: what a store writes when an object is deleted whose versions it keeps.
        UNFINISHED_UPLOAD: an upload in parts that was never completed.
    """

    OLD_VERSION = "old_version"
    HIDE_MARKER = "hide_marker"
    UNFINISHED_UPLOAD = "unfinished_upload"


@dataclass(frozen=True, slots=True)
class Hidden:
    """Something in a bucket that no listing shows.

    Attributes:
        key: without the destination's prefix.
        kind: what it is.
        at: when the store got it, UTC.
        size: in bytes; None where the store does not say.
        current: of a hide marker: it covers the object now, and not an earlier one.
    """

    key: str
    kind: HiddenKind
    at: datetime
    size: int | None = None
    current: bool = False


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """A rule of the store's own by which objects disappear.

    Attributes:
        name: as the provider shows it.
        prefix: of the whole keys that it concerns, the destination's prefix included.
        days: age in days from which on objects disappear; None where it names a day instead.
        after: from this time on, UTC.
    """

    name: str
    prefix: str
    days: int | None = None
    after: datetime | None = None


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

    async def hidden(self) -> Sequence[Hidden]:
        """Return what lies below the prefix and is in no listing. A request for each 1,000 of everything there.

        Raises:
            Unsupported: this store, or this way into it, cannot tell.
        """

    async def lifecycle(self) -> Sequence[LifecycleRule]:
        """Return the store's own rules by which objects disappear, with any prefix.

        Raises:
            Unsupported: this store, or this way into it, cannot tell.
            StoreAuth: the credentials may not ask; copying does not need that.
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


def plain_etag(etag: object) -> str | None:
    """Return an ETag without quotes and the mark of a weak one."""
    return str(etag).removeprefix("W/").strip('"') if etag else None


def plain_md5(etag: str | None) -> str | None:
    """Return an ETag if it has the form of an MD5; that of an object sent in parts has not."""
    return etag if etag is not None and _MD5.fullmatch(etag) is not None else None


def is_sha256(text: str) -> bool:
    """Return whether a text is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


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
    return (sha256 if is_sha256(sha256) else None), mtime


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
