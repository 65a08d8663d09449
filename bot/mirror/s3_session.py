"""The session that all S3 destinations share: aioboto3's, reading what AWS describes in a way that stays small.

botocore keeps every description that it has read, with the documentation of each field and the addresses of 300
services in it: 7 MiB that an idle bot would hold for nothing. Its dates go through a parser that guesses, which takes
most of the time of a listing. Importing this takes half a second, so whoever connects first does it beside the loop.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aioboto3
import aiobotocore.session
from botocore.loaders import JSONFileLoader
from botocore.utils import parse_timestamp

SERVICES: Final = frozenset({"s3", "sts", "sso", "portal.sso", "oidc"})
"""Services that are spoken to: buckets, and what hands out keys to them."""


@functools.cache
def session() -> aioboto3.Session:
    """Return the one session. It holds the descriptions, which take most of the time to make a client, and no login."""
    plain = aiobotocore.session.get_session()
    plain.get_component("data_loader").file_loader = DescriptionFiles()
    plain.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    return aioboto3.Session(botocore_session=plain)


class DescriptionFiles(JSONFileLoader):  # type: ignore[misc]
    """Reads botocore's descriptions, and empties what no program looks at."""

    def load_file(self, file_path: str) -> dict[str, Any] | None:
        """Return what a description says; None where there is no such file."""
        for path, read in ((Path(f"{file_path}.json"), open), (Path(f"{file_path}.json.gz"), gzip.open)):
            if path.is_file():
                with read(path, "rb") as file:
                    found: dict[str, Any] = json.load(file, object_pairs_hook=_needed)
                return found
        return None


def _needed(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    # Empty and not absent: botocore asks for some of them by name. A field that is called so is no text.
    kept: dict[str, Any] = {}
    for name, value in members:
        kept[name] = "" if name == "documentation" and isinstance(value, str) else value
    if "partition" in kept and "services" in kept:
        kept["services"] = {name: value for name, value in kept["services"].items() if name in SERVICES}
    return kept


def timestamp(value: Any) -> datetime:
    """Return the time that a store writes: ISO 8601 in UTC in listings; anything else goes to botocore's own parser.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and value.endswith("Z"):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    parsed: datetime = parse_timestamp(value)
    return parsed
