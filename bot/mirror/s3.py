"""S3 and what speaks it: AWS, Backblaze B2 and others. On aioboto3, one client for the destination's life."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

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
    Unavailable,
    Unsupported,
    cleaned,
)
from bot.mirror.s3_hidden import find_hidden, lifecycle_rules
from bot.mirror.store import (
    PROBE_KEY,
    Capabilities,
    CreateOnly,
    Hidden,
    LifecycleRule,
    ListingGuard,
    ObjectInfo,
    ObjectReader,
    from_metadata,
    plain_etag,
)

_CHUNK = 256 * 1024
_PARTS_AT_ONCE = 2

_BAD_CREDENTIALS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "TokenRefreshRequired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "RequestTimeTooSkewed",
        "NotSignedUp",
        "AccountProblem",
        "Unauthorized",
        "401",
    }
)
_THROTTLED = re.compile(r"SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|ServiceUnavailable|^429$|^503$")
_NO_CONDITION = frozenset({"InvalidArgument", "InvalidRequest", "MethodNotAllowed", "400", "405"})
_OTHER_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
)


class S3Store(StoreBase):
    """One bucket of an S3-compatible store."""

    def __init__(self, settings: DestinationSettings) -> None:
        self._login: dict[str, str] = {}
        if settings.access_key_env:
            self._login["aws_access_key_id"] = settings.secret(settings.access_key_env)
            self._login["aws_secret_access_key"] = settings.secret(settings.secret_key_env)
        if settings.session_token_env:
            self._login["aws_session_token"] = settings.secret(settings.session_token_env)
        super().__init__(settings, tuple(self._login.values()))
        self._bucket = settings.bucket
        self._resources = AsyncExitStack()
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._conditional_complete = True

    # -- connection

    async def _connected(self) -> Any:
        if self._client is not None:
            return self._client
        async with self._connecting:
            if self._client is None:
                # Half a second of importing would stand in everybody's way on the loop.
                session = await asyncio.to_thread(_session, self.name)
                config = require("aiobotocore.config", self.name).AioConfig(
                    connect_timeout=min(10.0, self.settings.timeout),
                    read_timeout=self.settings.timeout,
                    # Readers keep their connection while they are open; requests must not starve behind them.
                    max_pool_connections=2 * self.settings.concurrency,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    s3={"addressing_style": self.settings.addressing},
                    # Others than AWS refuse the checksum headers that botocore sends by default.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    user_agent_extra="etlegacy-stats-bot",
                )
                region = self.settings.region or (None if not self.settings.address else "us-east-1")
                self._client = await self._resources.enter_async_context(
                    session.client(
                        "s3",
                        region_name=region,
                        endpoint_url=self.settings.address or None,
                        config=config,
                        **self._login,
                    )
                )
        return self._client

    async def _close(self) -> None:
        self._client = None
        await self._resources.aclose()

    async def _request(self, operation: str, what: str, key: str | None = None, **arguments: Any) -> dict[str, Any]:
        async def send() -> dict[str, Any]:
            client = await self._connected()
            if key is not None:
                arguments["Key"] = key
            answer: dict[str, Any] = await getattr(client, operation)(Bucket=self._bucket, **arguments)
            return answer

        answer = await self._call(send, what, key)
        self._seen()
        return answer

    # -- what the store can do

    async def _probe(self) -> Capabilities:
        key = self._prefix + PROBE_KEY
        limits: dict[str, str] = {}
        info = await self._probe_read(key)
        create_only = await self._probe_create_only(key, info is None, limits)
        # A listing of the one key shows that we may list, and that what was written is seen.
        listed = [info async for info in self._list(self._prefix + PROBE_KEY, "")]
        if [info.key for info in listed] != [PROBE_KEY]:
            raise ListingIncomplete(
                f"{self.name}: the listing does not show what is there",
                f"{PROBE_KEY} was written and is not listed",
                "If the store lists with a delay, it is tried again; else it cannot be mirrored to",
            )
        info = info or await self._probe_written(key)
        metadata, etag_md5 = self._probe_compared(info, limits)
        parts = create_only is CreateOnly.ATOMIC and self._conditional_complete
        if not parts:
            limits["create_only_parts"] = "objects sent in parts are not created conditionally: we look first"
        return Capabilities(
            create_only, parts, metadata, etag_md5, self._order, pages_seen=True, retry_after=True, limits=limits
        )

    def _is_about_condition(self, error: StoreError) -> bool:
        # Stores that do not know the header say so as 400 or 405 too.
        return super()._is_about_condition(error) or (isinstance(error, Refused) and error.reason in _NO_CONDITION)

    # -- writing

    async def _write_whole(self, key: str, data: bytes, metadata: dict[str, str], *, create: bool) -> Written:
        condition = {"IfNoneMatch": "*"} if create else {}
        answer = await self._request("put_object", "storing", key, Body=data, Metadata=metadata, **condition)
        return _written(answer, md5_of(data))

    async def _write_parts(
        self, key: str, parts: AsyncGenerator[bytes, None], metadata: dict[str, str], *, create: bool
    ) -> Written:
        upload = await self._begin(key, metadata)
        try:
            sent = await self._send_parts(key, upload, parts)
            answer = await self._complete(key, upload, sent, create=create)
        except BaseException:
            # Parts of an upload that never ends are kept, unseen, and paid for.
            await finish_anyway(self._abort(key, upload))
            raise
        total = hashlib.md5(b"".join(digest for _, _, digest in sent), usedforsecurity=False).hexdigest()
        return _written(answer, f"{total}-{len(sent)}")

    async def _begin(self, key: str, metadata: dict[str, str]) -> str:
        request = asyncio.ensure_future(self._request("create_multipart_upload", "storing", key, Metadata=metadata))
        try:
            answer = await asyncio.shield(request)
        except asyncio.CancelledError:
            # The store may have begun it already; without its number nobody could end it.
            async def end() -> None:
                answer = await request
                await self._abort(key, str(answer["UploadId"]))

            await finish_anyway(end())
            raise
        return str(answer["UploadId"])

    async def _send_parts(
        self, key: str, upload: str, parts: AsyncGenerator[bytes, None]
    ) -> list[tuple[int, str, bytes]]:
        sent: list[tuple[int, str, bytes]] = []
        places = asyncio.Semaphore(_PARTS_AT_ONCE)

        async def send(number: int, data: bytes) -> None:
            try:
                digest = hashlib.md5(data, usedforsecurity=False).digest()
                answer = await self._request(
                    "upload_part",
                    "storing",
                    key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=data,
                    ContentMD5=base64.b64encode(digest).decode(),
                )
                sent.append((number, str(answer["ETag"]), digest))
            finally:
                places.release()

        try:
            async with asyncio.TaskGroup() as group:
                number = 0
                async for data in parts:
                    number += 1
                    await places.acquire()
                    group.create_task(send(number, data))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return sorted(sent)

    async def _complete(
        self, key: str, upload: str, sent: list[tuple[int, str, bytes]], *, create: bool
    ) -> dict[str, Any]:
        parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag, _ in sent]}
        arguments = {"UploadId": upload, "MultipartUpload": parts}
        conditional = create and self._conditional_complete and await self._is_atomic()
        if conditional:
            try:
                return await self._request("complete_multipart_upload", "storing", key, IfNoneMatch="*", **arguments)
            except StoreError as error:
                if not self._is_about_condition(error):
                    raise
                self._conditional_complete = False
        if create and await self._head(key) is not None:
            raise Exists(
                f"{self.name}: {self._short(key)} was not stored", "it has come up meanwhile", "It is compared"
            )
        return await self._request("complete_multipart_upload", "storing", key, **arguments)

    async def _is_atomic(self) -> bool:
        return (await self.probe()).create_only is CreateOnly.ATOMIC

    async def _abort(self, key: str, upload: str) -> None:
        with contextlib.suppress(StoreError):
            await self._request("abort_multipart_upload", "giving up the upload of", key, UploadId=upload)

    # -- reading

    async def _head(self, key: str) -> ObjectInfo | None:
        try:
            answer = await self._request("head_object", "looking at", key)
        except NotFound:
            return None
        return self._info(key, answer, int(answer["ContentLength"]))

    async def _look_at_bucket(self) -> None:
        try:
            await self._request("head_bucket", "looking at the bucket")
        except NotFound:
            raise self._bucket_missing() from None

    @contextlib.asynccontextmanager
    async def _open(self, key: str) -> AsyncIterator[ObjectReader]:
        answer = await self._request("get_object", "reading", key)
        body = answer["Body"]
        try:
            yield ObjectReader(
                self._info(key, answer, int(answer["ContentLength"])), self._chunks(body, key), self.name
            )
        finally:
            body.close()

    async def _chunks(self, body: Any, key: str) -> AsyncGenerator[bytes, None]:
        async def read() -> bytes:
            chunk: bytes = await body.read(_CHUNK)
            return chunk

        while chunk := await self._call(read, "reading", key):
            yield chunk

    def _info(self, key: str, answer: dict[str, Any], size: int) -> ObjectInfo:
        sha256, mtime = from_metadata(answer.get("Metadata") or {})
        etag = plain_etag(answer.get("ETag"))
        return ObjectInfo(self._short(key), size, answer["LastModified"], etag, self._md5(etag), sha256, mtime)

    async def _list(self, prefix: str, after: str) -> AsyncGenerator[ObjectInfo, None]:
        guard = ListingGuard(self.name, prefix, self._order, after)
        asked: dict[str, Any] = {"Prefix": prefix, "MaxKeys": self.settings.page_size}
        if after:
            asked["StartAfter"] = after
        token: str | None = None
        while True:
            if token is not None:
                asked["ContinuationToken"] = token
            try:
                page = await self._request("list_objects_v2", "listing", **asked)
            except Unavailable as error:
                if error.why.startswith(_UNREADABLE):
                    raise guard.incomplete(error.why) from None
                raise
            contents = page.get("Contents") or []
            truncated = self._check_page(guard, page, len(contents), token)
            for entry in contents:
                key = str(entry["Key"])
                guard.key(key)
                etag = plain_etag(entry.get("ETag"))
                yield ObjectInfo(self._short(key), int(entry["Size"]), entry["LastModified"], etag, self._md5(etag))
            if not truncated:
                if len(contents) == self.settings.page_size:
                    await self._assert_end(guard, prefix)
                return
            token = guard.token(page.get("NextContinuationToken"))

    def _check_page(self, guard: ListingGuard, page: dict[str, Any], entries: int, token: str | None) -> bool:
        """Hold one page to what was asked for; return whether there are more."""
        if "IsTruncated" not in page:
            raise guard.incomplete("a page does not say whether there are more")
        echoed = page.get("ContinuationToken")
        if token is not None and echoed is not None and echoed != token:
            raise guard.incomplete("the store sent another page than the one we asked for")
        announced = page.get("KeyCount")
        if announced is not None and int(announced) != entries:
            raise guard.incomplete(f"a page announces {announced} objects and holds {entries}")
        if not page["IsTruncated"] and page.get("NextContinuationToken"):
            raise guard.incomplete("a page says both that it is the last and how to ask for the next")
        return bool(page["IsTruncated"])

    async def _assert_end(self, guard: ListingGuard, prefix: str) -> None:
        """Ask once for anything behind a last page that is full: its successor may have been forgotten."""
        behind = await self._request("list_objects_v2", "listing", Prefix=prefix, MaxKeys=1, StartAfter=guard.last)
        if behind.get("Contents"):
            raise guard.incomplete(f"the store ended it after {guard.count} objects, and there are more")

    # -- what no listing shows

    async def hidden(self) -> list[Hidden]:
        """Return what lies below the prefix and is in no listing."""
        return await find_hidden(self._request, self._prefix)

    async def lifecycle(self) -> list[LifecycleRule]:
        """Return the store's own rules by which objects disappear."""
        try:
            answer = await self._request("get_bucket_lifecycle_configuration", "asking for the lifecycle rules")
        except NotFound:
            return []  # S3's way of saying that there are none
        return lifecycle_rules(answer)

    # -- errors

    def _bucket_missing(self) -> BucketMissing:
        return BucketMissing(
            f"{self.name}: there is no bucket {self._bucket}",
            "the store does not know it",
            "Check BUCKET, REGION and ENDPOINT of the destination; the bot never makes buckets",
        )

    def _error(self, error: BaseException, what: str, key: str | None) -> StoreError | None:
        exceptions = require("botocore.exceptions", self.name)
        if isinstance(error, exceptions.ClientError):
            return self._refusal(error, what, key)
        text = cleaned(str(error), self._secrets)
        kind = type(error).__name__
        if isinstance(
            error,
            exceptions.NoCredentialsError
            | exceptions.PartialCredentialsError
            | exceptions.CredentialRetrievalError
            | exceptions.ProfileNotFound
            | exceptions.TokenRetrievalError
            | exceptions.SSOError,
        ):
            return StoreAuth(
                self._what(what, key),
                text,
                "Name the variables of the keys in the destination, or set up the provider's own chain",
                whole=True,
            )
        if isinstance(error, exceptions.ParamValidationError):
            return Refused(self._what(what, key), text, "Check the destination's settings", reason=kind)
        if type(error).__module__ == "botocore.parsers":
            return self._unavailable(what, key, f"{_UNREADABLE} ({kind})")
        if isinstance(error, exceptions.BotoCoreError | exceptions.HTTPClientError | aiohttp.ClientError | OSError):
            return self._unavailable(what, key, text or kind)
        return None

    def _refusal(self, error: Any, what: str, key: str | None) -> StoreError:
        said = error.response.get("Error", {})
        code = cleaned(str(said.get("Code", "")))[:60]
        about = error.response.get("ResponseMetadata", {})
        status = int(about.get("HTTPStatusCode") or 0)
        headers = {str(name).lower(): str(value) for name, value in (about.get("HTTPHeaders") or {}).items()}
        message = cleaned(str(said.get("Message", "")), self._secrets)
        why = f"the store answered {status} {code}" + (f" ({message})" if message and message != code else "")
        failed = self._what(what, key)
        if code == "NoSuchBucket":
            return self._bucket_missing()
        if status == 404 and code != "NoSuchUpload":
            return (
                self._not_found(key) if key is not None else NotFound(failed, why, "Check the destination's settings")
            )
        if status == 412 or code == "PreconditionFailed":
            return Exists(failed, "there is such an object", "It is compared")
        if re.search(r"cap exceeded|quota|InsufficientStorage|no space", f"{code} {message}", re.I) or status == 507:
            return Refused(
                failed, why, "Raise the account's limit or make room; copying goes on by itself then", reason=code
            )
        if code in _BAD_CREDENTIALS or status == 401:
            next_step = "Check the keys of the destination; they may have expired or been revoked"
            if code == "RequestTimeTooSkewed":
                next_step = "Set this machine's clock: the store does not take requests from another time"
            return StoreAuth(failed, why, next_step, whole=True)
        if status == 403:
            return StoreAuth(
                failed, why, "Allow the key to list the bucket, and to read and write objects below the prefix"
            )
        if status in {429, 503} or _THROTTLED.search(code) is not None:
            return Throttled(
                failed, why, "It is tried again after a pause", retry_after=retry_after(headers.get("retry-after"))
            )
        if status == 501 or code == "NotImplemented":
            return Unsupported(failed, why, "This store does not know that request")
        if code in _OTHER_REGION:
            return Refused(failed, why, "Check REGION and ENDPOINT: the bucket is somewhere else", reason=code)
        if status in {408, 409} or status >= 500 or status < 300 or code in {"RequestTimeout", "OperationAborted"}:
            return self._unavailable(what, key, why)
        return Refused(failed, why, "Check the destination's settings against the store's documentation", reason=code)


def _session(destination: str) -> Any:
    """Return the session that all destinations share.

    Raises:
        PackageMissing: aioboto3 is not installed, or broken.
    """
    require("aioboto3", destination)
    from bot.mirror.s3_session import session

    return session()


_UNREADABLE = "the answer cannot be read"


def retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most an hour; None where it is no number."""
    if text is None or re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]+)?\s*", text) is None:
        return None
    return min(float(text), 3600.0)


def _written(answer: dict[str, Any], expected: str) -> Written:
    encryption = str(answer.get("ServerSideEncryption") or "")
    encrypted = "kms" in encryption or bool(answer.get("SSECustomerAlgorithm"))
    return Written(plain_etag(answer.get("ETag")), expected, encrypted)
