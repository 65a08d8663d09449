"""Every cause has its proof: with the evidence it is named, and without it the difference is unexplained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.mirror.book import DAMAGED, INTERRUPTED, Copy
from bot.mirror.causes import AGE_PATTERN, command_for, judge
from bot.mirror.evidence import Closer, Evidence, Facts
from bot.mirror.runs import Cause, Difference
from bot.mirror.store import Hidden, HiddenKind, LifecycleRule, ObjectInfo, Proof

NOW = 1_700_000_000
ENABLED = NOW - 10 * 86400
DAY = 86400
NAME = "2023-11-01-200000-supply-round-1.txt"
KEY = f"main/{NAME}"
OURS = hashlib.sha256(b"ours").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def copy(state: str = "pending", name: str = NAME, **more: Any) -> Copy:
    return Copy(1, name, f"main/{name}", more.pop("sha256", OURS), more.pop("size", 100), state, **more)


def info(key: str = KEY, size: int = 100, at: float = NOW - DAY, etag: str | None = "e") -> ObjectInfo:
    return ObjectInfo(key, size, datetime.fromtimestamp(at, UTC), etag)


def evidence(**more: Any) -> Evidence:
    listing = {item.key: item for item in more.pop("listed", ())}
    return Evidence(NOW, ENABLED, servers=frozenset({"main", "second"}), listing=listing, **more)


def only(found: Evidence) -> Difference:
    judgement = judge(found)
    assert judgement.disagreement(len(found.listing), len(found.copies)) is None
    (difference,) = judgement.differences
    assert difference.rule
    return difference


def hide(marker: HiddenKind = HiddenKind.HIDE_MARKER, *, current: bool = True) -> Hidden:
    return Hidden(KEY, marker, datetime.fromtimestamp(NOW - DAY, UTC), None, current)


def before(state: str, cause: Cause) -> dict[tuple[str, str], Difference]:
    return {(KEY, state): Difference(KEY, "main", NAME, state, cause, "it was so", 1, 100, None, NOW - DAY)}


EARLY = Facts(played_at=ENABLED - DAY)
MISSING = copy("verified", listed_at=NOW - 9 * DAY, uploaded_at=NOW - 9 * DAY)
BEFORE_ENABLED = ENABLED - DAY

PROOFS: dict[str, tuple[Cause, Evidence, Evidence]] = {
    # name: the cause, evidence that proves it, and the same without the proof
    "1 older than the destination": (
        Cause.DESTINATION_ADDED_LATER,
        evidence(copies=[copy()], facts={KEY: EARLY}),
        evidence(copies=[copy()], facts={KEY: Facts()}),
    ),
    "2 listed with our bytes and never sent": (
        Cause.UPLOADED_BEFORE_TRACKING,
        evidence(copies=[copy()], listed=[info()], closer={KEY: Closer(OURS, Proof.ETAG)}),
        evidence(copies=[copy()], listed=[info()], closer={KEY: Closer(unread="the store says no")}),
    ),
    "2 another key with known bytes, from before": (
        Cause.UPLOADED_BEFORE_TRACKING,
        evidence(
            listed=[info(f"old/{NAME}", at=BEFORE_ENABLED)],
            closer={f"old/{NAME}": Closer(OURS, Proof.ETAG)},
            holders={OURS: [KEY]},
        ),
        evidence(listed=[info(f"old/{NAME}")], closer={f"old/{NAME}": Closer(OURS, Proof.ETAG)}, holders={OURS: [KEY]}),
    ),
    "3 neither name nor bytes": (
        Cause.FOREIGN,
        evidence(listed=[info("holiday.jpg")], closer={"holiday.jpg": Closer()}),
        evidence(listed=[info("holiday.jpg")], closer={"holiday.jpg": Closer(unread="it may not be read")}),
    ),
    "4 the file lies outside the prefix": (
        Cause.OUTSIDE_PREFIX,
        evidence(copies=[MISSING], prefix="new/", outside=[info(f"old/{KEY}")]),
        evidence(copies=[MISSING], prefix="new/"),
    ),
    "5 hidden by a marker": (
        Cause.OLD_VERSION,
        evidence(copies=[MISSING], hidden=[hide()]),
        evidence(copies=[MISSING], hidden=[]),
    ),
    "6 given up": (
        Cause.UPLOAD_PARKED,
        evidence(copies=[copy("failed", tries=8, error_code="refused")]),
        evidence(copies=[copy("failed", tries=8)]),
    ),
    "6 failed and tried again": (
        Cause.UPLOAD_PARKED,
        evidence(copies=[copy(tries=2, error_code="unavailable")]),
        evidence(copies=[copy(tries=2)]),
    ),
    "7 nobody is left who sends it": (
        Cause.UPLOAD_INTERRUPTED,
        evidence(copies=[copy("uploading")]),
        evidence(copies=[copy("pending")]),
    ),
    "7 noted by an earlier run": (
        Cause.UPLOAD_INTERRUPTED,
        evidence(copies=[copy(error_code=INTERRUPTED)]),
        evidence(copies=[copy()]),
    ),
    "7 it holds the beginning": (
        Cause.UPLOAD_INTERRUPTED,
        evidence(copies=[copy()], listed=[info(size=60)], closer={KEY: Closer(None, Proof.READ, True, OTHER)}),
        evidence(copies=[copy()], listed=[info(size=60)], closer={KEY: Closer(None, Proof.READ, False, OTHER)}),
    ),
    "8 the server dropped it before its bytes were safe": (
        Cause.SOURCE_DELETED,
        evidence(listed=[info()], closer={KEY: Closer()}, without_content={KEY: NOW - DAY}),
        evidence(listed=[info()], closer={KEY: Closer()}, without_content={KEY: None}),
    ),
    "9 it holds an earlier content": (
        Cause.SOURCE_CHANGED,
        evidence(
            copies=[copy()],
            listed=[info()],
            closer={KEY: Closer(OTHER, Proof.READ)},
            facts={KEY: Facts(earlier=frozenset({OTHER}))},
        ),
        evidence(copies=[copy()], listed=[info()], closer={KEY: Closer(OTHER, Proof.READ)}),
    ),
    "9 the new content waits": (
        Cause.SOURCE_CHANGED,
        evidence(copies=[copy(error_code="changed")], facts={KEY: Facts(earlier=frozenset({OTHER}))}),
        evidence(copies=[copy(error_code="changed")]),
    ),
    "9 the replaced copy was kept": (
        Cause.SOURCE_CHANGED,
        evidence(
            listed=[info(f"main/.replaced/{NAME}.{OTHER[:16]}")],
            closer={f"main/.replaced/{NAME}.{OTHER[:16]}": Closer(digest=OTHER)},
        ),
        evidence(
            listed=[info(f"main/.replaced/{NAME}.{OTHER[:16]}")],
            closer={f"main/.replaced/{NAME}.{OTHER[:16]}": Closer(unread="the store says no")},
        ),
    ),
    "10 its bytes were moved": (
        Cause.DUPLICATE,
        evidence(
            copies=[MISSING],
            listed=[info("main/moved.txt", at=BEFORE_ENABLED)],
            closer={"main/moved.txt": Closer(OURS, Proof.READ)},
            holders={OURS: [KEY]},
        ),
        evidence(copies=[MISSING]),
    ),
    "11 the other server's file": (
        Cause.NAME_COLLISION,
        evidence(
            copies=[copy()],
            listed=[info()],
            closer={KEY: Closer(OTHER, Proof.READ)},
            facts={KEY: Facts(elsewhere={OTHER: "second"})},
        ),
        evidence(copies=[copy()], listed=[info()], closer={KEY: Closer(OTHER, Proof.READ)}),
    ),
    "12 it was there all the time": (
        Cause.LISTING_STALE,
        evidence(
            copies=[copy("missing", missing_since=NOW - DAY)],
            listed=[info(at=NOW - 2 * DAY)],
            closer={KEY: Closer(OURS, Proof.ETAG)},
        ),
        evidence(
            copies=[copy("missing", missing_since=NOW - DAY)],
            listed=[info(at=NOW - 60)],
            closer={KEY: Closer(OURS, Proof.ETAG)},
        ),
    ),
    "13 the store's own rule": (
        Cause.LIFECYCLE,
        evidence(copies=[MISSING], rules=[LifecycleRule("tidy", "", 7)]),
        evidence(copies=[MISSING], rules=[LifecycleRule("tidy", "", 10)]),
    ),
    "13 a rule for another folder": (
        Cause.LIFECYCLE,
        evidence(copies=[MISSING], rules=[LifecycleRule("tidy", "main/", 7)]),
        evidence(copies=[MISSING], rules=[LifecycleRule("tidy", "second/", 7)]),
    ),
}


@pytest.mark.parametrize("case", PROOFS)
def test_the_proof_names_the_cause_and_nothing_else_does(case: str) -> None:
    cause, proven, unproven = PROOFS[case]

    def about(found: Evidence) -> set[Cause]:
        wanted = {item.key for item in found.copies} or set(found.listing)
        judgement = judge(found)
        assert judgement.disagreement(len(found.listing), len(found.copies)) is None
        return {
            item.cause
            for item in judgement.differences
            if item.key in wanted and not (found.hidden and item.state == "extra")
        }

    assert about(proven) == {cause}
    assert about(unproven) == {Cause.UNEXPLAINED}


def test_every_cause_of_the_list_has_a_proof() -> None:
    assert {cause for cause, _, _ in PROOFS.values()} == set(Cause) - {Cause.UNEXPLAINED, Cause.QUEUED}


def test_a_new_file_waits_for_its_turn_and_that_is_nothing_bad() -> None:
    found = only(evidence(copies=[copy()], facts={KEY: Facts(played_at=ENABLED)}))
    assert (found.cause, found.state) == (Cause.QUEUED, "pending")


def test_a_lost_source_is_quarantined_and_says_whether_the_server_still_has_it() -> None:
    lost = copy("failed", error_code="source")
    gone = only(evidence(copies=[lost], facts={KEY: Facts(gone_at=NOW - DAY)}))
    assert (gone.state, gone.cause) == ("quarantined", Cause.SOURCE_DELETED)
    there = only(evidence(copies=[lost], facts={KEY: Facts()}))
    assert (there.state, there.cause) == ("quarantined", Cause.UPLOAD_PARKED)


def test_a_copy_beside_its_own_key_is_a_duplicate() -> None:
    twin = f"backup/{NAME}"
    found = evidence(
        copies=[copy("verified", etag="e")],
        listed=[info(), info(twin)],
        closer={twin: Closer(OURS, Proof.ETAG)},
        holders={OURS: [KEY]},
    )
    assert only(found).cause is Cause.DUPLICATE


def test_what_only_a_deep_look_shows_is_in_neither_sum() -> None:
    found = evidence(
        copies=[copy("verified", etag="e")],
        listed=[info()],
        hidden=[hide(HiddenKind.OLD_VERSION), hide(HiddenKind.UNFINISHED_UPLOAD)],
        outside=[info("else/where.bin")],
        prefix="ours/",
    )
    judgement = judge(found)
    assert judgement.disagreement(1, 1) is None
    assert [item.cause for item in judgement.differences] == [
        Cause.OUTSIDE_PREFIX,
        Cause.OLD_VERSION,
        Cause.OLD_VERSION,
    ]
    assert (judgement.states["hidden"], judgement.states["outside"]) == (2, 1)


def _by_age(gone: int, left: int, *, one_old_left: bool = False) -> set[Cause]:
    names = [f"2023-11-01-{n:06}-supply-round-1.txt" for n in range(gone + left)]
    copies = [copy("verified", name, listed_at=NOW - 9 * DAY + n * 60, etag="e") for n, name in enumerate(names)]
    listed = [info(item.key) for item in copies[gone:]]
    if one_old_left:
        listed.append(info(copies[0].key))
    return {item.cause for item in judge(evidence(copies=copies, listed=listed)).differences}


def test_ages_alone_prove_a_lifecycle_rule_where_they_divide_many() -> None:
    assert _by_age(AGE_PATTERN, AGE_PATTERN) == {Cause.LIFECYCLE}
    assert _by_age(AGE_PATTERN - 1, AGE_PATTERN) == {Cause.UNEXPLAINED}
    assert _by_age(AGE_PATTERN, AGE_PATTERN - 1) == {Cause.UNEXPLAINED}
    assert _by_age(AGE_PATTERN + 5, AGE_PATTERN, one_old_left=True) == {Cause.UNEXPLAINED}


def test_the_stores_mark_does_not_whitewash_what_was_read_and_is_damaged() -> None:
    damaged = copy("differs", error_code=DAMAGED, etag="e")
    by_mark = judge(evidence(copies=[damaged], listed=[info()], closer={KEY: Closer(OURS, Proof.ETAG)}))
    assert (by_mark.states["differs"], by_mark.repairs) == (1, [])
    by_reading = judge(evidence(copies=[damaged], listed=[info()], closer={KEY: Closer(OURS, Proof.READ)}))
    assert [item.state for item in by_reading.repairs] == ["verified"]


def test_sightings_count_runs_that_found_the_same() -> None:
    first = only(evidence(copies=[MISSING]))
    assert (first.sightings, first.first_seen_at) == (1, NOW)
    again = only(evidence(copies=[copy("missing")], previous=before("missing", Cause.UNEXPLAINED)))
    assert (again.sightings, again.first_seen_at) == (2, NOW - DAY)
    by_a_cycle = only(evidence(copies=[replace(MISSING, missing_since=NOW - 60)]))
    assert (by_a_cycle.sightings, by_a_cycle.first_seen_at) == (2, NOW - 60)


@pytest.mark.parametrize(
    ("state", "cause", "name", "command"),
    [
        ("pending", Cause.DESTINATION_ADDED_LATER, NAME, "python -m bot mirror backfill nas"),
        ("missing", Cause.UNEXPLAINED, NAME, "python -m bot mirror sync nas"),
        ("differs", Cause.UNEXPLAINED, NAME, f"python -m bot mirror force {NAME} --to nas --server main"),
        ("failed", Cause.UPLOAD_PARKED, NAME, "python -m bot mirror resume nas"),
        ("quarantined", Cause.UPLOAD_PARKED, NAME, "python -m bot sync --restore"),
        ("unknown", Cause.LISTING_STALE, NAME, "python -m bot reconcile run nas"),
        ("extra", Cause.UNEXPLAINED, NAME, "python -m bot mirror sync nas"),
        ("extra", Cause.FOREIGN, None, None),
    ],
)
def test_each_difference_has_one_command(state: str, cause: Cause, name: str | None, command: str | None) -> None:
    found = Difference(KEY, "main" if name else None, name, state, cause, "so", None, None, None, NOW)
    assert command_for(found, "nas") == command


# -- whatever the mixture


_STATES = st.sampled_from(("pending", "uploading", "present", "verified", "missing", "differs", "failed", "excluded"))
_HASHES = st.sampled_from((OURS, OTHER, None))


@st.composite
def mixtures(draw: Callable[..., Any]) -> Evidence:
    """Any ledger beside any listing, with or without closer looks."""
    numbers = draw(st.lists(st.integers(0, 40), unique=True, max_size=12))
    copies, listed, closer, facts = [], [], {}, {}
    for number in numbers:
        name = f"2023-11-01-{number:06}-supply-round-1.txt"
        item = copy(
            draw(_STATES),
            name,
            size=draw(st.integers(90, 92)),
            etag=draw(st.sampled_from((None, "e", "f"))),
            error_code=draw(st.sampled_from((None, "refused", "source", "changed", INTERRUPTED, DAMAGED))),
            tries=draw(st.integers(0, 3)),
            listed_at=draw(st.sampled_from((None, NOW - DAY))),
            missing_since=draw(st.sampled_from((None, NOW - DAY))),
        )
        if draw(st.booleans()):
            copies.append(item)
        size = draw(st.integers(90, 92))
        if draw(st.booleans()):
            listed.append(info(item.key, size, etag=draw(st.sampled_from((None, "e")))))
        if draw(st.booleans()):
            # The same bytes have the same size.
            hashes = _HASHES if size == item.size else st.sampled_from((OTHER, None))
            proof = draw(st.sampled_from((Proof.READ, Proof.ETAG)))
            unread = draw(st.sampled_from((None, None, "no")))
            closer[item.key] = Closer(None if unread else draw(hashes), proof, draw(st.booleans()), OTHER, unread)
        facts[item.key] = Facts(draw(st.sampled_from((None, ENABLED - 1, ENABLED))))
    for key in draw(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=4)):
        listed.append(info(f"x/{key}", draw(st.integers(0, 200))))
    return evidence(
        copies=copies,
        listed=listed,
        closer=closer,
        facts=facts,
        holders={OURS: [KEY]},
        replaces=draw(st.booleans()),
        rules=draw(st.sampled_from((None, (), (LifecycleRule("tidy", "", 1),)))),
    )


@settings(max_examples=400, deadline=None)
@given(mixtures())
def test_the_sums_hold_and_every_difference_has_one_cause_whatever_the_mixture(found: Evidence) -> None:
    judgement = judge(found)
    assert judgement.disagreement(len(found.listing), len(found.copies)) is None
    keys = [item.key for item in judgement.differences]
    assert len(keys) == len(set(keys)), "a file or object has two causes"
    plain = {item.key for item in found.copies} | set(found.listing)
    for item in judgement.differences:
        assert item.rule
        assert item.key in plain
    # What is not named is there as believed, or kept away by a rule.
    silent = [item for item in found.copies if item.key not in keys]
    assert {item.state for item in silent} <= {"present", "verified", "excluded"}


@settings(max_examples=400, deadline=None)
@given(mixtures())
def test_what_was_put_right_once_stays(found: Evidence) -> None:
    first = judge(found)
    mended = {item.key: item for item in (*first.touched, *first.repairs)}
    again = replace(found, now=NOW + 60, copies=[mended.get(item.key, item) for item in found.copies])
    second = judge(again)
    assert second.repairs == []
    assert second.touched == []
    assert second.states == first.states
