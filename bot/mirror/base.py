"""What all kinds of destinations share: the prefix, the deadline, the look before a write and the check after it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bot.mirror.bodies import Body, BodyReader, file_size, md5_of
from bot.mirror.errors import (
    ContentMismatch,
    Exists,
    NotFound,
    Refused,
    StoreAuth,
    StoreError,
    TooLarge,
    Unavailable,
    Unsupported,
)
from bot.mirror.store import (
    PROBE_BODY,
    PROBE_KEY,
    SHA256_METADATA,
    Capabilities,
    CreateOnly,
    Hidden,
    KeyOrder,
    LifecycleRule,
    ObjectInfo,
    ObjectReader,
    Proof,
    PutResult,
    StoredObject,
    check_key,
    is_sha256,
    metadata_of,
    plain_md5,
)

if TYPE_CHECKING:
    from bot.mirror.destinations import DestinationSettings

T = TypeVar("T")

MOST_PARTS = 9_900

FINISH_WITHIN = 10.0
"""Seconds for cleaning up behind an upload that was given up."""

AUTH_PAUSE = 30.0
"""Seconds for which credentials that were refused as a whole are not offered again, whoever asks."""

BUCKET_SEEN_FOR = 60.0
"""Seconds for which a missing object is just that, without asking whether the bucket is there."""

PROBE_METADATA = metadata_of(hashlib.sha256(PROBE_BODY).hexdigest(), 0.0)


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
        self._bucket_seen = float("-inf")
        self._writing: dict[str, tuple[asyncio.Lock, int]] = {}

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
                if info.key.rpartition("/")[2] != PROBE_KEY:
                    yield info

    async def hidden(self) -> Sequence[Hidden]:
        """Return what lies below the prefix and is in no listing."""
        raise self._cannot_tell("earlier versions and unfinished uploads")

    async def lifecycle(self) -> Sequence[LifecycleRule]:
        """Return the store's own rules by which objects disappear."""
        raise self._cannot_tell("rules by which objects disappear")

    # -- shared steps

    def _cannot_tell(self, what: str) -> Unsupported:
        return Unsupported(
            f"{self.name}: nothing can be said about {what}",
            f"this way into a store of kind {self.settings.kind} does not tell",
            "Look at the provider's own page",
        )

    def _md5(self, etag: str | None) -> str | None:
        return plain_md5(etag) if self._capabilities is not None and self._capabilities.etag_md5 else None

    def _seen(self) -> None:
        """Remember that the bucket answered."""
        self._bucket_seen = asyncio.get_running_loop().time()

    async def _assert_bucket(self) -> None:
        """Raise BucketMissing where what looks like a missing object is a missing bucket: a HEAD's 404 says neither."""
        if asyncio.get_running_loop().time() - self._bucket_seen >= BUCKET_SEEN_FOR:
            await self._look_at_bucket()

    async def _look_at_bucket(self) -> None:
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

    async def _probe_create_only(self, key: str, absent: bool, limits: dict[str, str]) -> CreateOnly:
        """Write the probe's object conditionally, twice where it is new: always the same bytes."""
        try:
            for _ in range(2 if absent else 1):
                await self._write_whole(key, PROBE_BODY, PROBE_METADATA, create=True)
        except Exists:
            return CreateOnly.ATOMIC
        except StoreError as error:
            if not self._is_about_condition(error):
                raise
            limits["create_only"] = "this store refuses conditional writes: we look first"
            if absent:
                await self._write_whole(key, PROBE_BODY, PROBE_METADATA, create=False)
            return CreateOnly.REFUSED
        limits["create_only"] = "this store takes conditional writes and ignores the condition: we look first"
        return CreateOnly.IGNORED

    def _is_about_condition(self, error: StoreError) -> bool:
        """Return whether a store refused a conditional write for its condition."""
        return isinstance(error, Unsupported)

    def _probe_compared(self, info: ObjectInfo, limits: dict[str, str]) -> tuple[bool, bool]:
        """Return whether metadata come back and whether ETags are MD5s, by the probe's object."""
        metadata = info.sha256 == PROBE_METADATA[SHA256_METADATA]
        if not metadata:
            limits["metadata"] = "this store does not give back what was stored beside an object"
        etag_md5 = info.etag == md5_of(PROBE_BODY)
        if not etag_md5:
            limits["etag_md5"] = "this store's ETags are not MD5s (encrypted with KMS, or its own scheme)"
        return metadata, etag_md5

    async def _probe_written(self, key: str) -> ObjectInfo:
        """Return what the store says about the probe's object, which was just written."""
        found = await self._head(key)
        if found is None:
            raise self._unavailable("probing", None, f"{PROBE_KEY} was written and is not there")
        return found

    async def _put(self, key: str, body: Body, sha256: str, mtime: float | None, *, create: bool) -> PutResult:
        check_key(key, self._prefix)
        if not is_sha256(sha256):
            raise ValueError("sha256 has to be 64 lower-case hex digits")
        capabilities = await self.probe()
        async with self._alone(key):
            return await self._put_alone(key, body, sha256, mtime, capabilities, create=create)

    @contextlib.asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Let one write of a key at a time pass: who looks before he writes must not be overtaken from within."""
        lock, users = self._writing.get(key, (asyncio.Lock(), 0))
        self._writing[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            users = self._writing[key][1] - 1
            if users:
                self._writing[key] = lock, users
            else:
                del self._writing[key]

    async def _put_alone(
        self,
        key: str,
        body: Body,
        sha256: str,
        mtime: float | None,
        capabilities: Capabilities,
        *,
        create: bool,
    ) -> PutResult:
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
