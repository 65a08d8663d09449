"""The colour of a place, with the reasons for it: a colour that nobody can explain helps nobody.

Green: nothing is missing, differs, failed or is unexplained, and what we know is young enough to say so. Yellow: late
or unverified. Red: missing, differs, failed, or not reached past the grace. Grey: paused, or not set up. Unknown is a
word of its own: nobody has looked yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bot.health.settings import Limits

NEEDS_A_PERSON = frozenset(
    {
        "auth",
        "bucket_missing",
        "package_missing",
        "unsupported",
        "host_key_unknown",
        "host_key_changed",
        "login_refused",
        "folder_missing",
        "permission_refused",
    }
)
"""Codes of errors that no further try mends."""


class Colour(StrEnum):
    """A place in one word."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    GREY = "grey"
    UNKNOWN = "unknown"


_WORST = (Colour.RED, Colour.YELLOW, Colour.UNKNOWN, Colour.GREEN, Colour.GREY)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a place has its colour.

    Attributes:
        code: a stable word, part of an incident's key.
        colour: what this reason alone makes of it.
        text: for an admin, without how long it is so. What an error says of itself may name hosts and files.
        needs_you: it does not go away by itself.
        since: when it began, unix seconds; None where that is not known.
        command: what mends it, or shows how; None where nothing has to be done.
        certain: one look proves it; others are looked at again before people are told.
        failures: tries in a row that failed, for a place that is not reached.
    """

    code: str
    colour: Colour
    text: str
    needs_you: bool = False
    since: int | None = None
    command: str | None = None
    certain: bool = False
    failures: int | None = None

    def told(self, now: float) -> str:
        """Return the text with how long it is so, where that is known."""
        return self.text if self.since is None else f"{self.text}, for {spell(now - self.since)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A colour with its reasons, the worst first. Green has none."""

    colour: Colour
    reasons: tuple[Reason, ...] = ()

    @property
    def needs_you(self) -> bool:
        """Whether a person has to do something."""
        return any(reason.needs_you for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a game server's colour goes by. Times are unix seconds, counts are files.

    Attributes:
        name: of the game server.
        configured: whether it is set up.
        last_ok_at: when it last answered a poll; None: never, as far as is known.
        failures: polls in a row that failed.
        failing_since: the first of them.
        error: what the last one said.
        error_code: the same for programs.
        suspicious: why absence from its last listing is not believed.
        parked: files that failed for good.
        retrying: files that failed and are tried again.
        late: files that should have been imported by now.
        stuck: files that should have been complete by now.
        several: whether commands have to name the server.
    """

    name: str
    configured: bool = True
    last_ok_at: int | None = None
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    error_code: str | None = None
    suspicious: str | None = None
    parked: int = 0
    retrying: int = 0
    late: int = 0
    stuck: int = 0
    several: bool = False


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """What a destination's colour goes by. Times are unix seconds, counts are files or objects.

    Attributes:
        name: of the destination.
        configured: whether it is set up.
        paused_at: since when nothing is sent there; None: it is not paused.
        last_listing_at: when a listing last came to its end; None: never.
        failures: tries in a row that failed.
        failing_since: the first of them.
        error: what the last one said.
        error_code: the same for programs.
        missing: files that were there and are not listed any more.
        differs: files that are there with other bytes.
        failed: files that failed for good.
        unexplained: differences that no rule explains, by the last comparison of ledger and listing.
        unexamined: objects that a listing showed and no such comparison has looked into.
        unsure: files that one listing did not show, and the next has to.
        pending: files that wait to be sent.
        oldest_pending_at: since when the first of them waits.
        moving: whether they are being sent: something got there within the grace.
        oldest_proof_at: when the copy whose last proof is oldest was proven, or stored where it never was.
        last_check_at: when ledger and listing were last compared; None: never.
        enabled_at: since when files go there.
    """

    name: str
    configured: bool = True
    paused_at: int | None = None
    last_listing_at: int | None = None
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    error_code: str | None = None
    missing: int = 0
    differs: int = 0
    failed: int = 0
    unexplained: int = 0
    unexamined: int = 0
    unsure: int = 0
    pending: int = 0
    oldest_pending_at: int | None = None
    moving: bool = False
    oldest_proof_at: int | None = None
    last_check_at: int | None = None
    enabled_at: int = 0


def judge(facts: SourceFacts | DestinationFacts, limits: Limits, now: float) -> Verdict:
    """Return the colour of a place and why it has it.

    Args:
        facts: what is known of it.
        limits: when it stops being green.
        now: unix seconds.
    """
    if not facts.configured:
        return Verdict(Colour.GREY, (Reason("not_configured", Colour.GREY, "not set up"),))
    if isinstance(facts, SourceFacts):
        reasons = _source_reasons(facts, limits, int(now))
    elif facts.paused_at is not None:
        command = f"python -m bot mirror resume {facts.name}"
        return Verdict(Colour.GREY, (Reason("paused", Colour.GREY, "paused", since=facts.paused_at, command=command),))
    else:
        reasons = _destination_reasons(facts, limits, int(now))
    reasons.sort(key=lambda reason: (_WORST.index(reason.colour), not reason.needs_you))
    return Verdict(worst(reason.colour for reason in reasons) if reasons else Colour.GREEN, tuple(reasons))


def worst(colours: Iterable[Colour]) -> Colour:
    """Return the colour of several places together: no good one hides a bad one. Grey where there is none."""
    return min(colours, key=_WORST.index, default=Colour.GREY)


def _source_reasons(facts: SourceFacts, limits: Limits, now: int) -> list[Reason]:
    option = f" --server {facts.name}" if facts.several else ""
    diagnose = f"python -m bot diagnose{option}"
    found: list[Reason] = []
    if facts.failures:
        stuck = facts.error_code in NEEDS_A_PERSON
        found.append(
            _not_reached(facts, limits, now, f"python -m bot {'setup' if stuck else 'check-config --connect'}")
        )
    elif facts.last_ok_at is None:
        found.append(Reason("never", Colour.UNKNOWN, "no poll has ended yet", command=f"python -m bot sync{option}"))
    elif now - facts.last_ok_at > limits.source:
        text = "no poll has ended: is the bot running?"
        found.append(Reason("late", Colour.YELLOW, text, True, facts.last_ok_at, f"python -m bot sync{option}"))
    if facts.suspicious:
        found.append(
            Reason("suspicious", Colour.RED, f"listing not believed: {facts.suspicious}", True, None, diagnose)
        )
    retry = f"python -m bot files retry --all{option}"
    for count, code, colour, text, needs_you, command in (
        (facts.parked, "parked", Colour.RED, "failed too often and wait{} for you", True, retry),
        (facts.late, "not_imported", Colour.YELLOW, "should have been imported by now", True, diagnose),
        (facts.stuck, "growing", Colour.YELLOW, "should have been complete by now", True, diagnose),
        (facts.retrying, "retrying", Colour.YELLOW, "failed and {} tried again", False, retry),
    ):
        if count:
            verb = {"parked": "s" if count == 1 else "", "retrying": "is" if count == 1 else "are"}.get(code, "")
            found.append(Reason(code, colour, f"{_files(count)} {text.format(verb)}", needs_you, None, command))
    return found


def _destination_reasons(facts: DestinationFacts, limits: Limits, now: int) -> list[Reason]:
    name = facts.name
    sync = f"python -m bot mirror sync {name}"
    diagnose = f"python -m bot diagnose --destination {name}"
    found: list[Reason] = []
    # While it is not reached nothing can be young: what is late then is a consequence and needs nobody by itself.
    reached = not facts.failures
    if not reached:
        found.append(_not_reached(facts, limits, now, sync))
    if facts.last_listing_at is None:
        if reached:
            found.append(Reason("never", Colour.UNKNOWN, "never listed", command=sync))
    elif now - facts.last_listing_at > limits.listing:
        found.append(Reason("late", Colour.YELLOW, "not listed", reached, facts.last_listing_at, sync))
    for count, code, text, command in (
        (facts.missing, "missing", "stored once and not listed any more", sync),
        (facts.differs, "differs", "there with other bytes", diagnose),
        (facts.failed, "failed", "failed for good", f"python -m bot mirror resume {name}"),
    ):
        if count:
            found.append(Reason(code, Colour.RED, f"{_files(count)} {text}", True, None, command))
    if facts.unexplained:
        text = f"{facts.unexplained:,} differences that nothing explains"
        if facts.unexplained == 1:
            text = "1 difference that nothing explains"
        found.append(Reason("unexplained", Colour.YELLOW, text, True, None, diagnose))
    if facts.unexamined:
        objects = "object is" if facts.unexamined == 1 else "objects are"
        text = f"{facts.unexamined:,} {objects} there that nobody has explained yet"
        found.append(Reason("unexamined", Colour.YELLOW, text, True, None, f"python -m bot reconcile run {name}"))
    if facts.unsure:
        text = f"{_files(facts.unsure)} not shown by the last listing; the next one tells"
        found.append(Reason("unsure", Colour.YELLOW, text, command=sync))
    waited = now - facts.oldest_pending_at if facts.oldest_pending_at is not None else 0
    if facts.pending and waited > limits.pending:
        text = f"{_files(facts.pending)} to send, the first waits"
        backfill = f"python -m bot mirror backfill {name}"
        needs_you = reached and not facts.moving
        found.append(Reason("pending", Colour.YELLOW, text, needs_you, facts.oldest_pending_at, backfill))
    found += _unverified(facts, limits, now, reached=reached)
    return found


def _unverified(facts: DestinationFacts, limits: Limits, now: int, *, reached: bool) -> list[Reason]:
    found: list[Reason] = []
    if facts.oldest_proof_at is not None and now - facts.oldest_proof_at > limits.verified:
        command = f"python -m bot mirror verify {facts.name}"
        text = "copies that were not read back"
        found.append(Reason("unverified", Colour.YELLOW, text, reached, facts.oldest_proof_at, command))
    compared = facts.last_check_at if facts.last_check_at is not None else facts.enabled_at
    if limits.check and facts.last_listing_at is not None and now - compared > limits.check:
        command = f"python -m bot reconcile run {facts.name}"
        found.append(Reason("unchecked", Colour.YELLOW, "ledger and listing not compared", reached, compared, command))
    return found


def _not_reached(facts: SourceFacts | DestinationFacts, limits: Limits, now: int, command: str) -> Reason:
    since = facts.failing_since if facts.failing_since is not None else now
    stuck = facts.error_code in NEEDS_A_PERSON
    late = now - since > limits.grace
    code = "auth" if facts.error_code == "auth" else "unreachable"
    return Reason(
        code,
        Colour.RED if late else Colour.YELLOW,
        f"not reached: {facts.error or 'no reason was noted'}",
        stuck or late,
        since,
        command,
        certain=stuck,
        failures=facts.failures,
    )


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def spell(seconds: float) -> str:
    """Return a duration as people say it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
