"""Google Cloud Storage, Azure Blob, and S3 where a destination asks for speed: on obstore, one client for its life.

obstore follows the pages of a listing by itself and shows none of their tokens, so listings are held to their keys
only. It has no conditional write of large objects, so these are looked for before, and again before they are completed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bot.mirror.base import (
    StoreBase,
    Written,
    finish_anyway,
)
from bot.mirror.bodies import md5_of
from bot.mirror.destinations import DestinationSettings, require
from bot.mirror.errors import (
    BucketMissing,
    Exists,
    ListingIncomplete,
    NotFound,
    Refused,
    StoreAuth,
    StoreError,
    Throttled,
    Unsupported,
    cleaned,
)
from bot.mirror.store import (
    PROBE_KEY,
    Capabilities,
    KeyOrder,
    ListingGuard,
    ObjectInfo,
    ObjectReader,
    behind,
    from_metadata,
    plain_etag,
)

if TYPE_CHECKING:
    from obstore import Attributes, ListStream, ObjectMeta
    from obstore.store import ObjectStore as NativeStore

T = TypeVar("T")

_CHUNK = 256 * 1024
_BATCH = 100
_PARTS_AT_ONCE = 2

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
_BAD_CREDENTIALS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "AuthenticationFailed",
        "AuthorizationFailure",
        "InvalidAuthenticationInfo",
        "NoAuthenticationInformation",
    }
)


class CloudStore(StoreBase):
    """One bucket or container, through obstore."""

    def __init__(self, settings: DestinationSettings) -> None:
        config, secrets = _credentials(settings)
        super().__init__(settings, secrets)
        self._config = config
        if settings.kind == "azure":
            self._order = KeyOrder.EITHER
        self._native: NativeStore | None = None

    def _connected(self) -> NativeStore:
        if self._native is None:
            stores = require("obstore.store", self.name)
            kind = {"gcs": stores.GCSStore, "azure": stores.AzureStore}.get(self.settings.kind, stores.S3Store)
            # Its overall time limit counts a download to its last byte; ours are per request and per chunk.
            limit = timedelta(seconds=self.settings.timeout)
            self._native = kind(
                self.settings.bucket,
                config=self._config,
                client_options={
                    "allow_http": self.settings.address.startswith("http://"),
                    "connect_timeout": min(limit, timedelta(seconds=10)),
                    "read_timeout": limit,
                    "timeout": timedelta(days=1),
                    "user_agent": "etlegacy-stats-bot",
                },
                retry_config={"max_retries": 0},
            )
        return self._native

    async def _close(self) -> None:
        self._native = None

    # -- what the store can do

    async def _probe(self) -> Capabilities:
        key = self._prefix + PROBE_KEY
        limits = {
            "create_only_parts": "obstore completes objects sent in parts without a condition: we look twice before",
            "pages_seen": "obstore follows the pages itself and shows no tokens",
            "retry_after": "obstore does not hand on the pause that a store asks for",
        }
        info = await self._probe_read(key)
        create_only = await self._probe_create_only(key, info is None, limits)
        info = info or await self._probe_written(key)
        await self._probe_listing(key)
        metadata, etag_md5 = self._probe_compared(info, limits)
        return Capabilities(
            create_only,
            create_only_parts=False,
            metadata=metadata,
            etag_md5=etag_md5,
            key_order=self._order,
            pages_seen=False,
            retry_after=False,
            limits=limits,
        )

    async def _probe_listing(self, key: str) -> None:
        stream = self._stream(self._prefix, "")
        first = await self._call(lambda: _next(stream, ()), "listing")
        keys = [str(entry["path"]) for entry in first]
        if key not in keys and (not keys or keys[-1] > key):
            raise ListingIncomplete(
                f"{self.name}: the listing does not show what is there",
                f"{PROBE_KEY} was written and is not listed",
                "If the store lists with a delay, it is tried again; else it cannot be mirrored to",
            )

    # -- writing

    async def _write_whole(self, key: str, data: bytes, metadata: dict[str, str], *, create: bool) -> Written:
        import obstore

        answer = await self._call(
            lambda: obstore.put_async(
                self._connected(),
                key,
                data,
                attributes=metadata,
                mode="create" if create else "overwrite",
                use_multipart=False,
            ),
            "storing",
            key,
        )
        self._seen()
        return Written(plain_etag(answer["e_tag"]), md5_of(data))

    async def _write_parts(
        self, key: str, parts: AsyncGenerator[bytes, None], metadata: dict[str, str], *, create: bool
    ) -> Written:
        import obstore

        failure: list[Exception] = []
        given_up = asyncio.Event()

        async def watched() -> AsyncGenerator[bytes, None]:
            # An error in here is what makes obstore give the upload up, parts and all; it has no other way to say so.
            try:
                while (part := await _unless(given_up, parts)) is not None:
                    yield part
                if create and await self._head(key) is not None:
                    raise Exists(
                        f"{self.name}: {self._short(key)} was not stored", "it has come up meanwhile", "It is compared"
                    )
            except Exception as error:
                failure.append(error)
                raise

        async def send() -> str | None:
            # No deadline for the whole of it: each part has its own, in the client.
            answer = await obstore.put_async(
                self._connected(),
                key,
                watched(),
                attributes=metadata,
                use_multipart=True,
                chunk_size=self.settings.part_size,
                max_concurrency=_PARTS_AT_ONCE,
            )
            return plain_etag(answer["e_tag"])

        async with self._slots:
            sending = asyncio.ensure_future(send())
            try:
                etag = await asyncio.shield(sending)
            except asyncio.CancelledError:
                given_up.set()
                await finish_anyway(_settled(sending))
                raise
            except Exception as error:
                if failure:
                    raise failure[0] from None
                meaning = self._error(error, "storing", key)
                if meaning is None:
                    raise
                raise meaning from None
        self._seen()
        return Written(etag)

    # -- reading

    async def _head(self, key: str) -> ObjectInfo | None:
        import obstore

        try:
            found = await self._call(
                lambda: obstore.get_async(self._connected(), key, options={"head": True}), "looking at", key
            )
        except NotFound:
            return None
        self._seen()
        return self._info(found.meta, found.attributes)

    async def _look_at_bucket(self) -> None:
        stream = self._stream(self._prefix, "")
        await self._call(lambda: _next(stream, ()), "listing")
        self._seen()

    @contextlib.asynccontextmanager
    async def _open(self, key: str) -> AsyncIterator[ObjectReader]:
        import obstore

        found = await self._call(lambda: obstore.get_async(self._connected(), key), "reading", key)
        self._seen()
        yield ObjectReader(self._info(found.meta, found.attributes), self._chunks(found, key), self.name)

    async def _chunks(self, found: Any, key: str) -> AsyncGenerator[bytes, None]:
        stream = found.stream(min_chunk_size=_CHUNK)
        while chunk := await self._call(lambda: _next(stream, b""), "reading", key):
            yield bytes(chunk)

    def _info(self, meta: ObjectMeta, attributes: Attributes | None = None) -> ObjectInfo:
        sha256, mtime = from_metadata({str(name): value for name, value in (attributes or {}).items()})
        etag = plain_etag(meta["e_tag"])
        return ObjectInfo(
            self._short(str(meta["path"])),
            int(meta["size"]),
            meta["last_modified"],
            etag,
            self._md5(etag),
            sha256,
            mtime,
        )

    def _stream(self, prefix: str, after: str) -> ListStream[Any]:
        import obstore

        return obstore.list(
            self._connected(), prefix=prefix.rstrip("/") or None, offset=after or None, chunk_size=_BATCH
        )

    async def _list(self, prefix: str, after: str) -> AsyncGenerator[ObjectInfo, None]:
        guard = ListingGuard(self.name, prefix, self._order, after)
        stream = self._stream(prefix, after)
        while batch := await self._call(lambda: _next(stream, ()), "listing"):
            self._seen()
            for meta in batch:
                key = str(meta["path"])
                # obstore leaves the start to Azure, and not every version of it understands.
                if after and self.settings.kind == "azure" and not behind(key, after, self._order):
                    continue
                guard.key(key)
                yield self._info(meta)
        # obstore takes a page without keys and without a token for the last one, whatever it is: an error page with
        # status 200 ends a listing without a word. So we ask once for anything behind the last key. Azure cannot be
        # asked that way; there such a page is an error.
        if self._order is KeyOrder.UTF8:
            more = self._stream(prefix, guard.last or after)
            if await self._call(lambda: _next(more, ()), "listing"):
                raise guard.incomplete(f"the store ended it after {guard.count} objects, and there are more")

    # -- errors

    def _error(self, error: BaseException, what: str, key: str | None) -> StoreError | None:
        exceptions = require("obstore.exceptions", self.name)
        failed = self._what(what, key)
        # Addresses may be signed, and the library's own view of its insides helps nobody.
        text = re.sub(r"\w+://\S+", "…", str(error).split("\n\nDebug source", 1)[0])
        said = _STATUS.search(text)
        status = int(said[1]) if said is not None else 0
        found = _CODE.search(str(error))
        code = found[1] if found is not None else ""
        why = f"the store answered {status} {code}".rstrip() if status else cleaned(text, self._secrets)
        if code in _NO_BUCKET:
            return BucketMissing(
                f"{self.name}: there is no bucket or container {self.settings.bucket}",
                "the store does not know it",
                "Check BUCKET, ACCOUNT, REGION and ENDPOINT of the destination; the bot never makes buckets",
            )
        if isinstance(error, FileNotFoundError) or status == 404:
            if key is not None:
                return self._not_found(key)
            return NotFound(failed, why, "Check the destination's settings")
        if not isinstance(error, exceptions.BaseError | OSError | ValueError):
            return None
        taken = isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError) or status == 412
        if taken and what == "storing":
            return Exists(failed, "there is such an object", "It is compared")
        if status == 401 or code in _BAD_CREDENTIALS or "token request" in text or "credential" in text.lower():
            return StoreAuth(
                failed, why, "Check the keys of the destination; they may have expired or been revoked", whole=True
            )
        if status == 403:
            return StoreAuth(
                failed, why, "Allow the key to list the bucket, and to read and write objects below the prefix"
            )
        if status in {429, 503}:
            return Throttled(failed, why, "It is tried again after a pause")
        if status == 501 or isinstance(error, exceptions.NotSupportedError):
            return Unsupported(failed, why, "This store does not know that request")
        if status == 507 or re.search(r"quota|cap exceeded|InsufficientStorage", f"{code} {text}", re.IGNORECASE):
            return Refused(failed, why, "Raise the account's limit or make room", reason=code)
        if what == "listing" and not status and re.search(r"path|deserializ|XML|missing field|decod", text):
            return ListingIncomplete(
                f"{self.name}: the listing is not complete",
                why,
                "If it stays so, an object in the bucket has a key that this engine cannot read",
            )
        if isinstance(error, exceptions.InvalidPathError | ValueError) or (
            400 <= status < 500 and status not in {408, 409}
        ):
            return Refused(failed, why, "Check the destination's settings", reason=code or type(error).__name__)
        return self._unavailable(what, key, why)


def _credentials(settings: DestinationSettings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what obstore wants to know, and the secrets among it."""
    config: dict[str, Any] = {}
    if settings.kind == "gcs":
        if settings.credentials_file is not None:
            if not settings.credentials_file.is_file():
                raise StoreAuth(
                    f"{settings.name}: there are no credentials",
                    f"{settings.credentials_file} is not a file",
                    "Put the service account's JSON file there, or leave CREDENTIALS_FILE out",
                    whole=True,
                )
            config["service_account"] = str(settings.credentials_file)
        if settings.address:
            config["base_url"] = settings.address
        return config, ()
    secrets: list[str] = []

    def secret(name: str, variable: str) -> None:
        if variable:
            config[name] = settings.secret(variable)
            secrets.append(config[name])

    if settings.kind == "azure":
        config["account_name"] = settings.account
        secret("account_key", settings.access_key_env)
        secret("sas_key", settings.sas_token_env)
    else:
        secret("access_key_id", settings.access_key_env)
        secret("secret_access_key", settings.secret_key_env)
        secret("session_token", settings.session_token_env)
        config["region"] = settings.region or "us-east-1"
        config["virtual_hosted_style_request"] = settings.addressing == "virtual"
    if settings.address:
        config["endpoint"] = settings.address
    return config, tuple(secrets)


async def _unless(given_up: asyncio.Event, parts: AsyncGenerator[bytes, None]) -> bytes | None:
    """Return the next part, or None at the end; stop waiting for it when all is given up.

    Raises:
        ConnectionAbortedError: it is given up.
    """
    coming = asyncio.ensure_future(_next(parts, None))
    stop = asyncio.ensure_future(given_up.wait())
    try:
        await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            raise ConnectionAbortedError("given up")
        part: bytes | None = await coming
        return part
    finally:
        for task in (coming, stop):
            task.cancel()
        await asyncio.gather(coming, stop, return_exceptions=True)


async def _settled(sending: asyncio.Future[str | None]) -> None:
    with contextlib.suppress(Exception):
        await sending


async def _next(stream: Any, end: T) -> Any | T:
    # Not `anext(stream, end)`: that wraps obstore's future in a way that ends in a SystemError (obstore 0.12, 3.11).
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return end
