"""What can be wrong with a destination, said for the admin who has to mend it.

Every error carries what happened, why, and what to do next; none carries a key, a token or a signed address:

    StoreError
     ├─ StoreAuth          the store does not take our credentials, or there are none, or they may not do this
     ├─ BucketMissing      there is no such bucket or container
     ├─ NotFound           there is no such object
     ├─ Exists             another object has this key: it is left alone, and the difference is a finding
     ├─ Throttled          asked to slow down (transient)
     ├─ Unavailable        no connection, no answer in time, a failure on the store's side (transient)
     ├─ Refused            the store will not do this, whatever we do
     ├─ Unsupported        the store, or this way into it, does not know how to do this
     ├─ ListingIncomplete  a listing that cannot be the whole truth (transient)
     ├─ ContentMismatch    what the store gives back is not what was stored (transient)
     ├─ TooLarge           an object larger than the caller agreed to take
     ├─ SourceProblem      what was to be stored cannot be read, or is not what the caller said it is
     └─ PackageMissing     an optional package is not installed
"""

# ruff: noqa: N818 - they are named for what is the matter, as the admin reads it

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bot.mirror.store import ObjectInfo

_LONGEST_REASON = 300


class StoreError(Exception):
    """Something is wrong with a destination, said for the admin who has to mend it.

    Attributes:
        code: a stable word for this kind of error, for states, metrics and tests.
        transient: trying again later, after a pause, may help without anybody doing anything.
        what: what happened, naming the destination.
        why: what the store or the system said.
        next_step: what to do about it.
    """

    code: ClassVar[str] = "store"
    transient: ClassVar[bool] = False

    def __init__(self, what: str, why: str, next_step: str) -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(f"{what}: {why}. {next_step}")


class StoreAuth(StoreError):
    """The store does not take our credentials, there are none, or they may not do this.

    Attributes:
        whole: the credentials themselves are bad, so that no other request can do better.
    """

    code = "auth"

    def __init__(self, what: str, why: str, next_step: str, *, whole: bool = False) -> None:
        self.whole = whole
        super().__init__(what, why, next_step)


class BucketMissing(StoreError):
    """There is no such bucket or container."""

    code = "bucket_missing"


class NotFound(StoreError):
    """There is no such object."""

    code = "not_found"


class Exists(StoreError):
    """Another object has this key.

    Attributes:
        info: the object that is there; None where only the store's refusal is known.
    """

    code = "exists"

    def __init__(self, what: str, why: str, next_step: str, *, info: ObjectInfo | None = None) -> None:
        self.info = info
        super().__init__(what, why, next_step)


class Throttled(StoreError):
    """The store asks us to slow down.

    Attributes:
        retry_after: seconds the store wants us to wait; None where it did not say.
    """

    code = "throttled"
    transient = True

    def __init__(self, what: str, why: str, next_step: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(what, why, next_step)


class Unavailable(StoreError):
    """No connection, no answer in time, or a failure on the store's side."""

    code = "unavailable"
    transient = True


class Refused(StoreError):
    """The store will not do this, whatever we do.

    Attributes:
        reason: the store's own word for it, such as `InvalidBucketName`.
    """

    code = "refused"

    def __init__(self, what: str, why: str, next_step: str, *, reason: str = "") -> None:
        self.reason = reason
        super().__init__(what, why, next_step)


class Unsupported(StoreError):
    """The store, or this way into it, does not know how to do this."""

    code = "unsupported"


class ListingIncomplete(StoreError):
    """A listing that cannot be the whole truth; nothing may be concluded from it."""

    code = "listing_incomplete"
    transient = True


class ContentMismatch(StoreError):
    """What the store gives back, or says it took, is not what was stored."""

    code = "content_mismatch"
    transient = True


class TooLarge(StoreError):
    """An object is larger than the caller agreed to take."""

    code = "too_large"


class SourceProblem(StoreError):
    """What was to be stored cannot be read, or is not what the caller said it is."""

    code = "source"


class PackageMissing(StoreError):
    """An optional package that this kind of destination needs is not installed."""

    code = "package_missing"


def cleaned(text: str, secrets: Iterable[str] = ()) -> str:
    """Return what a store said as one short line without control characters and secrets.

    The text comes from outside: it may be long, may hold anything, and may repeat what we sent.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = " ".join(re.sub(r"[^\x20-\x7e\u00a0-\u2027\u202f-\ud7ff]", " ", text).split()).rstrip(".")
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"


def disk_full(error: StoreError) -> bool:
    """Tell whether a destination has no room left, which no other try mends."""
    return isinstance(error, Refused) and error.reason == "DiskFull"
