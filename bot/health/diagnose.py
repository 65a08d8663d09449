"""The diagnosis: for each difference between the places one cause, whether it matters, and the one command that helps.

A cause is named only where the evidence proves it; otherwise it is `unexplained`. How bad a finding is follows from
which files it holds and why, never from how many.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import select

from bot.db.engine import Database, upsert
from bot.db.schema import properties
from bot.health.census import Census, FileState, take_census
from bot.health.examinations.case import Case
from bot.health.examinations.doctor import findings_of
from bot.health.findings import Counts, Diagnosis, Kind, Thresholds
from bot.ingest.poll import Poller


async def examine(
    poller: Poller,
    *,
    thresholds: Thresholds | None = None,
    several_servers: bool = False,
    ask_server: bool = True,
    accept_drop: bool = False,
) -> Diagnosis:
    """Take a census, say what it means compared with the last one, and keep its counts for the next.

    Args:
        poller: of the game server; need not be started.
        thresholds: when something is worth a word.
        several_servers: name the server in the commands.
        ask_server: list the server's folder; False takes the ledger's word for it.
        accept_drop: a processed count lower than the last is meant; compare with it from now on.

    Raises:
        ArchiveError: the archive folder cannot be read.
        DatabaseError: the database cannot be asked.
        CensusError: the numbers do not add up.
    """
    census = await take_census(poller, ask_server=ask_server)
    database = poller.importer.database
    previous = None if accept_drop else await previous_counts(database, census.server)
    diagnosis = diagnose(census, previous=previous, thresholds=thresholds, several_servers=several_servers)
    await keep_counts(database, diagnosis)
    return diagnosis


def diagnose(
    census: Census,
    *,
    previous: Counts | None = None,
    thresholds: Thresholds | None = None,
    several_servers: bool = False,
) -> Diagnosis:
    """Return what a census means.

    Args:
        census: what is where.
        previous: what the last census counted; None where there was none.
        thresholds: when something is worth a word.
        several_servers: name the server in the commands.
    """
    findings = findings_of(Case(census, previous, thresholds or Thresholds(), several_servers))
    order = [kind.value for kind in Kind]
    findings.sort(key=lambda finding: (-finding.severity.rank, order.index(finding.kind.value), finding.names))
    return Diagnosis(census, tuple(findings), previous)


# ---------------------------------------------------------------------- the last census


def counts_of(census: Census) -> Counts:
    """Return what the next census will be compared with."""
    return Counts(
        taken_at=census.taken_at,
        processed=len(census.ledger),
        imported=sum(1 for row in census.ledger.values() if row.state is FileState.IMPORTED),
        archived=len(census.archived),
        rounds=len(census.rounds),
        listed=None if census.listing.stale or not census.listing.configured else len(census.listing.files),
    )


def _property(server: str) -> str:
    return f"census:{server}"


async def previous_counts(database: Database, server: str) -> Counts | None:
    """Return the counts that were kept of the last census of a server, or None."""
    async with database.read() as connection:
        query = select(properties.c.value).where(properties.c.key == _property(server))
        text = (await connection.execute(query)).scalar_one_or_none()
    if text is None:
        return None
    try:
        return Counts(**json.loads(text))
    except (ValueError, TypeError):
        return None  # another version wrote it; the next census writes it anew


async def keep_counts(database: Database, diagnosis: Diagnosis) -> None:
    """Keep a census's counts for the next one.

    While the processed count is lower than it was, the old counts stay: a drop is said until it is mended or accepted,
    and not only once to whoever happened to look first.
    """
    if any(finding.kind is Kind.PROCESSED_DROPPED for finding in diagnosis.findings):
        return
    counts = counts_of(diagnosis.census)
    values = asdict(counts)
    row = {"key": _property(diagnosis.census.server), "value": json.dumps(values, sort_keys=True)}
    async with database.write() as connection:
        await upsert(connection, properties, [row], key=("key",), update=("value",))
