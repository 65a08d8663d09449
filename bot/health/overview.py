"""Everything at one glance: each game server, each destination, its colour and why, from the database alone.

Every number says what it rests on (`listing` or `ledger`) and as of when. Where a destination is not reached, its last
good numbers stay, marked stale: never zero, and never green.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.health.census import Basis
from bot.health.colour import Colour, Verdict, worst
from bot.health.settings import Limits
from bot.mirror.progress import Eta, Rate
from bot.mirror.settings import Destination

NOT_IMPORTED = ("parked", "failed", "growing", "fetched", "ignored")
"""Why a file of the ledger is not imported, the worst first."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is set up: names of game servers, destinations, and when they stop being green."""

    servers: tuple[str, ...]
    destinations: tuple[Destination, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class NewestRound:
    """The round that ended last. `ended_at` is unix seconds."""

    ended_at: int
    map_name: str
    number: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """A game server at one glance. Times are unix seconds, counts are files.

    Attributes:
        name: of the game server.
        verdict: its colour, with reasons.
        last_ok_at: when it last answered a poll.
        listed: files in its folder.
        listed_basis: whether that was listed, or is what the ledger believes.
        listed_at: as of when; None where nothing was ever listed.
        known: files in the ledger.
        imported: of those, how many are imported.
        not_imported: the others by state: parked, failed, growing, fetched, ignored.
        failures: polls in a row that failed.
        failing_since: the first of them.
        error: what the last failed poll said; None while it works.
        newest: the round that ended last.
    """

    name: str
    verdict: Verdict
    last_ok_at: int | None = None
    listed: int | None = None
    listed_basis: Basis = Basis.LEDGER
    listed_at: int | None = None
    known: int = 0
    imported: int = 0
    not_imported: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    newest: NewestRound | None = None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A destination at one glance. Times are unix seconds, counts are files; the states are the ledger's.

    Attributes:
        name: of the destination.
        kind: s3, b2, gcs, azure or directory.
        verdict: its colour, with reasons.
        states: files by state, as the ledger has them now.
        untracked: files with content that get a row with the next cycle.
        expected: files that are to be there, without those that a rule keeps away.
        stored: files that are there.
        stored_bytes: their size.
        extra: objects of the last listing that are no copies of ours; None where it was never listed.
        unexplained: differences of the last comparison that no rule explains.
        unexamined: objects that a listing showed and no comparison has looked into.
        causes: differences of the last comparison by cause.
        listed_objects: objects in the last whole listing; None where there was none.
        listed_bytes: their size.
        last_listing_at: when that was.
        last_ok_at: when it last did what it was asked.
        last_check_at: when ledger and listing were last compared.
        check_seconds: how long that took.
        verified_from: the oldest of the last times that copies were read back, over all that ever were.
        last_verified_at: the newest of them.
        oldest_pending_at: since when the first file waits to be sent.
        stale: it is not reached, or not listed for too long: what the listing told may not be so any more.
        failures: tries in a row that failed.
        failing_since: the first of them.
        error: what the last one said; None while it works.
        error_code: the same for programs.
        rate: how fast files went lately.
        eta: when the rest will be there; None where that is not known.
    """

    name: str
    kind: str
    verdict: Verdict
    states: Mapping[str, int] = field(default_factory=dict)
    untracked: int = 0
    expected: int = 0
    stored: int = 0
    stored_bytes: int = 0
    extra: int | None = None
    unexplained: int = 0
    unexamined: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    listed_objects: int | None = None
    listed_bytes: int | None = None
    last_listing_at: int | None = None
    last_ok_at: int | None = None
    last_check_at: int | None = None
    check_seconds: int | None = None
    verified_from: int | None = None
    last_verified_at: int | None = None
    oldest_pending_at: int | None = None
    stale: bool = False
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    error_code: str | None = None
    rate: Rate = field(default_factory=Rate)
    eta: Eta | None = None

    def state(self, *names: str) -> int:
        """Return how many files are in these states together."""
        return sum(self.states.get(name, 0) for name in names)

    @property
    def pending(self) -> int:
        """Files that wait to be sent: queued, being sent, and not queued yet."""
        return self.state("pending", "uploading") + self.untracked


@dataclass(frozen=True, slots=True)
class Overview:
    """All places at one moment (unix seconds)."""

    taken_at: int
    sources: tuple[SourceView, ...]
    destinations: tuple[DestinationView, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of all places that are set up."""
        all_of_them = [source.verdict for source in self.sources] + [place.verdict for place in self.destinations]
        return tuple(v for v in all_of_them if not any(reason.code == "not_configured" for reason in v.reasons))

    @property
    def colour(self) -> Colour:
        """The worst of all: success at one place hides no failure at another."""
        return worst(verdict.colour for verdict in self.verdicts)

    @property
    def needing(self) -> int:
        """How many places need a person."""
        return sum(verdict.needs_you for verdict in self.verdicts)

    @property
    def word(self) -> str:
        """The overall state in words."""
        if self.needing:
            verb = "needs" if self.needing == 1 else "need"
            return f"attention ({self.needing} of {len(self.verdicts)} {verb} you)"
        if not self.verdicts:
            return "nothing is set up"
        words = {Colour.GREEN: "ok", Colour.GREY: "paused", Colour.UNKNOWN: "unknown", Colour.RED: "attention"}
        return words.get(self.colour, "late, or not verified yet; nothing to do")

    @property
    def listed_at(self) -> int | None:
        """As of when the listings are: the oldest one of what is set up and was ever listed."""
        times = [d.last_listing_at for d in self.destinations if d.last_listing_at is not None]
        return min(times, default=None)
