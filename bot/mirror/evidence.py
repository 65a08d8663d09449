"""What a judgement of a destination rests on, and what it says.

Two sums hold for every judgement. Listed is what the listing shows, expected is what the ledger wants to be there:

    listed   = verified + present + differs + unknown + extra
    expected = verified + present + differs + unknown + pending + missing + failed + quarantined + excluded

Verified, present, differs and unknown are files that are listed, so they stand in both. A listed object of a file
that a rule excludes is `extra` on the one side and `excluded` on the other. What lies outside the prefix, and what no
listing shows, is in neither; it is counted by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.mirror.book import THERE, Copy
from bot.mirror.runs import Difference
from bot.mirror.store import Hidden, LifecycleRule, ObjectInfo, Proof

_LISTED = ("verified", "present", "differs", "unknown")
_NOT_LISTED = ("pending", "missing", "failed", "quarantined", "excluded")


@dataclass(frozen=True, slots=True)
class Closer:
    """What a closer look at an object told of its bytes.

    Attributes:
        sha256: of known bytes that it holds; None where it holds none of them, or could not be compared.
        proof: how they were compared: by the store's MD5, or read; None where they were not.
        cut_short: it holds the beginning of the file's bytes, and not all of them.
        digest: of the bytes that were read; None where they were not.
        unread: why it could not be compared; None where it was.
    """

    sha256: str | None = None
    proof: Proof | None = None
    cut_short: bool = False
    digest: str | None = None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows of a file beyond its row at the destination. Times are unix seconds.

    Attributes:
        played_at: from its name and its server's zone; None where the name tells nothing.
        gone_at: when the game server stopped listing it.
        earlier: hashes of other contents that the name has had.
        elsewhere: game servers whose file of the same name has other bytes, by hash.
    """

    played_at: int | None = None
    gone_at: int | None = None
    earlier: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a judgement rests on.

    Attributes:
        now: unix seconds.
        enabled_at: since when files go to the destination.
        prefix: of the destination.
        replaces: files with other bytes there are queued to be replaced.
        servers: names of known game servers.
        copies: the ledger's rows.
        listing: objects by key.
        facts: by key, of files that are not plainly in order.
        closer: closer looks by key, of objects that are not plainly in order.
        holders: keys of files that have or had known bytes, by hash.
        without_content: keys of files whose bytes the ledger does not have, with when the game server dropped them.
        rules: the store's own rules by which objects disappear; None: not known.
        hidden: what no listing shows; None: nobody looked.
        outside: objects outside the prefix with their whole keys; None: nobody looked.
        previous: what the last run found, by key and state.
    """

    now: int
    enabled_at: int
    prefix: str = ""
    replaces: bool = False
    servers: frozenset[str] = frozenset()
    copies: Sequence[Copy] = ()
    listing: Mapping[str, ObjectInfo] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    closer: Mapping[str, Closer] = field(default_factory=dict)
    holders: Mapping[str, Collection[str]] = field(default_factory=dict)
    without_content: Mapping[str, int | None] = field(default_factory=dict)
    rules: Sequence[LifecycleRule] | None = None
    hidden: Sequence[Hidden] | None = None
    outside: Sequence[ObjectInfo] | None = None
    previous: Mapping[tuple[str, str], Difference] = field(default_factory=dict)


@dataclass(slots=True)
class Judgement:
    """What the evidence proves.

    Attributes:
        differences: every one, sorted by key.
        states: files and objects by state; `extra` are objects, all others files.
        bytes: of the files that are there (verified and present).
        repairs: ledger rows as they should be, of those that said something else.
        touched: rows that only get the listing's time and mark.
    """

    differences: list[Difference] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    repairs: list[Copy] = field(default_factory=list)
    touched: list[Copy] = field(default_factory=list)

    def disagreement(self, listed: int, expected: int) -> str | None:
        """Return which of the two sums does not hold, in a sentence; None where both do."""
        there = sum(self.states[state] for state in _LISTED)
        shown = there + self.states["extra"]
        wanted = there + sum(self.states[state] for state in _NOT_LISTED)
        if shown != listed:
            return f"{listed:,} objects are listed, and their states add up to {shown:,}"
        if wanted != expected:
            return f"{expected:,} files are expected, and their states add up to {wanted:,}"
        return None


def plainly_there(copy: Copy, info: ObjectInfo) -> bool:
    """Return whether the listing shows a file just as the ledger believes it."""
    same_mark = copy.etag is None or info.etag is None or copy.etag == info.etag
    return copy.state in THERE and copy.size == info.size and same_mark
