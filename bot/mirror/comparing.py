"""What is believed of each file at a destination, held against what a listing shows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bot.mirror.bodies import md5_of
from bot.mirror.book import BATCH, CHANGED, DAMAGED, NEWER_THERE, THERE, WAITING, Book, Copy
from bot.mirror.contents import Contents
from bot.mirror.report import CycleReport
from bot.mirror.settings import Destination
from bot.mirror.store import ObjectInfo, Proof


class Comparer:
    """Judges the files of one destination by a listing of it.

    Args:
        settings: of the destination.
        book: what is believed; judgements are written into it.
        contents: our bytes, for their MD5.
        clock: unix seconds.
    """

    def __init__(self, settings: Destination, book: Book, contents: Contents, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.book = book
        self.contents = contents
        self.clock = clock

    async def compare(self, copies: Sequence[Copy], listing: Mapping[str, ObjectInfo], report: CycleReport) -> None:
        """Hold what we believe of each file against what the listing shows of it."""
        down = set(report.downloaded)
        changed: list[Copy] = []
        doubtful: list[tuple[Copy, ObjectInfo]] = []
        now = int(self.clock())
        for copy in copies:
            if copy.state == "excluded":
                report.excluded += 1
                continue
            info = listing.get(copy.key)
            if info is None:
                if self._not_listed(copy, now, report):
                    changed.append(copy)
                continue
            back = copy.missing_since is not None or copy.listed_at is None
            copy.missing_since = None
            copy.listed_at = copy.listed_at or now
            believed = copy.state in THERE and copy.size == info.size
            if believed and (copy.etag is None or info.etag is None or copy.etag == info.etag):
                if copy.key not in down:
                    report.in_sync += 1
                if back:
                    changed.append(copy)
                continue
            doubtful.append((copy, info))
        for position in range(0, len(doubtful), BATCH):
            part = doubtful[position : position + BATCH]
            contents = await self.contents.of([copy for copy, info in part if info.md5 and info.size == copy.size])
            for copy, info in part:
                self._judge(copy, info, contents.get((copy.server_id, copy.name)), now, report)
                changed.append(copy)
                if copy.state in THERE and copy.key not in down:
                    report.in_sync += 1
            await asyncio.sleep(0)
        await self.book.save(changed)

    def _not_listed(self, copy: Copy, now: int, report: CycleReport) -> bool:
        """Judge a file that the listing does not show; return whether its row changed."""
        if copy.state in THERE:
            if copy.missing_since is None:
                # Listings of some stores lag behind: one alone proves nothing.
                copy.missing_since = now
                report.unsure += 1
                return True
            copy.state, copy.reason = "missing", "two listings in a row did not show it"
            copy.tries, copy.next_try_at = 0, None
            report.missing.append(copy.key)
            return True
        if copy.state == "differs":
            copy.state, copy.reason, copy.error_code, copy.etag = "pending", None, None, None
            return True
        return False

    def _judge(self, copy: Copy, info: ObjectInfo, ours: bytes | None, now: int, report: CycleReport) -> None:
        """Judge a listed object that we do not believe to be ours as it is."""
        if copy.state == "differs" and copy.error_code == DAMAGED and copy.etag == info.etag:
            # It was read; the mark that the store made when it took it proves nothing against that.
            report.differs.append(copy.key)
        elif info.size != copy.size:
            self._listed_other(copy, info, f"it has {info.size:,} bytes there and {copy.size:,} here", report)
        elif info.md5 is not None and ours is not None:
            if md5_of(ours) == info.md5:
                copy.found(info.etag, Proof.ETAG, now)
            else:
                self._listed_other(copy, info, "it has the same size there and another MD5", report)
        elif copy.state in WAITING and copy.tries == 0 and copy.uploaded_at is None and copy.error_code != CHANGED:
            # It was there before we looked: name and size agree, the hash is compared when it is read.
            copy.found(info.etag, None, now)
        elif copy.state == "differs" and copy.etag == info.etag and not self._replaces(copy):
            report.differs.append(copy.key)
        elif copy.state != "failed":
            copy.state, copy.reason = "pending", "the store's mark of it changed: it is compared again"

    def _replaces(self, copy: Copy) -> bool:
        return self.settings.on_differs == "replace" or (
            self.settings.on_differs == "newer" and copy.error_code != NEWER_THERE
        )

    def _listed_other(self, copy: Copy, info: ObjectInfo, why: str, report: CycleReport) -> None:
        settled = copy.state == "differs" and copy.etag == info.etag
        if self._replaces(copy) or (self.settings.on_differs == "newer" and not settled):
            copy.state, copy.reason, copy.tries, copy.next_try_at = "pending", why, 0, None
            return
        if not settled:
            copy.reason, copy.error_code = why, "differs"
        copy.state, copy.etag, copy.proof, copy.verified_at = "differs", info.etag, None, None
        report.differs.append(copy.key)
