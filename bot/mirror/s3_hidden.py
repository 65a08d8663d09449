"""What an S3 bucket holds and no listing shows: earlier versions, hide markers, unfinished uploads, lifecycle rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.mirror.errors import ListingIncomplete
from bot.mirror.store import PROBE_KEY, Hidden, HiddenKind, LifecycleRule

Request = Callable[..., Awaitable[dict[str, Any]]]
"""Makes one request: the operation's name, what it is for, and its arguments."""

_UPLOADS = "looking for unfinished uploads in"
_VERSIONS = "looking for earlier versions in"


async def find_hidden(request: Request, prefix: str) -> list[Hidden]:
    """Return what lies below a prefix and is in no listing.

    Raises:
        Unsupported: this store keeps no versions, or does not tell.
        ListingIncomplete: the pages do not follow one another.
    """
    found: list[Hidden] = []
    asked: dict[str, Any] = {"Prefix": prefix}
    seen: set[tuple[str, str]] = set()
    while True:
        page = await request("list_object_versions", _VERSIONS, **asked)
        for entry in page.get("Versions") or []:
            if not entry.get("IsLatest"):
                found.append(_hidden(entry, prefix, HiddenKind.OLD_VERSION, entry["LastModified"]))
        for entry in page.get("DeleteMarkers") or []:
            found.append(_hidden(entry, prefix, HiddenKind.HIDE_MARKER, entry["LastModified"]))
        if not page.get("IsTruncated"):
            break
        asked |= _next(page, seen, KeyMarker="NextKeyMarker", VersionIdMarker="NextVersionIdMarker")
    asked, seen = {"Prefix": prefix}, set()
    while True:
        page = await request("list_multipart_uploads", _UPLOADS, **asked)
        for entry in page.get("Uploads") or []:
            found.append(_hidden(entry, prefix, HiddenKind.UNFINISHED_UPLOAD, entry["Initiated"]))
        if not page.get("IsTruncated"):
            break
        asked |= _next(page, seen, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
    # Not every store keeps to the prefix here.
    return [item for item in found if item.key and item.key.rpartition("/")[2] != PROBE_KEY]


def _hidden(entry: dict[str, Any], prefix: str, kind: HiddenKind, at: Any) -> Hidden:
    key = str(entry["Key"])
    size = entry.get("Size")
    current = kind is HiddenKind.HIDE_MARKER and bool(entry.get("IsLatest"))
    inside = key.startswith(prefix)
    return Hidden(key.removeprefix(prefix) if inside else "", kind, at, None if size is None else int(size), current)


def _next(page: dict[str, Any], seen: set[tuple[str, str]], **markers: str) -> dict[str, str]:
    """Return what asks for the page behind this one.

    Raises:
        ListingIncomplete: there is more and no way to ask for it, or the way leads back.
    """
    asked = {name: str(page[source]) for name, source in markers.items() if page.get(source)}
    place = (asked.get("KeyMarker", ""), "".join(asked.values()))
    if not asked or place in seen:
        raise ListingIncomplete(
            "the look at earlier versions is not complete",
            "its pages do not follow one another",
            "It is tried again with the next deep look",
        )
    seen.add(place)
    return asked


def lifecycle_rules(answer: dict[str, Any]) -> list[LifecycleRule]:
    """Return the rules that make objects disappear, of those that go by age and prefix alone."""
    found = []
    for rule in answer.get("Rules") or []:
        expiration = rule.get("Expiration") or {}
        chosen = rule.get("Filter") or {}
        if rule.get("Status") != "Enabled" or not (expiration.get("Days") or expiration.get("Date")):
            continue
        if set(chosen) - {"Prefix"}:
            continue  # by tag or size too: whether it concerned an object that is gone can no longer be told
        prefix = str(chosen.get("Prefix") or rule.get("Prefix") or "")
        days = expiration.get("Days")
        found.append(
            LifecycleRule(
                str(rule.get("ID") or "unnamed"), prefix, None if days is None else int(days), expiration.get("Date")
            )
        )
    return found
