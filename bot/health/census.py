"""The census: what each place holds of one game server's files, by name.

Four places: the game server's folder, the archive, the ledger (`processed_files`) and the rounds of the sessions. Each
gives a set of names with its basis and its time; totals are counted from the names and never kept. Sums that must come
out even are checked (`Sum`), not assumed.

Taking a census changes nothing anywhere. It may be taken beside a running poll: places are looked at in such an order,
and once more where it matters, that a file on its way through them is not taken for a lost one.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, select

from bot.db.engine import Database, chunks
from bot.db.schema import file_contents, matches, processed_files, rounds
from bot.ingest.archive import Archive, ArchiveError, content_hash
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.ledger import Known, Ledger
from bot.ingest.remote_file import RemoteFile
from parsers import MAX_FILE_BYTES, FileKind, ParseError, parse_file_name

if TYPE_CHECKING:
    from bot.ingest.poll import Poller  # its SSH library is heavy, and who only asks the database needs none

READ_AT_ONCE = 100
"""Archived files that are read before other work on the loop gets its turn."""


class Basis(StrEnum):
    """Where a number comes from."""

    LISTING = "listing"  # looked at just now
    LEDGER = "ledger"  # what the database believes


class FileState(StrEnum):
    """The one state of a file: the ledger's, with what only other places know."""

    IMPORTED = "imported"
    FETCHED = "fetched"
    GROWING = "growing"
    FAILED = "failed"
    PARKED = "parked"  # failed for good: waits for a person
    IGNORED = "ignored"
    SESSIONS_ONLY = "in sessions only"
    ARCHIVE_ONLY = "in archive only"
    UNSEEN = "unseen"


class Copy(StrEnum):
    """How a file's copy in the archive compares with the ledger."""

    OK = "ok"
    MISSING = "missing"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"


class CensusError(Exception):
    """Numbers that must add up do not. That is a fault of this program, not of the files."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A set of names and the parts it must be made of, each name in exactly one.

    Raises:
        CensusError: a name is in no part or in two, or a part holds a name of its own.
    """

    whole: str
    names: frozenset[str]
    parts: Mapping[str, frozenset[str]]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for part, names in self.parts.items():
            if not names <= self.names:
                raise CensusError(f"{self.whole}: {part} holds {_some(names - self.names)}, which the whole does not")
            if seen & names:
                raise CensusError(f"{self.whole}: {_some(seen & names)} is in {part} and in another part")
            seen |= names
        if seen != self.names:
            raise CensusError(f"{self.whole}: {_some(self.names - seen)} is in no part")

    def counts(self) -> dict[str, int]:
        """Return how many names each part holds; parts without any are left out."""
        return {part: len(names) for part, names in self.parts.items() if names}


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A row of `processed_files`. Sizes in bytes, times in unix seconds."""

    name: str
    state: FileState
    reason: str | None
    sha256: str | None
    size: int | None
    remote_mtime: int | None
    tries: int
    next_try_at: int | None
    first_seen_at: int
    fetched_at: int | None
    imported_at: int | None
    gone_at: int | None
    parser_version: int | None


@dataclass(frozen=True, slots=True)
class StoredRound:
    """A round of the sessions, as far as the census needs it. `in_ledger` tells whether the ledger has its file."""

    name: str
    sha256: str
    number: int
    map_name: str
    flags: frozenset[str]
    excluded: str | None
    base_round_id: int | None
    id: int
    match_key: str | None
    parser_version: int
    in_ledger: bool


@dataclass(frozen=True, slots=True)
class ServerView:
    """What the game server's folder holds.

    Attributes:
        files: by name; the last known ones where the server could not be asked.
        basis: a live listing, or the ledger.
        as_of: when that was so, unix seconds; None where nothing was ever listed.
        stale: the server could not be asked; `error` says why.
        error: what is wrong, why, and what next; None where it was asked or there is none to ask.
        error_code: the stable word for that error.
        configured: whether there is a game server to ask at all.
        suspicious: why absence from this listing is not believed, or None.
        skipped: entries that cannot be fetched, with the reason; the first hundred.
        skipped_total: how many of those there are.
    """

    files: Mapping[str, RemoteFile]
    basis: Basis
    as_of: int | None
    stale: bool = False
    error: str | None = None
    error_code: str | None = None
    configured: bool = True
    suspicious: str | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    skipped_total: int = 0

    @property
    def names(self) -> frozenset[str]:
        """The names of `files`."""
        return frozenset(self.files)


@dataclass(frozen=True, slots=True)
class Census:
    """What each place holds of one game server's files at one moment.

    Attributes:
        server: name of the game server.
        taken_at: unix seconds.
        listing: the server's folder.
        archived: files in the archive: size in bytes by name.
        copies: for every file that the ledger has the hash of: how its copy in the archive compares.
        copy_notes: what is known of copies that differ or cannot be read.
        ledger: rows of `processed_files` by name.
        rounds: rounds of the sessions by file name.
        kept_bytes: of the files whose copy is not ok: those whose bytes the database has, proven by their hash.
        earlier: files whose content changed after it was imported: how many earlier contents are kept, and since when.
        archive_as_of: when the archive was looked through, unix seconds.
        database_as_of: when the database was asked, unix seconds.
    """

    server: str
    taken_at: int
    listing: ServerView
    archived: Mapping[str, int]
    copies: Mapping[str, Copy]
    copy_notes: Mapping[str, str]
    ledger: Mapping[str, LedgerFile]
    rounds: Mapping[str, StoredRound]
    kept_bytes: frozenset[str]
    archive_as_of: int
    database_as_of: int
    sums: tuple[Sum, ...] = field(default=())

    def state(self, name: str) -> FileState:
        """Return the one state of a file."""
        known = self.ledger.get(name)
        if known is not None:
            return known.state
        if name in self.rounds:
            return FileState.SESSIONS_ONLY
        return FileState.ARCHIVE_ONLY if name in self.archived else FileState.UNSEEN

    def by_state(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """Sort names by their state; states without any are left out."""
        sorted_out: dict[str, set[str]] = {}
        for name in names:
            sorted_out.setdefault(self.state(name).value, set()).add(name)
        return {state: frozenset(members) for state, members in sorted_out.items()}

    def copies_that(self, copy: Copy) -> frozenset[str]:
        """Return the names whose copy in the archive is like that."""
        return frozenset(name for name, found in self.copies.items() if found is copy)

    def gone(self) -> frozenset[str]:
        """Return the names that the server listed once and does not any more, as far as that is believed."""
        noted = frozenset(name for name, row in self.ledger.items() if row.gone_at is not None)
        if self.listing.stale or self.listing.suspicious or not self.listing.configured:
            return noted - self.listing.names
        listed_before = (name for name, row in self.ledger.items() if row.remote_mtime is not None)
        return frozenset(name for name in listed_before if name not in self.listing.files)


async def take_census(poller: Poller, *, ask_server: bool = True) -> Census:
    """Look at every place and return what it holds.

    Args:
        poller: of the game server; need not be started.
        ask_server: list the server's folder; False takes the ledger's word for it.

    Raises:
        ArchiveError: the archive folder cannot be read.
        DatabaseError: the database cannot be asked.
        CensusError: the numbers do not add up.
    """
    clock = poller.clock
    # The server before the database: what is listed and was imported a moment later is not called unseen.
    live = await _ask_server(poller) if ask_server else None
    archive_as_of = int(clock())
    archived = {file.name: file.size for file in poller.archive.scan()}
    database_as_of = int(clock())
    ledger, stored = await _ask_database(poller)
    listing = _judged(poller, live, ledger) if isinstance(live, ServerView) else _last_known(poller, live, ledger)
    copies, notes = await _compare_copies(poller, ledger, archived)
    not_ok = [name for name, copy in copies.items() if copy is not Copy.OK]
    census = Census(
        server=poller.server.name,
        taken_at=int(clock()),
        listing=listing,
        archived=archived,
        copies=copies,
        copy_notes=notes,
        ledger=ledger,
        rounds=stored,
        kept_bytes=await _bytes_kept(poller, ledger, not_ok),
        archive_as_of=archive_as_of,
        database_as_of=database_as_of,
    )
    return replace(census, sums=_sums(census))


# ---------------------------------------------------------------------- the game server


async def _ask_server(poller: Poller) -> ServerView | GameServerError | None:
    if poller.source is None:
        return None
    try:
        listing = await poller.source.listing()
    except GameServerError as error:
        return error
    return ServerView(
        files={file.name: file for file in listing.files},
        basis=Basis.LISTING,
        as_of=int(listing.taken_at.timestamp()),
        skipped=tuple((entry.name, entry.reason.value) for entry in listing.skipped),
        skipped_total=listing.skipped_total,
    )


def _judged(poller: Poller, live: ServerView, ledger: Mapping[str, LedgerFile]) -> ServerView:
    """Return the listing with the ledger's own judgement whether absence from it is to be believed."""
    judge = Ledger(poller.importer.database, poller.server, poller.archive, poller.clock)
    # A ledger of our own: the running poller's memory is not to be touched.
    judge.memory = {
        name: Known(row.state.value, row.size, row.remote_mtime, row.next_try_at, row.gone_at is not None)
        for name, row in ledger.items()
    }
    suspicious = judge.decide(list(live.files.values())).suspicious
    return ServerView(
        live.files,
        live.basis,
        live.as_of,
        suspicious=suspicious,
        skipped=live.skipped,
        skipped_total=live.skipped_total,
    )


def _last_known(poller: Poller, error: GameServerError | None, ledger: Mapping[str, LedgerFile]) -> ServerView:
    files = {
        name: RemoteFile(name, row.size or 0, row.remote_mtime)
        for name, row in ledger.items()
        if row.remote_mtime is not None and row.gone_at is None
    }
    # The last time that a listing taught the ledger something. It may have been looked at since, with nothing new.
    taught = [
        time
        for row in ledger.values()
        if row.remote_mtime is not None
        for time in (row.first_seen_at, row.gone_at)
        if time is not None
    ]
    return ServerView(
        files=files,
        basis=Basis.LEDGER,
        as_of=max(taught, default=None),
        stale=poller.source is not None,
        error=str(error) if error is not None else None,
        error_code=error.code if error is not None else None,
        configured=poller.source is not None,
    )


# ---------------------------------------------------------------------- the database


async def _ask_database(poller: Poller) -> tuple[dict[str, LedgerFile], dict[str, StoredRound]]:
    """Read ledger and rounds. Each statement is one look, so that no import between two of them shows as a gap."""
    c, r = processed_files.c, rounds.c
    round_columns = (
        r.id,
        r.file_name,
        r.sha256.label("round_sha256"),
        r.number,
        r.map_name,
        r.flags,
        r.excluded,
        r.base_round_id,
        r.parser_version.label("round_parser_version"),
        matches.c.key.label("match_key"),
    )
    same_file = and_(r.server_id == c.server_id, r.file_name == c.name)
    both = (
        select(processed_files, *round_columns)
        .select_from(processed_files.outerjoin(rounds, same_file).outerjoin(matches, matches.c.id == r.match_id))
        .where(c.server_id == poller.server.id)
    )
    without_row = (
        select(*round_columns)
        .select_from(rounds.outerjoin(matches, matches.c.id == r.match_id))
        .where(r.server_id == poller.server.id, ~exists().where(same_file))
    )
    ledger: dict[str, LedgerFile] = {}
    stored: dict[str, StoredRound] = {}
    async with poller.importer.database.read() as connection:
        for row in await connection.execute(both):
            ledger[row.name] = ledger_file(row)
            if row.file_name is not None:
                stored[row.name] = _stored_round(row, in_ledger=True)
        for row in await connection.execute(without_row):
            if row.file_name not in ledger:
                stored[row.file_name] = _stored_round(row, in_ledger=False)
    return ledger, stored


def ledger_file(row: Any) -> LedgerFile:
    """Return a row of `processed_files` as a value."""
    parked = row.state == "failed" and row.next_try_at is None
    return LedgerFile(
        name=row.name,
        state=FileState.PARKED if parked else FileState(row.state),
        reason=row.reason,
        sha256=row.sha256,
        size=row.size,
        remote_mtime=row.remote_mtime,
        tries=row.tries,
        next_try_at=row.next_try_at,
        first_seen_at=row.first_seen_at,
        fetched_at=row.fetched_at,
        imported_at=row.imported_at,
        gone_at=row.gone_at,
        parser_version=row.parser_version,
    )


def _stored_round(row: Any, *, in_ledger: bool) -> StoredRound:
    return StoredRound(
        name=row.file_name,
        sha256=row.round_sha256,
        number=row.number,
        map_name=row.map_name,
        flags=frozenset(row.flags.split()),
        excluded=row.excluded,
        base_round_id=row.base_round_id,
        id=row.id,
        match_key=row.match_key,
        parser_version=row.round_parser_version,
        in_ledger=in_ledger,
    )


async def stored_bytes(database: Database, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """Return the raw bytes of files as the database keeps them, of those whose hash proves them whole.

    Args:
        database: to read from.
        wanted: sha256 by name, of as many files as memory has room for; a file is at most 64 KiB.
    """
    c = file_contents.c
    contents: dict[str, bytes] = {}
    async with database.read() as connection:
        for part in chunks(set(wanted.values()), 1000):
            for row in await connection.execute(select(c.sha256, c.raw).where(c.sha256.in_(part))):
                try:
                    data = zlib.decompress(row.raw)
                except zlib.error:
                    continue
                if content_hash(data) == row.sha256:
                    contents[row.sha256] = data
    return {name: contents[sha256] for name, sha256 in wanted.items() if sha256 in contents}


async def _bytes_kept(poller: Poller, ledger: Mapping[str, LedgerFile], names: Iterable[str]) -> frozenset[str]:
    kept: set[str] = set()
    for part in chunks(sorted(names), 500):
        hashes = {name: sha256 for name in part if (sha256 := ledger[name].sha256) is not None}
        kept |= (await stored_bytes(poller.importer.database, hashes)).keys()
    return frozenset(kept)


# ---------------------------------------------------------------------- the archive


async def _compare_copies(
    poller: Poller, ledger: Mapping[str, LedgerFile], archived: dict[str, int]
) -> tuple[dict[str, Copy], dict[str, str]]:
    """Hash every archived file that the ledger knows the hash of."""
    copies: dict[str, Copy] = {}
    notes: dict[str, str] = {}
    for position, (name, row) in enumerate(sorted(ledger.items())):
        if row.sha256 is None:
            continue
        if position % READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        # Names that the scan did not see are looked for again: they may have come down since.
        copies[name], note = compare_copy(poller.archive, name, row.sha256, row.size)
        if note is not None:
            notes[name] = note
        if copies[name] is not Copy.MISSING:
            archived.setdefault(name, row.size or 0)
        else:
            archived.pop(name, None)
    return copies, notes


def compare_copy(archive: Archive, name: str, sha256: str, size: int | None) -> tuple[Copy, str | None]:
    """Compare a file's copy in the archive with what was imported; the second value says what differs."""
    try:
        data = archive.read(name, MAX_FILE_BYTES)
    except ArchiveError as error:
        return Copy.UNREADABLE, str(error)
    if data is None:
        return Copy.MISSING, None
    found = content_hash(data)
    if found == sha256:
        return Copy.OK, None
    length = f"over {MAX_FILE_BYTES}" if len(data) > MAX_FILE_BYTES else str(len(data))
    return Copy.DIFFERS, f"{length} bytes, sha256 {found[:16]}; imported were {size} bytes, {sha256[:16]}"


# ---------------------------------------------------------------------- sums


def has_a_round(name: str) -> bool:
    """Tell whether a file of this name, once imported, makes a round (awards and weapon files make none)."""
    try:
        return parse_file_name(name).kind is FileKind.ROUND
    except ParseError:
        return False  # a row that somebody wrote by hand; it must not end the diagnosis


def _sums(census: Census) -> tuple[Sum, ...]:
    ledger = frozenset(census.ledger)
    stored = frozenset(census.rounds)
    archived = frozenset(census.archived)
    imported = frozenset(name for name, row in census.ledger.items() if row.state is FileState.IMPORTED)
    gone = census.gone() & ledger
    listed = census.listing.names & ledger - gone
    beside = frozenset(name for name in imported if not has_a_round(name))
    compared = {copy.value: census.copies_that(copy) & archived for copy in Copy}
    return (
        Sum("server", census.listing.names, census.by_state(census.listing.names)),
        Sum("archive", archived, compared | {"without a hash in the ledger": archived - frozenset(census.copies)}),
        Sum("processed_files", ledger, census.by_state(ledger)),
        Sum(
            "processed_files by place",
            ledger,
            {"on the server": listed, "gone from the server": gone, "not on the server": ledger - listed - gone},
        ),
        Sum(
            "imported",
            imported,
            {
                "with a round": imported & stored,
                "awards and the like": beside - stored,
                "without a round": imported - stored - beside,
            },
        ),
        Sum("sessions", stored, census.by_state(stored)),
    )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")
