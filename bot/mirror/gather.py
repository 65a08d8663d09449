"""Gathers the evidence for a comparison of ledger and listing. Reads, and writes nothing anywhere.

What the listing shows just as the ledger believes it costs no request. Everything else is looked at closer: by the
store's MD5 where it gives one, else by reading it; what has a size that no known file has needs neither.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_

from bot.db.engine import Database, chunks
from bot.db.schema import file_contents, file_versions, processed_files, servers
from bot.health.census import stored_bytes
from bot.ingest.archive import REPLACED, content_hash
from bot.mirror.bodies import md5_of
from bot.mirror.book import DAMAGED, THERE, Condition, Copy
from bot.mirror.errors import ContentMismatch, ListingIncomplete, StoreAuth, StoreError, TooLarge, Unsupported
from bot.mirror.evidence import Closer, Evidence, Facts, plainly_there
from bot.mirror.inspect import outside_prefix
from bot.mirror.runs import Difference
from bot.mirror.store import Hidden, LifecycleRule, ObjectInfo, ObjectStore, Proof
from parsers import MAX_FILE_BYTES, ParseError, is_stats_file_name, parse_file_name

if TYPE_CHECKING:
    from bot.mirror.copy import Copier

T = TypeVar("T")

BATCH = 64
"""Objects whose bytes are in memory at once."""


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Do the same with many, some at a time. The first error ends it.

    Raises:
        StoreError: of one of them.
    """
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def list_all(store: ObjectStore) -> dict[str, ObjectInfo]:
    """Return a whole listing by key.

    Raises:
        ListingIncomplete: it cannot be the whole truth.
        StoreError: it broke off.
    """
    listing: dict[str, ObjectInfo] = {}
    async with contextlib.aclosing(store.list()) as objects:
        async for info in objects:
            if info.key in listing:
                raise ListingIncomplete(
                    f"{store.name}: the listing is not to be trusted",
                    f"{info.key[:80]!r} was listed twice",
                    "Nothing is concluded from it; it is listed again next time",
                )
            listing[info.key] = info
    return listing


async def contradictions(
    store: ObjectStore, copies: Iterable[Copy], listing: Mapping[str, ObjectInfo], concurrency: int
) -> list[tuple[Copy, str]]:
    """Look at every file that the listing shows otherwise than believed; return those that it is wrong about.

    Returns:
        The file, and what the listing and the look each say.
    """
    found: list[tuple[Copy, str]] = []

    async def look_at(copy: Copy) -> None:
        info = listing.get(copy.key)
        there = await store.head(copy.key)
        if info is None:
            if there is not None:
                found.append((copy, f"the listing does not show it, and a look shows {there.size:,} bytes"))
        elif there is None:
            found.append((copy, f"the listing shows {info.size:,} bytes, and a look shows nothing"))
        elif there.size != info.size or (None not in (there.etag, info.etag) and there.etag != info.etag):
            found.append((copy, f"the listing shows {_shown(info)}, and a look {_shown(there)}"))

    believed = (copy for copy in copies if copy.state in THERE)
    doubtful = [copy for copy in believed if (info := listing.get(copy.key)) is None or not plainly_there(copy, info)]
    await each(doubtful, look_at, concurrency)
    return sorted(found, key=lambda item: item[0].key)


def _shown(info: ObjectInfo) -> str:
    return f"{info.size:,} bytes of {info.last_modified:%Y-%m-%d %H:%M:%S} UTC"


async def gather(
    copier: Copier,
    store: ObjectStore,
    listing: Mapping[str, ObjectInfo],
    copies: Sequence[Copy],
    condition: Condition,
    *,
    previous: Mapping[tuple[str, str], Difference],
    deep: bool = False,
) -> Evidence:
    """Return everything that a judgement of this listing rests on.

    Args:
        copier: of the destination.
        store: the way in.
        listing: objects by key, whole and not contradicted.
        copies: the ledger's rows.
        condition: the destination's row.
        previous: what the last run found, by key and state.
        deep: also look for what no listing shows, and outside the prefix.

    Raises:
        StoreError: the destination stopped answering.
    """
    async with copier.database.read() as connection:
        names = frozenset((await connection.scalars(select(servers.c.name))).all())
    known = {copy.key for copy in copies}
    surplus = [info for key, info in listing.items() if key not in known]
    look = _Look(copier, store)
    await look.at_files([copy for copy in copies if not _in_order(copy, listing)], listing)
    await look.at_surplus(surplus, previous, names)
    gone = any(copy.state in (*THERE, "missing") and copy.key not in listing for copy in copies)
    hidden, outside = await _deep_look(copier, store) if deep else (None, None)
    return Evidence(
        now=int(copier.clock()),
        enabled_at=condition.enabled_at,
        prefix=copier.settings.prefix,
        replaces=copier.settings.on_differs != "keep",
        servers=names,
        copies=copies,
        listing=listing,
        facts=await _facts(copier.database, [copy for copy in copies if not _in_order(copy, listing)]),
        closer=look.closer,
        holders=await _holders(copier.database, {item.sha256 for item in look.closer.values() if item.sha256}),
        without_content=await _without_content(copier.database, [info.key for info in surplus], names),
        rules=await _rules(store) if gone else None,
        hidden=hidden,
        outside=outside,
        previous=previous,
    )


def _in_order(copy: Copy, listing: Mapping[str, ObjectInfo]) -> bool:
    info = listing.get(copy.key)
    return info is not None and plainly_there(copy, info)


async def _rules(store: ObjectStore) -> Sequence[LifecycleRule] | None:
    try:
        return await store.lifecycle()
    except StoreError:
        return None  # copying needs no right to ask for them; then they prove nothing


async def _deep_look(copier: Copier, store: ObjectStore) -> tuple[Sequence[Hidden] | None, Sequence[ObjectInfo] | None]:
    hidden: Sequence[Hidden] | None = None
    with contextlib.suppress(Unsupported):
        hidden = await store.hidden()
    return hidden, await outside_prefix(copier.settings) if copier.settings.prefix else None


# ---------------------------------------------------------------------- closer looks


async def read_bytes(store: ObjectStore, key: str) -> bytes:
    """Return an object's bytes as they are, whatever is stored beside it.

    Raises:
        StoreError: it cannot be read, or is longer than any stats file.
    """
    data = bytearray()
    async with store.open(key) as reader:
        # What is stored beside the object may be wrong as well: only the bytes count here.
        reader.info = replace(reader.info, sha256=None)
        async with contextlib.aclosing(aiter(reader)) as parts:
            async for part in parts:
                data += part
                if len(data) > MAX_FILE_BYTES:
                    raise TooLarge(f"{store.name}: {key}", "it is longer than any stats file", "Look what it is")
    return bytes(data)


class _Look:
    """Closer looks at objects, by key."""

    def __init__(self, copier: Copier, store: ObjectStore) -> None:
        self.copier = copier
        self.store = store
        self.closer: dict[str, Closer] = {}

    async def at_files(self, copies: Sequence[Copy], listing: Mapping[str, ObjectInfo]) -> None:
        """Compare listed objects with the files whose key they have."""
        listed = [(copy, listing[copy.key]) for copy in copies if copy.key in listing]
        for part in chunks(listed, BATCH):
            contents = await self.copier.contents.of([copy for copy, _ in part])
            to_read: list[str] = []
            for copy, info in part:
                ours = contents.get((copy.server_id, copy.name))
                by_md5 = info.md5 is not None and ours is not None and copy.error_code != DAMAGED
                if info.size > MAX_FILE_BYTES:
                    self.closer[copy.key] = Closer(unread="it is longer than any stats file")
                elif by_md5 and ours is not None and md5_of(ours) == info.md5:
                    self.closer[copy.key] = Closer(copy.sha256, Proof.ETAG)
                else:
                    to_read.append(copy.key)
            read = await self._read(to_read)
            known = await _known(self.copier.database, [content_hash(data) for data in read.values()])
            for copy, _ in part:
                if copy.key not in read:
                    continue
                data, digest = read[copy.key], content_hash(read[copy.key])
                ours = contents.get((copy.server_id, copy.name))
                cut = ours is not None and len(data) < len(ours) and ours.startswith(data)
                sha256 = digest if digest == copy.sha256 or digest in known else None
                self.closer[copy.key] = Closer(sha256, Proof.READ, cut, digest)

    async def at_surplus(
        self, infos: Sequence[ObjectInfo], previous: Mapping[tuple[str, str], Difference], names: frozenset[str]
    ) -> None:
        """Compare objects whose key is no file's with all known bytes."""
        by_size = await _hashes_by_size(self.copier.database, {info.size for info in infos})
        for part in chunks(infos, BATCH):
            by_md5 = await self._by_md5(by_size, part)
            to_read: list[str] = []
            digests: dict[str, str] = {}
            for info in part:
                before = previous.get((info.key, "extra"))
                aside = info.size <= MAX_FILE_BYTES and _is_aside(info.key, names)
                if before is not None and before.sha256 is not None and _unchanged(before, info):
                    digests[info.key] = before.sha256
                elif info.size not in by_size and not aside:
                    self.closer[info.key] = Closer()
                elif info.md5 is not None and (info.md5 in by_md5 or not aside):
                    self.closer[info.key] = Closer(by_md5.get(info.md5), Proof.ETAG)
                else:
                    to_read.append(info.key)
            read = await self._read(to_read)
            digests |= {key: content_hash(data) for key, data in read.items()}
            known = await _known(self.copier.database, list(digests.values()))
            for key, digest in digests.items():
                self.closer[key] = Closer(digest if digest in known else None, Proof.READ, digest=digest)

    async def _by_md5(self, by_size: Mapping[int, Sequence[str]], infos: Sequence[ObjectInfo]) -> dict[str, str]:
        """Return SHA-256 by MD5 of all known bytes that have the size of one of these objects."""
        wanted = {sha256 for info in infos if info.md5 is not None for sha256 in by_size.get(info.size, ())}
        found: dict[str, str] = {}
        for part in chunks(wanted, BATCH):
            kept = await stored_bytes(self.copier.database, {sha256: sha256 for sha256 in part})
            found |= {md5_of(data): sha256 for sha256, data in kept.items()}
        return found

    async def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Read objects; what cannot be read says why in its closer look. A destination that is down ends it."""
        got: dict[str, bytes] = {}

        async def read(key: str) -> None:
            try:
                got[key] = await read_bytes(self.store, key)
            except ContentMismatch as error:
                self.closer[key] = Closer(unread=error.why)
            except StoreError as error:
                if error.transient or (isinstance(error, StoreAuth) and error.whole):
                    raise
                self.closer[key] = Closer(unread=error.why)

        await each(keys, read, self.copier.settings.concurrency)
        return got


def _is_aside(key: str, names: frozenset[str]) -> bool:
    server, _, name = key.partition("/")
    return server in names and name.startswith(f"{REPLACED}/")


def _unchanged(before: Difference, info: ObjectInfo) -> bool:
    return before.etag is not None and before.etag == info.etag and before.listed_size == info.size


# ---------------------------------------------------------------------- the database


async def _known(database: Database, hashes: Sequence[str]) -> frozenset[str]:
    """Return those of these hashes that the database has bytes for."""
    if not hashes:
        return frozenset()
    query = select(file_contents.c.sha256).where(file_contents.c.sha256.in_(hashes))
    async with database.read() as connection:
        return frozenset((await connection.scalars(query)).all())


async def _hashes_by_size(database: Database, sizes: set[int]) -> dict[int, list[str]]:
    """Return the hashes of known bytes of these sizes."""
    found: dict[int, list[str]] = {}
    if not sizes:
        return found
    p = processed_files.c
    current = select(p.sha256, p.size).where(p.sha256.is_not(None)).distinct()
    earlier = select(file_contents.c.sha256, file_contents.c.size).join(
        file_versions, file_versions.c.sha256 == file_contents.c.sha256
    )
    async with database.read() as connection:
        for query in (current, earlier.distinct()):
            for sha256, size in await connection.execute(query):
                if size in sizes:
                    found.setdefault(size, []).append(sha256)
    return found


async def _holders(database: Database, hashes: set[str]) -> dict[str, list[str]]:
    """Return the keys of files that have or had these bytes, by hash."""
    found: dict[str, list[str]] = {}
    async with database.read() as connection:
        for part in chunks(hashes, 500):
            for table in (processed_files, file_versions):
                query = (
                    select(table.c.sha256, servers.c.name.label("server"), table.c.name)
                    .join(servers, servers.c.id == table.c.server_id)
                    .where(table.c.sha256.in_(part))
                )
                for sha256, server, name in await connection.execute(query):
                    found.setdefault(sha256, []).append(f"{server}/{name}")
    return found


async def _facts(database: Database, copies: Sequence[Copy]) -> dict[str, Facts]:
    """Return what the ledger knows of files beyond their rows at a destination, by key."""
    found: dict[str, Facts] = {}
    p, v = processed_files.c, file_versions.c
    async with database.read() as connection:
        zones = {row.id: ZoneInfo(row.time_zone) for row in await connection.execute(select(servers))}
        labels = {row.id: row.name for row in await connection.execute(select(servers))}
        for part in chunks(copies, 500):
            keys = {(copy.server_id, copy.name): copy for copy in part}
            names = {copy.name for copy in part}
            gone: dict[tuple[int, str], int | None] = {}
            same_name: dict[str, dict[str, int]] = {}
            query = select(p.server_id, p.name, p.sha256, p.gone_at).where(p.name.in_(names))
            for server_id, name, sha256, gone_at in await connection.execute(query):
                gone[server_id, name] = gone_at
                if sha256 is not None:
                    same_name.setdefault(name, {})[sha256] = server_id
            earlier: dict[tuple[int, str], set[str]] = {}
            versions = select(v.server_id, v.name, v.sha256).where(tuple_(v.server_id, v.name).in_(list(keys)))
            for server_id, name, sha256 in await connection.execute(versions):
                earlier.setdefault((server_id, name), set()).add(sha256)
            for key, copy in keys.items():
                found[copy.key] = Facts(
                    _played_at(copy.name, zones.get(copy.server_id)),
                    gone.get(key),
                    frozenset(earlier.get(key, ())),
                    {
                        sha256: labels[server_id]
                        for sha256, server_id in same_name.get(copy.name, {}).items()
                        if server_id != copy.server_id and sha256 != copy.sha256
                    },
                )
    return found


def _played_at(name: str, zone: ZoneInfo | None) -> int | None:
    if zone is None:
        return None
    try:
        stamp: datetime = parse_file_name(name).stamp
    except ParseError:
        return None
    return int(stamp.replace(tzinfo=zone).timestamp())


async def _without_content(database: Database, keys: Sequence[str], names: frozenset[str]) -> dict[str, int | None]:
    """Return those of these keys whose bytes the ledger does not have, with when the game server dropped them."""
    p = processed_files.c
    wanted = [key for key in keys if is_stats_file_name(key.partition("/")[2]) and key.partition("/")[0] in names]
    found: dict[str, int | None] = {}
    async with database.read() as connection:
        for part in chunks(wanted, 500):
            query = (
                select(servers.c.name.label("server"), p.name, p.gone_at)
                .join(servers, servers.c.id == p.server_id)
                .where(p.sha256.is_(None), p.name.in_([key.partition("/")[2] for key in part]))
            )
            for server, name, gone_at in await connection.execute(query):
                found[f"{server}/{name}"] = gone_at
    return {key: gone_at for key, gone_at in found.items() if key in set(wanted)}
