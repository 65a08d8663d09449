"""Why places differ, for a phone: the sums, then one finding for each cause with its proof and the command that helps.

What a rule proved is told in the words of the service that proved it; everything else is in the reader's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from bot.cards.health import slug
from bot.cards.health_commands import Mention, command_told
from bot.cogs.text import code, escape, lines, when
from bot.health.census import Sum
from bot.health.destinations import Basis, Comparison, DestinationDiagnosis
from bot.health.findings import Diagnosis, Finding, Severity
from bot.health.timeline import CopyState, FileHistory
from bot.locales import Texts

SIGNS: Final = {Severity.OK: "🟢", Severity.ATTENTION: "🟡", Severity.PROBLEM: "🔴"}

SAMPLES: Final = 3
"""Names that are shown of each finding; the attachment has all."""

MOST_WHY: Final = 260
LONGEST_FILE: Final = 110
"""Characters of a rule, and of a file's name, that are shown."""

MOST_FINDINGS: Final = 3300
"""Characters that all findings of an answer take together."""

PLACES: Final = ("server", "archive", "processed_files", "sessions")
"""What a game server's files are compared between."""

MOST_EVENTS: Final = 14
"""Events of a file that are shown; the attachment has all."""


def severity_word(severity: Severity, t: Texts) -> str:
    """Return how bad it is, as a sign and a word."""
    return f"{SIGNS[severity]} {t(f'health.severity.{severity.value}')}"


def finding_block(finding: Finding, t: Texts, mention: Mention) -> str:
    """Return a finding: what, how many, why, names, and the one command that mends it."""
    head = f"{SIGNS[finding.severity]} **{_title(finding, t)}**"
    if finding.count:
        head += ": " + t("health.files", count=finding.count)
    if finding.oldest is not None and finding.newest is not None:
        days = dict.fromkeys((finding.oldest.isoformat(), finding.newest.isoformat()))
        head += f" ({' … '.join(days)})"
    rows = [head, f"-# {t('health.why')}: {lines(finding.why.replace(chr(10), ' '), MOST_WHY)}"]
    rows += [f"-# `{code(name, LONGEST_FILE)}`" for name in finding.names[:SAMPLES]]
    if finding.dry_run is not None and finding.dry_run != finding.do:
        rows.append(f"{t('health.look')}: {command_told(finding.dry_run, mention)}")
    if finding.do is not None:
        rows.append(f"{t('health.do')}: {command_told(finding.do, mention)}")
    return "\n".join(rows)


def _title(finding: Finding, t: Texts) -> str:
    key = f"health.kind.{slug(finding.kind.value)}"
    return t(key) if key in t else lines(finding.title, 120)


def sum_line(word: str, item: Sum, t: Texts) -> str:
    """Return a whole and what it is made of, which was proven to add up."""
    parts = " + ".join(f"{t.number(count)} {_part(part, t)}" for part, count in sorted(item.counts().items()))
    return f"{word} **{t.number(len(item.names))}** = {parts or 0}"


def _part(part: str, t: Texts) -> str:
    key = f"health.file.{slug(part)}"
    return t(key) if key in t else escape(part, 60)


def fitted(blocks: Sequence[str], t: Texts, most: int = MOST_FINDINGS) -> list[str]:
    """Return the blocks that fit into one message, and how many do not."""
    kept: list[str] = []
    used = 0
    for position, block in enumerate(blocks):
        if used + len(block) > most or len(kept) >= 25:
            kept.append(t("health.more_findings", count=len(blocks) - position))
            break
        kept.append(block)
        used += len(block)
    return kept


# ---------------------------------------------------------------------- a game server


def server_blocks(diagnosis: Diagnosis, t: Texts, mention: Mention) -> list[str]:
    """Return the diagnosis of a game server: each place with its sum, then the findings."""
    census = diagnosis.census
    listing = census.listing
    head = f"{severity_word(diagnosis.severity, t)}: **{escape(census.server)}**"
    if listing.stale:
        as_of = t("health.never") if listing.as_of is None else when(listing.as_of, "R")
        head += f" · **{t('health.stale')}** ({as_of})"
    rows = [head]
    sums = {item.whole: item for item in census.sums}
    for place in PLACES:
        if place in sums and (place != "server" or listing.configured):
            rows.append("-# " + sum_line(t(f"health.place.{place}"), sums[place], t))
    blocks = ["\n".join(rows)]
    blocks += [finding_block(finding, t, mention) for finding in diagnosis.findings]
    if not diagnosis.findings:
        blocks.append(t("health.nothing_differs"))
    return blocks


# ---------------------------------------------------------------------- destinations


def destination_blocks(place: DestinationDiagnosis, t: Texts, mention: Mention) -> list[str]:
    """Return the diagnosis of a destination: what it rests on, both sums, then one finding for each cause."""
    rows = [f"{severity_word(place.severity, t)}: **{escape(place.name)}** · {_rests_on(place, t)}"]
    if place.problem is not None:
        rows.append(f"> {lines(place.problem.replace(chr(10), ' '), 300)}")
    expected, listed = place.sums
    rows.append("-# " + sum_line(t("health.expected"), expected, t))
    if place.run is not None:
        rows.append("-# " + sum_line(t("health.really_listed"), listed, t))
    blocks = ["\n".join(rows)]
    blocks += [finding_block(finding, t, mention) for finding in place.findings]
    if not place.findings:
        blocks.append(t("health.nothing_differs" if place.run is not None else "health.never_compared"))
    return blocks


def _rests_on(place: DestinationDiagnosis, t: Texts) -> str:
    text = t("health.never_compared")
    if place.run is not None:
        text = t("health.listed_at", when=when(place.run.ended_at, "R"))
    if place.stale:
        return f"{text} · **{t('health.stale')}**"
    return f"{text} · {t('health.last_run')}" if place.basis is Basis.LAST_RUN else text


def comparison_blocks(found: Comparison, t: Texts, mention: Mention) -> list[str]:
    """Return why two destinations do not hold the same: both sums, then each cause on the side that has more."""
    rows = [severity_word(found.severity, t)]
    for side, item in zip((found.left, found.right), found.sums, strict=True):
        rows.append(f"**{escape(side.name)}** · {_rests_on(side, t)}")
        if side.problem is not None:
            rows.append(f"> {lines(side.problem.replace(chr(10), ' '), 300)}")
        parts = {"both": len(found.both), "alone": len(item.names) - len(found.both)}
        rows.append("-# " + t("health.listed_of", total=len(item.names), **parts))
    blocks = ["\n".join(rows)]
    sides = ((found.left, found.right, found.only_left), (found.right, found.left, found.only_right))
    for here, there, findings in sides:
        for finding in findings:
            where = t("health.only_in", here=escape(here.name), there=escape(there.name))
            blocks.append(f"{where}\n{finding_block(finding, t, mention)}")
    if len(blocks) == 1:
        blocks.append(t("health.same_names"))
    return blocks


# ---------------------------------------------------------------------- one file


def history_blocks(history: FileHistory, t: Texts, *, reasons: bool) -> list[str]:
    """Return one file's way through all places.

    Args:
        history: what is known of it.
        t: the language.
        reasons: whether what destinations said of it is told: it may name buckets and hosts of the operator.
    """
    row = history.ledger
    facts = [f"**{escape(history.server)}** / `{code(history.name, LONGEST_FILE)}`"]
    facts.append(f"{t('health.place.server')}: {lines(history.on_server, 200)}")
    facts.append(f"{t('health.place.archive')}: {lines(history.archive, 200)}")
    if row is not None:
        reason = "" if row.reason is None else f": {lines(row.reason, 200)}"
        facts.append(f"{t('health.place.processed_files')}: {_part(row.state.value, t)}{reason}")
        if row.sha256 is not None:
            facts.append(f"-# sha256 `{row.sha256}`")
    if history.round is not None:
        played = {"number": history.round["number"], "map": escape(str(history.round["map"]))}
        facts.append(t("health.round", **played))
    blocks = ["\n".join(facts)]
    if history.copies:
        blocks.append("\n".join(_copy(copy, t, reasons=reasons) for copy in history.copies))
    events = history.events if reasons else [item for item in history.events if not _of_copy(item.what, history)]
    shown = [f"{when(event.at, 'd')} {when(event.at, 'T')} {lines(event.what, 160)}" for event in events[-MOST_EVENTS:]]
    if len(events) > len(shown):
        shown.insert(0, t("health.earlier_events", count=len(events) - len(shown)))
    blocks.append("\n".join(shown))
    return blocks


def _of_copy(what: str, history: FileHistory) -> bool:
    return any(what.startswith(f"{copy.destination}: ") for copy in history.copies)


def _copy(copy: CopyState, t: Texts, *, reasons: bool) -> str:
    state = t("health.file.untracked") if copy.state == "not queued yet" else _part(copy.state, t)
    text = f"**{escape(copy.destination)}**: {state}"
    if copy.verified_at is not None:
        text += " · " + t("health.hash_compared", when=when(copy.verified_at, "R"))
    if copy.stale:
        text += f" · **{t('health.stale')}**"
    said = " ".join(part for part in (copy.reason, copy.cause) if part) if reasons else ""
    return f"{text}: {lines(said, 200)}" if said else text


def history_record(history: FileHistory, *, reasons: bool) -> dict[str, Any]:
    """Return a file's way as plain values."""
    record = asdict(history)
    if not reasons:
        record["copies"] = [{"destination": copy.destination, "state": copy.state} for copy in history.copies]
        record["events"] = [asdict(item) for item in history.events if not _of_copy(item.what, history)]
    return record
