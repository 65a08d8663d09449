"""Why a destination is not as it should be: one state for every file and object, one proven cause for each difference.

Pure: from evidence to conclusions. A rule speaks only where its evidence is there; where none speaks, the cause is
`UNEXPLAINED`, which is never healthy.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.ingest.archive import REPLACED
from bot.mirror.book import CHANGED, DAMAGED, INTERRUPTED, THERE, Copy
from bot.mirror.errors import cleaned
from bot.mirror.evidence import Closer, Evidence, Facts, Judgement, plainly_there
from bot.mirror.runs import Cause, Difference
from bot.mirror.store import HiddenKind, ObjectInfo, Proof
from bot.utc import utc_second
from parsers import is_stats_file_name

AGE_PATTERN = 10
"""Files that have to be gone, and to be left, before their ages alone prove that a rule of the store's removed them."""

_SOURCE = "source"


def judge(evidence: Evidence) -> Judgement:
    """Return the state of every file and object, and the cause of each difference."""
    judge = _Judge(evidence)
    for copy in evidence.copies:
        judge.file(copy)
    for key, info in evidence.listing.items():
        if key not in judge.known:
            judge.surplus(info)
    judge.beyond_the_listing()
    judge.result.differences.sort(key=lambda difference: (difference.key, difference.state))
    return judge.result


class _Judge:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.result = Judgement()
        self.known = frozenset(copy.key for copy in evidence.copies)
        self._surplus_with: dict[str, str] = {
            look.sha256: key
            for key, look in evidence.closer.items()
            if look.sha256 is not None and key not in self.known and key in evidence.listing
        }
        self._hidden_now = {
            item.key: item for item in evidence.hidden or () if item.kind is HiddenKind.HIDE_MARKER and item.current
        }
        self._outside: dict[str, list[ObjectInfo]] = {}
        for info in evidence.outside or ():
            self._outside.setdefault(info.key.rpartition("/")[2], []).append(info)
        self._removed_by_age = self._age_pattern()

    # ------------------------------------------------------------------ files

    def file(self, copy: Copy) -> None:
        info = self.evidence.listing.get(copy.key)
        if copy.state == "excluded":
            self.result.states["excluded"] += 1
            if info is not None:
                self.surplus(info, excluded=copy)
        elif info is None:
            self._not_listed(copy)
        elif plainly_there(copy, info):
            self._count(copy, copy.state)
            if copy.listed_at is None or copy.missing_since is not None:
                at = copy.listed_at or self.evidence.now
                self.result.touched.append(replace(copy, listed_at=at, missing_since=None))
        else:
            self._listed_otherwise(copy, info)

    def _count(self, copy: Copy, state: str) -> None:
        self.result.states[state] += 1
        if state in THERE:
            self.result.bytes += copy.size

    def _facts(self, copy: Copy) -> Facts:
        return self.evidence.facts.get(copy.key, Facts())

    def _listed_otherwise(self, copy: Copy, info: ObjectInfo) -> None:
        look = self.evidence.closer.get(copy.key, Closer(unread="nobody looked"))
        if look.unread is not None and info.size == copy.size:
            why = f"it has the right size, and its bytes could not be compared: {look.unread}"
            self._count(copy, "unknown")
            self._differs(copy, "unknown", Cause.UNEXPLAINED, why, info, look)
        elif look.sha256 == copy.sha256 and (copy.error_code != DAMAGED or look.proof is Proof.READ):
            self._is_there(copy, info, look)
        else:
            self._other_bytes(copy, info, look)

    def _is_there(self, copy: Copy, info: ObjectInfo, look: Closer) -> None:
        now = self.evidence.now
        mended = replace(
            copy,
            state="verified",
            reason=None,
            error_code=None,
            tries=0,
            next_try_at=None,
            missing_since=None,
            listed_at=copy.listed_at or now,
            verified_at=now,
            etag=info.etag,
            proof=None if look.proof is None else look.proof.value,
            read_at=now if look.proof is Proof.READ else copy.read_at,
        )
        self._count(copy, "verified")
        if copy.state in THERE:
            # The same bytes under a new mark: stored again, or moved by the provider.
            self.result.touched.append(mended)
            return
        self.result.repairs.append(mended)
        cause, rule = self._why_there(copy, info, look)
        self._differs(copy, "verified", cause, rule, info, look)

    def _why_there(self, copy: Copy, info: ObjectInfo, look: Closer) -> tuple[Cause, str]:
        """Say why an object with the right bytes is there although the ledger did not believe it."""
        equal = "its bytes were read and are" if look.proof is Proof.READ else "the store's MD5 of it is that of"
        equal += " the known file's"
        if copy.state == "uploading" or copy.error_code == INTERRUPTED:
            return Cause.UPLOAD_INTERRUPTED, f"{equal}; its upload got through, and nobody was left to note it"
        if copy.state == "missing":
            if copy.missing_since is not None and info.last_modified.timestamp() <= copy.missing_since:
                since = f"the store has it since {utc_second(info.last_modified.timestamp())}"
                return Cause.LISTING_STALE, f"{equal}; {since}, before a listing did not show it"
            return Cause.UNEXPLAINED, f"{equal}; it was missing, and nothing here sent it again"
        if copy.state == "differs":
            before = self.evidence.previous.get((copy.key, "differs"))
            cause = Cause.UNEXPLAINED if before is None else before.cause
            return cause, f"{equal}; other bytes were there before"
        if copy.tries or copy.state == "failed":
            code = copy.error_code or "no error on record"
            return Cause.UPLOAD_INTERRUPTED, f"{equal}; an upload got through that was taken for failed ({code})"
        return Cause.UPLOADED_BEFORE_TRACKING, f"{equal}; no upload of ours is on record"

    def _other_bytes(self, copy: Copy, info: ObjectInfo, look: Closer) -> None:
        cause, rule = self._why_other_bytes(copy, info, look)
        self._count(copy, "differs")
        self._differs(copy, "differs", cause, rule, info, look)
        damaged = copy.error_code == DAMAGED and copy.etag == info.etag
        if self.evidence.replaces and not damaged:
            if copy.state in (*THERE, "missing", "uploading", "differs"):
                self.result.repairs.append(
                    replace(copy, state="pending", reason=rule, error_code=None, tries=0, next_try_at=None)
                )
            return
        if copy.state != "differs" or copy.etag != info.etag:
            self.result.repairs.append(
                replace(
                    copy,
                    state="differs",
                    reason=rule,
                    error_code=DAMAGED if damaged else "differs",
                    etag=info.etag,
                    proof=None,
                    verified_at=None,
                    next_try_at=None,
                    missing_since=None,
                    listed_at=copy.listed_at or self.evidence.now,
                )
            )

    def _why_other_bytes(self, copy: Copy, info: ObjectInfo, look: Closer) -> tuple[Cause, str]:
        facts = self._facts(copy)
        if look.sha256 is not None and look.sha256 in facts.earlier:
            return (
                Cause.SOURCE_CHANGED,
                f"it holds an earlier content of the file ({look.sha256[:16]}…); the name has had two",
            )
        if look.sha256 is not None and look.sha256 in facts.elsewhere:
            server = facts.elsewhere[look.sha256]
            return Cause.NAME_COLLISION, f"it holds the bytes of the game server {server}'s file of the same name"
        if look.cut_short:
            return (
                Cause.UPLOAD_INTERRUPTED,
                f"it holds the first {info.size:,} of the file's {copy.size:,} bytes, and nothing behind them",
            )
        holders = () if look.sha256 is None else sorted(self.evidence.holders.get(look.sha256, ()))
        if holders:
            return Cause.DUPLICATE, f"it holds the bytes of {cleaned(holders[0])}"
        if look.unread is not None:
            return Cause.UNEXPLAINED, f"it has {info.size:,} bytes there and {copy.size:,} here; {look.unread}"
        if info.size != copy.size:
            what = f"it has {info.size:,} bytes there and {copy.size:,} here"
        else:
            what = "it has the same size there and other bytes"
        return Cause.UNEXPLAINED, f"{what}, which no known file has"

    # ------------------------------------------------------------------ files that are not listed

    def _not_listed(self, copy: Copy) -> None:
        if copy.state in (*THERE, "missing"):
            self._missing(copy)
        elif copy.state == "failed":
            self._failed(copy)
        else:
            self._pending(copy)

    def _missing(self, copy: Copy) -> None:
        cause, rule = self._why_missing(copy)
        self._count(copy, "missing")
        self._differs(copy, "missing", cause, rule)
        if copy.state != "missing":
            now = self.evidence.now
            reason = "neither the listing nor a look at it shows it"
            self.result.repairs.append(
                replace(
                    copy,
                    state="missing",
                    reason=reason,
                    tries=0,
                    next_try_at=None,
                    missing_since=copy.missing_since or now,
                )
            )

    def _why_missing(self, copy: Copy) -> tuple[Cause, str]:
        marker = self._hidden_now.get(copy.key)
        if marker is not None:
            since = utc_second(marker.at.timestamp())
            return Cause.OLD_VERSION, f"a hide marker of {since} covers it; its bytes are there as an earlier version"
        moved = self._found_outside(copy)
        if moved is not None:
            return Cause.OUTSIDE_PREFIX, moved
        rule = self._rule_that_removed(copy)
        if rule is not None:
            return Cause.LIFECYCLE, rule
        elsewhere = self._surplus_with.get(copy.sha256)
        if elsewhere is not None:
            return Cause.DUPLICATE, f"its bytes lie under {cleaned(elsewhere)}: it was moved there"
        if copy.listed_at is not None:
            return Cause.UNEXPLAINED, f"it was listed since {utc_second(copy.listed_at)}; nothing says who removed it"
        if copy.uploaded_at is not None:
            sent = utc_second(copy.uploaded_at)
            return Cause.UNEXPLAINED, f"the store said on {sent} that it took it, and no listing ever showed it"
        return Cause.UNEXPLAINED, "it was believed to be there; nothing says who removed it"

    def _found_outside(self, copy: Copy) -> str | None:
        for info in self._outside.get(copy.name, ()):
            if info.size == copy.size and (info.key in (copy.key, copy.name) or info.key.endswith(f"/{copy.key}")):
                return f"{cleaned(info.key)} has its name and size, outside the prefix {self.evidence.prefix}"
        return None

    def _rule_that_removed(self, copy: Copy) -> str | None:
        stored = copy.uploaded_at or copy.listed_at
        if stored is None:
            return None
        for rule in self.evidence.rules or ():
            if not (self.evidence.prefix + copy.key).startswith(rule.prefix):
                continue
            due = rule.after
            if rule.days is not None:
                due = datetime.fromtimestamp(stored, UTC) + timedelta(days=rule.days)
            if due is not None and due.timestamp() <= self.evidence.now:
                limit = f"{rule.days} days" if rule.days is not None else utc_second(due.timestamp())
                return f"the store's lifecycle rule {cleaned(rule.name)} removes objects after {limit}"
        if self._removed_by_age is not None and stored <= self._removed_by_age:
            until = utc_second(self._removed_by_age)
            return f"everything stored until {until} is gone, everything after is there, as a rule by age leaves it"
        return None

    def _age_pattern(self) -> int | None:
        """Return the time of storing that divides what is gone from what is there; None where none does."""
        gone: list[int] = []
        left: list[int] = []
        for copy in self.evidence.copies:
            stored = copy.uploaded_at or copy.listed_at
            if copy.state in (*THERE, "missing") and stored is not None:
                (left if copy.key in self.evidence.listing else gone).append(stored)
        if len(gone) < AGE_PATTERN or len(left) < AGE_PATTERN or max(gone) >= min(left):
            return None
        return max(gone)

    def _failed(self, copy: Copy) -> None:
        if copy.error_code == _SOURCE:
            self._count(copy, "quarantined")
            gone_at = self._facts(copy).gone_at
            if gone_at is not None:
                gone = utc_second(gone_at)
                rule = f"the game server dropped it on {gone}, and neither archive nor database has its bytes"
                self._differs(copy, "quarantined", Cause.SOURCE_DELETED, rule)
            else:
                rule = "neither archive nor database has its bytes (source); the game server may still have them"
                self._differs(copy, "quarantined", Cause.UPLOAD_PARKED, rule)
            return
        self._count(copy, "failed")
        if copy.error_code is None:
            self._differs(copy, "failed", Cause.UNEXPLAINED, "it failed, and no error is on record")
        else:
            rule = f"given up after {copy.tries:,} tries; the last error was {cleaned(copy.error_code)}"
            self._differs(copy, "failed", Cause.UPLOAD_PARKED, rule)

    def _pending(self, copy: Copy) -> None:
        cause, rule = self._why_pending(copy)
        self._count(copy, "pending")
        self._differs(copy, "pending", cause, rule)
        if copy.state == "uploading":
            self.result.repairs.append(
                replace(copy, state="pending", reason="its upload was broken off", error_code=INTERRUPTED)
            )
        elif copy.state == "differs":
            self.result.repairs.append(replace(copy, state="pending", reason=None, error_code=None, etag=None))

    def _why_pending(self, copy: Copy) -> tuple[Cause, str]:
        facts = self._facts(copy)
        if copy.state == "uploading" or copy.error_code == INTERRUPTED:
            return Cause.UPLOAD_INTERRUPTED, "its upload began, and the process that sent it is no more"
        if copy.error_code == CHANGED and facts.earlier:
            return Cause.SOURCE_CHANGED, "its content changed on the game server; the new one waits to be sent"
        if copy.tries and copy.error_code is not None:
            rule = f"it failed {copy.tries:,} times, the last error was {cleaned(copy.error_code)}; it is tried again"
            return Cause.UPLOAD_PARKED, rule
        moved = self._found_outside(copy)
        if moved is not None:
            return Cause.OUTSIDE_PREFIX, moved
        if facts.played_at is None:
            return Cause.UNEXPLAINED, "it was never sent, and its name does not tell when it was played"
        played, enabled = utc_second(facts.played_at), utc_second(self.evidence.enabled_at)
        if facts.played_at < self.evidence.enabled_at:
            return Cause.DESTINATION_ADDED_LATER, f"it was played on {played}; files go there since {enabled}"
        return Cause.QUEUED, f"it was played on {played}, and its turn has not come"

    # ------------------------------------------------------------------ objects that no file explains

    def surplus(self, info: ObjectInfo, excluded: Copy | None = None) -> None:
        self.result.states["extra"] += 1
        look = self.evidence.closer.get(info.key, Closer(unread="nobody looked"))
        if excluded is not None and look.sha256 == excluded.sha256:
            cause, rule = Cause.UPLOADED_BEFORE_TRACKING, f"it is a known file's, and {excluded.reason} keeps it away"
        else:
            cause, rule = self._why_extra(info, look)
        server, _, name = info.key.partition("/")
        ours = server in self.evidence.servers and is_stats_file_name(name)
        self._add(
            Difference(
                info.key,
                server if ours else None,
                name if ours else None,
                "extra",
                cause,
                rule,
                info.size,
                None if excluded is None else excluded.size,
                look.sha256 or look.digest,
                self.evidence.now,
                info.etag,
                believed=None if excluded is None else "excluded",
            )
        )

    def _why_extra(self, info: ObjectInfo, look: Closer) -> tuple[Cause, str]:
        server, _, name = info.key.partition("/")
        known_server = server in self.evidence.servers
        aside = re.fullmatch(rf"{re.escape(REPLACED)}/(.+)\.([0-9a-f]{{16}})", name)
        digest = look.sha256 or look.digest
        if known_server and aside is not None and digest is not None and digest.startswith(aside[2]):
            rule = f"it was kept when {cleaned(aside[1])} was replaced: its bytes have the SHA-256 that its name says"
            return Cause.SOURCE_CHANGED, rule
        if look.sha256 is not None:
            return self._why_known_bytes(info, look.sha256)
        if info.key in self.evidence.without_content:
            gone_at = self.evidence.without_content[info.key]
            if gone_at is not None:
                rule = f"the ledger never had its bytes, and the game server dropped it on {utc_second(gone_at)}"
                return Cause.SOURCE_DELETED, rule
            return Cause.UNEXPLAINED, "the ledger knows its name and does not have its bytes"
        if known_server and is_stats_file_name(name):
            return Cause.UNEXPLAINED, "its name is a stats file's; the ledger knows neither the name nor the bytes"
        if look.unread is not None:
            return Cause.UNEXPLAINED, f"its name is no known file's; its bytes could not be compared: {look.unread}"
        return Cause.FOREIGN, f"neither its name nor its {info.size:,} bytes are those of any file here"

    def _why_known_bytes(self, info: ObjectInfo, sha256: str) -> tuple[Cause, str]:
        holders = sorted(self.evidence.holders.get(sha256, ()))
        if not holders:
            return Cause.UNEXPLAINED, "its bytes are kept here, and no file of any game server has them"
        beside = next((key for key in holders if key in self.evidence.listing and key != info.key), None)
        if beside is not None:
            return Cause.DUPLICATE, f"it has the bytes of {cleaned(beside)}, which is there too"
        stored = info.last_modified.timestamp()
        if stored < self.evidence.enabled_at:
            enabled = utc_second(self.evidence.enabled_at)
            when = f"it was stored on {utc_second(stored)}, and files go there since {enabled}"
            return Cause.UPLOADED_BEFORE_TRACKING, f"it has the bytes of {cleaned(holders[0])}; {when}"
        lost = {copy.key for copy in self.evidence.copies if copy.state in (*THERE, "missing")}
        if lost.intersection(holders):
            return Cause.DUPLICATE, f"it has the bytes of {cleaned(holders[0])}, which is gone: it was moved here"
        return Cause.UNEXPLAINED, f"it has the bytes of {cleaned(holders[0])}; nothing says who put it there"

    def beyond_the_listing(self) -> None:
        """Name what a deep look found: it is paid for, and in no listing of this destination."""
        words = {
            HiddenKind.OLD_VERSION: "an earlier version, which the store keeps",
            HiddenKind.HIDE_MARKER: "a hide marker: it was deleted, and its versions are kept",
            HiddenKind.UNFINISHED_UPLOAD: "an upload in parts that was never completed",
        }
        for item in self.evidence.hidden or ():
            self.result.states["hidden"] += 1
            rule = f"{words[item.kind]}, of {utc_second(item.at.timestamp())}"
            self._beyond(item.key, Cause.OLD_VERSION, rule, item.size, None)
        for info in self.evidence.outside or ():
            self.result.states["outside"] += 1
            rule = f"it does not begin with the prefix {self.evidence.prefix}"
            self._beyond(f"/{info.key}", Cause.OUTSIDE_PREFIX, rule, info.size, info.etag)

    def _beyond(self, key: str, cause: Cause, rule: str, size: int | None, etag: str | None) -> None:
        self._add(Difference(key, None, None, "extra", cause, rule, size, None, None, self.evidence.now, etag))

    # ------------------------------------------------------------------ the same for all

    def _differs(
        self,
        copy: Copy,
        state: str,
        cause: Cause,
        rule: str,
        info: ObjectInfo | None = None,
        look: Closer | None = None,
    ) -> None:
        found = Difference(
            copy.key,
            copy.server,
            copy.name,
            state,
            cause,
            rule,
            None if info is None else info.size,
            copy.size,
            None if look is None else look.sha256 or look.digest,
            self.evidence.now,
            None if info is None else info.etag,
            believed=copy.state,
        )
        if state == "missing" and copy.missing_since is not None and (copy.key, state) not in self.evidence.previous:
            found = replace(found, first_seen_at=copy.missing_since, sightings=2)
        self._add(found)

    def _add(self, found: Difference) -> None:
        before = self.evidence.previous.get((found.key, found.state))
        if before is not None:
            found = replace(found, first_seen_at=before.first_seen_at, sightings=before.sightings + 1)
        self.result.differences.append(found)


def command_for(found: Difference, destination: str) -> str | None:
    """Return the one command that mends a difference, or shows more of it; None where nothing has to be done."""
    bot = "python -m bot"
    if found.state == "differs" or found.cause is Cause.NAME_COLLISION:
        server = "" if found.server is None else f" --server {found.server}"
        return f"{bot} mirror force {found.name} --to {destination}{server}"
    if found.cause is Cause.UPLOAD_PARKED:
        return f"{bot} sync --restore" if found.state == "quarantined" else f"{bot} mirror resume {destination}"
    if found.cause is Cause.DESTINATION_ADDED_LATER:
        return f"{bot} mirror backfill {destination}"
    if found.state in ("pending", "missing"):
        return f"{bot} mirror sync {destination}"
    if found.cause is Cause.LISTING_STALE or found.state == "unknown":
        return f"{bot} reconcile run {destination}"
    if found.cause is Cause.UNEXPLAINED and found.name is not None:
        return f"{bot} mirror sync {destination}"
    return None
