"""Stores that refuse, hang, break off and lie. None of it may pass for success, for absence or for a whole listing."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import traceback
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from bot.mirror.errors import (
    ContentMismatch,
    Exists,
    ListingIncomplete,
    Refused,
    StoreAuth,
    StoreError,
    Throttled,
    Unavailable,
)
from bot.mirror.store import PROBE_KEY, CreateOnly, ObjectStore, Proof
from tests.mirror.conftest import ONE_OF_EACH, OVER_HTTP, Place, every_kind, keys, listed, put, sha256
from tests.standins.objectstores import (
    BUCKET,
    Answer,
    Change,
    ChangeRequest,
    CutRequest,
    DropHeader,
    Hang,
    Late,
    Request,
    Stall,
    Truncate,
)

MIB = 1024 * 1024
ROUND = b"^7Server\\supply\\legacy3\\1\\...\n" * 100
LARGE = bytes(range(256)) * (44 * MIB // 1024)  # 11 MiB

S3 = ["s3-moto", "obstore-moto"]
SECRET = "CANARY-wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"


def error_body(code: str, message: str = "no") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def anything(_: Request) -> bool:
    return True


def conditional(request: Request) -> bool:
    return "if-none-match" in request.headers or "x-goog-if-generation-match" in request.headers


def of_our_object(request: Request) -> bool:
    return request.writing and PROBE_KEY not in request.path.replace("%2E", ".").replace("%2D", "-")


async def flipped(store: ObjectStore, error: type[StoreError], call: Awaitable[Any]) -> StoreError:
    """Return the error of a call, having looked for secrets in all that could be logged of it."""
    with pytest.raises(error) as caught:
        await call
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value.__dict__)
    assert SECRET not in shown
    assert "sig=" not in shown
    assert caught.value.what.startswith("test: ")
    assert caught.value.next_step
    return caught.value


def unfinished(url: str, place: Place) -> int:
    """Return how many uploads in parts were begun below the prefix and neither completed nor given up."""
    with urllib.request.urlopen(f"{url}/{BUCKET}?uploads", timeout=10) as answer:
        found = re.findall(rb"<Key>([^<]*)</Key>", answer.read())
    return sum(key.startswith(place.settings.prefix.encode()) for key in found)


# -- M5: credentials


@every_kind("s3-rclone", "s3-s3rver", "azure")
async def test_wrong_credentials_cost_one_request_whoever_asks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("TEST_SECRET", SECRET)
    monkeypatch.setenv("TEST_SAS", "sv=2018-11-09&ss=b&srt=sco&se=2099-01-01T00:00:00Z&sp=rwl&sig=" + SECRET)
    store = place.open()
    results = await asyncio.gather(*(put(store, f"{number}.txt", b"x") for number in range(20)), return_exceptions=True)
    assert all(isinstance(result, StoreAuth) for result in results)
    assert place.http.count() == 1
    for call in (put(store, "x", b"x"), store.head("x"), keys(store), store.get("x", limit=1), store.probe()):
        error = await flipped(store, StoreAuth, call)
        assert not error.transient
    assert place.http.count() == 1


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "InvalidAccessKeyId"), (403, "ExpiredToken"), (401, "Unauthorized"), (403, "InvalidToken")],
)
async def test_refused_credentials_are_not_offered_again(place: Place, status: int, code: str) -> None:
    place.http.on(anything, Answer(status, error_body(code)))
    store = place.open()
    for _ in range(3):
        await flipped(store, StoreAuth, store.get("x", limit=1))
    assert place.http.count() == 1


@every_kind(*ONE_OF_EACH)
async def test_a_key_that_may_read_and_not_write_says_so_and_reads_on(place: Place) -> None:
    await put(place.open(), "x.txt", ROUND)
    place.http.on(lambda request: request.method in {"PUT", "POST"}, Answer(403, error_body("AccessDenied")))
    store = place.open()
    error = await flipped(store, StoreAuth, put(store, "y.txt", ROUND))
    assert "write" in error.next_step
    assert (await store.get("x.txt", limit=MIB)).data == ROUND
    assert await keys(store) == ["x.txt"]


@every_kind("s3-moto")
async def test_no_credentials_at_all(place: Place) -> None:
    store = place.open(access_key_env="", secret_key_env="")
    await flipped(store, StoreAuth, store.probe())
    assert place.http.count() == 0


@every_kind("s3-moto")
async def test_a_wrong_clock_and_a_full_account_name_themselves(place: Place) -> None:
    place.http.on(anything, Answer(403, error_body("AccessDenied", "Cannot upload files, storage cap exceeded.")), 1)
    error = await flipped(place.open(), Refused, place.open().get("x", limit=1))
    assert "limit" in error.next_step
    place.http.on(anything, Answer(403, error_body("RequestTimeTooSkewed")), 1)
    error = await flipped(place.open(), StoreAuth, place.open().get("x", limit=1))
    assert "clock" in error.next_step
    place.http.on(anything, Answer(400, error_body("AuthorizationHeaderMalformed")))
    error = await flipped(place.open(), Refused, place.open().get("x", limit=1))
    assert "REGION" in error.next_step


# -- M4: down, slow, asked to wait


@every_kind(*ONE_OF_EACH)
async def test_a_server_that_is_down(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        changes = {"endpoint": nobody + place.kind.path}
        store = place.open(**changes)
        for call in (put(store, "x", b"x"), store.head("x"), keys(store), store.get("x", limit=1), store.probe()):
            error = await flipped(store, Unavailable, call)
            assert error.transient


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize("status", [503, 429])
async def test_a_store_that_asks_for_a_pause_gets_one(place: Place, status: int) -> None:
    store = place.open()
    able = await store.probe()
    place.http.requests.clear()
    place.http.on(anything, Answer(status, error_body("SlowDown"), {"Retry-After": "7"}))
    for call in (put(store, "x", b"x"), store.get("x", limit=1), keys(store), store.head("x")):
        error = await flipped(store, Throttled, call)
        assert isinstance(error, Throttled)
        assert error.transient
        assert error.retry_after == (7.0 if able.retry_after else None)
    assert able.retry_after or "retry_after" in able.limits
    assert place.http.count() == 4


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (502, "BadGateway"), (409, "OperationAborted")])
async def test_failures_of_the_store_are_tried_once(place: Place, status: int, code: str) -> None:
    store = place.open()
    await store.probe()
    place.http.requests.clear()
    place.http.on(anything, Answer(status, error_body(code)))
    await flipped(store, Unavailable, store.get("x", limit=1))
    assert place.http.count() == 1


@every_kind(*ONE_OF_EACH)
async def test_a_hanging_store_is_left_after_the_deadline(place: Place) -> None:
    await put(place.open(), "x.txt", LARGE)
    store = place.open(timeout=0.5)
    await store.probe()
    place.http.on(lambda request: not request.reading, Hang())
    for call in (put(store, "y", b"x"), store.head("x.txt"), keys(store)):
        began = time.monotonic()
        error = await flipped(store, Unavailable, call)
        assert "0.5 s" in error.why or "timed out" in error.why
        assert time.monotonic() - began < 5
    place.http.heal()
    place.http.on(lambda request: request.reading, Stall(100_000))
    await flipped(store, Unavailable, store.get("x.txt", limit=20 * MIB))


@every_kind(*ONE_OF_EACH)
async def test_many_requests_wait_their_turn_and_not_for_their_deadline(place: Place) -> None:
    store = place.open(concurrency=2, timeout=2.0)
    await store.probe()
    place.http.on(of_our_object, Late(0.2))
    await asyncio.gather(*(put(store, f"{number}.txt", b"x") for number in range(24)))
    assert len(await keys(store)) == 24


# -- M2: conditional writes


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize("answer", ["501", "ignored"])
async def test_where_the_condition_is_no_use_we_look_first(place: Place, answer: str) -> None:
    if answer == "501":
        place.http.on(conditional, Answer(501, error_body("NotImplemented")))
    else:
        place.http.on(conditional, DropHeader("x-goog-if-generation-match" if place.kind.google else "if-none-match"))
    store = place.open()
    able = await store.probe()
    assert able.create_only is (CreateOnly.REFUSED if answer == "501" else CreateOnly.IGNORED)
    assert "look first" in able.limits["create_only"]
    assert (await put(store, "x.txt", ROUND)).created
    assert not (await put(store, "x.txt", ROUND)).created
    with pytest.raises(Exists):
        await put(store, "x.txt", ROUND[::-1])
    assert (await store.get("x.txt", limit=MIB)).data == ROUND
    assert await place.open().probe() == able
    place.http.requests.clear()
    await put(store, "new.txt", ROUND)
    assert [request.method for request in place.http.requests] == ["HEAD", "PUT"]


@every_kind(*ONE_OF_EACH)
async def test_a_store_that_contradicts_itself_is_not_believed(place: Place) -> None:
    store = place.open()
    await store.probe()
    place.http.on(of_our_object, Answer(412, error_body("PreconditionFailed")))
    await flipped(store, Unavailable, put(store, "x.txt", ROUND))
    place.http.heal()
    assert (await put(store, "x.txt", ROUND)).created


@every_kind(*ONE_OF_EACH)
async def test_an_object_with_the_right_hash_beside_it_and_other_bytes_is_not_ours(place: Place) -> None:
    # Somebody stored other bytes of the same length under our metadata: only reading shows it, or the store's own MD5.
    store = place.open()
    able = await store.probe()
    place.http.on(of_our_object, ChangeRequest(lambda body: b"#" + body[1:]))
    if able.etag_md5:
        await flipped(store, ContentMismatch, put(store, "x.txt", ROUND))
        place.http.heal()
        await flipped(store, Exists, put(store, "x.txt", ROUND))
    else:
        assert (await put(store, "x.txt", ROUND)).proof is Proof.SENT
    await flipped(store, ContentMismatch, store.get("x.txt", limit=MIB))


@every_kind("s3-moto")
async def test_two_writers_of_a_large_object_do_not_overwrite_each_other(place: Place) -> None:
    store, other = place.open(part_size=5 * MIB), place.open(part_size=5 * MIB)
    await put(other, "warm.txt", b"")

    async def overtaken() -> AsyncIterator[bytes]:
        yield LARGE[: 6 * MIB]
        await put(other, "x.dem", b"the other one was first")
        yield LARGE[6 * MIB :]

    await flipped(store, Exists, store.put_if_absent("x.dem", overtaken(), sha256=sha256(LARGE)))
    assert (await store.get("x.dem", limit=MIB)).data == b"the other one was first"
    # Nor where the store does not know a conditional completion.
    place.http.on(
        lambda request: request.method == "POST" and conditional(request), Answer(501, error_body("NotImplemented"))
    )

    async def overtaken_again() -> AsyncIterator[bytes]:
        yield LARGE[: 6 * MIB]
        await put(other, "y.dem", b"the other one was first")
        yield LARGE[6 * MIB :]

    await flipped(store, Exists, store.put_if_absent("y.dem", overtaken_again(), sha256=sha256(LARGE)))
    assert (await store.put_if_absent("z.dem", LARGE, sha256=sha256(LARGE))).created
    assert (await store.get("z.dem", limit=12 * MIB)).data == LARGE
    assert unfinished(place.http.upstream, place) == 0


@every_kind("obstore-moto", "gcs", "azure")
async def test_without_a_conditional_completion_we_look_again_before_it(place: Place) -> None:
    store, other = place.open(part_size=5 * MIB), place.open()
    assert not (await store.probe()).create_only_parts

    async def overtaken() -> AsyncIterator[bytes]:
        yield LARGE[: 6 * MIB]
        await put(other, "x.dem", b"the other one was first")
        yield LARGE[6 * MIB :]

    await flipped(store, Exists, store.put_if_absent("x.dem", overtaken(), sha256=sha256(LARGE)))
    assert (await store.get("x.dem", limit=MIB)).data == b"the other one was first"
    if place.kind.server == "moto":
        assert unfinished(place.http.upstream, place) == 0


# -- M1: lost and damaged on the way


@every_kind(*ONE_OF_EACH)
async def test_an_upload_that_is_acknowledged_and_thrown_away(place: Place) -> None:
    store = place.open()
    able = await store.probe()
    place.http.on(of_our_object, Answer(200, b"", {"ETag": '"0123456789abcdef0123456789abcdef"'}))
    if able.etag_md5:
        await flipped(store, ContentMismatch, put(store, "x.txt", ROUND))
    place.http.heal()
    place.http.on(of_our_object, Answer(201, b"", {"ETag": '"0x8D0"', "x-goog-generation": "1"}))
    result = await put(store, "y.txt", ROUND) if not able.etag_md5 else None
    if result is not None:
        assert result.proof is Proof.SENT  # no more than that; the listing tells
    place.http.heal()
    assert await store.head("x.txt") is None
    assert await keys(store) == []


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize(
    "fault", [Truncate(500), Change(lambda body: body[:500]), Change(lambda body: b"#" + body[1:])]
)
async def test_what_comes_back_damaged_is_not_returned(place: Place, fault: Truncate | Change) -> None:
    store = place.open()
    await put(store, "x.txt", ROUND)
    place.http.on(lambda request: request.reading, fault)
    with pytest.raises((ContentMismatch, Unavailable)) as caught:
        await store.get("x.txt", limit=MIB)
    assert caught.value.transient
    place.http.heal()
    assert (await store.get("x.txt", limit=MIB)).data == ROUND


@every_kind(*OVER_HTTP)
@pytest.mark.parametrize("size", [3000, 11 * MIB])
async def test_an_upload_that_is_cut_leaves_no_object(place: Place, size: int) -> None:
    data = LARGE[:size]
    store = place.open(part_size=5 * MIB, timeout=10.0)
    await store.probe()
    cut: Callable[[Request], bool] = of_our_object if size < MIB else (lambda request: request.part)
    place.http.on(cut, CutRequest(2000), 1 if size < MIB else None)
    # aiohttp sends a PUT once more by itself when a kept connection breaks; all of them are cut here.
    place.http.on(cut, CutRequest(2000))
    await flipped(store, Unavailable, store.put_if_absent("x.dem", data, sha256=sha256(data)))
    place.http.heal()
    assert await store.head("x.dem") is None
    assert await keys(store) == []
    if place.kind.server == "moto":
        assert unfinished(place.http.upstream, place) == 0
    assert (await store.put_if_absent("x.dem", data, sha256=sha256(data))).created


@every_kind(*ONE_OF_EACH)
async def test_a_part_that_fails_ends_the_upload(place: Place) -> None:
    store = place.open(part_size=5 * MIB)
    await store.probe()
    seen: list[Request] = []

    def second_part(request: Request) -> bool:
        if request.part:
            seen.append(request)
        return request.part and len(seen) == 2

    place.http.on(second_part, Answer(500, error_body("InternalError")))
    await flipped(store, Unavailable, store.put_if_absent("x.dem", LARGE, sha256=sha256(LARGE)))
    assert await store.head("x.dem") is None
    if place.kind.server == "moto":
        assert unfinished(place.http.upstream, place) == 0


# -- cancelled


@every_kind("s3-moto")
@pytest.mark.parametrize("when", ["begin", "part", "complete"])
async def test_a_cancelled_upload_leaves_nothing(place: Place, when: str) -> None:
    store = place.open(part_size=5 * MIB)
    await store.probe()
    matches: dict[str, Callable[[Request], bool]] = {
        "begin": lambda request: request.method == "POST" and "uploads" in request.query,
        "part": lambda request: request.part,
        "complete": lambda request: request.method == "POST" and "uploadId" in request.query,
    }
    place.http.on(matches[when], Late(0.5) if when == "begin" else Hang())
    task = asyncio.ensure_future(store.put_if_absent("x.dem", LARGE, sha256=sha256(LARGE)))
    while not place.http.count(matches[when]):  # noqa: ASYNC110 - the proxy knows no one who waits for it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    place.http.heal()
    assert unfinished(place.http.upstream, place) == 0
    assert await store.head("x.dem") is None
    assert (await store.put_if_absent("x.dem", LARGE, sha256=sha256(LARGE))).created


@every_kind("obstore-moto", "gcs")
@pytest.mark.parametrize("when", ["begin", "part", "complete", "source"])
async def test_a_cancelled_upload_through_obstore_leaves_nothing_half(place: Place, when: str) -> None:
    store = place.open(part_size=5 * MIB)
    await store.probe()
    matches: dict[str, Callable[[Request], bool]] = {
        "begin": lambda request: request.method == "POST" and "uploads" in request.query,
        "part": lambda request: request.part,
        "source": lambda request: request.part,
        "complete": lambda request: request.method == "POST" and "uploadId" in request.query,
    }
    place.http.on(matches[when], Late(0.3))

    async def stalled() -> AsyncIterator[bytes]:
        yield LARGE
        await asyncio.sleep(60)

    body = stalled() if when == "source" else LARGE
    task = asyncio.ensure_future(store.put_if_absent("x.dem", body, sha256=sha256(LARGE)))
    while not place.http.count(matches[when]):  # noqa: ASYNC110 - the proxy knows no one who waits for it
        await asyncio.sleep(0.01)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 8
    place.http.heal()
    assert unfinished(place.http.upstream, place) == 0
    found = await store.head("x.dem")
    assert found is None or (when == "complete" and found.size == len(LARGE))
    assert (await store.put_if_absent("x.dem", LARGE, sha256=sha256(LARGE))).created is (found is None)


@every_kind(*ONE_OF_EACH)
async def test_cancelled_calls_give_their_turn_back(place: Place) -> None:
    store = place.open(concurrency=2)
    await put(store, "x.txt", ROUND)
    place.http.on(anything, Hang())
    for _ in range(4):
        tasks = [asyncio.ensure_future(put(store, f"{number}.txt", ROUND)) for number in range(4)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    place.http.heal()
    assert (await store.get("x.txt", limit=MIB)).data == ROUND
    assert await keys(store) == ["x.txt"]


# -- M3: listings


PAGE = 5


@pytest.fixture
async def paged(place: Place) -> ObjectStore:
    """Four pages and a half."""
    store = place.open(page_size=PAGE)
    if place.settings.kind != "s3" or place.settings.engine == "obstore":
        place.http.page_size = PAGE
    await asyncio.gather(*(put(store, f"{number:02d}.txt", b"x") for number in range(22)))
    place.http.requests.clear()
    return store


def page(number: int) -> Callable[[Request], bool]:
    """Match the n-th page that is asked for."""
    count = 0

    def match(request: Request) -> bool:
        nonlocal count
        count += request.listing
        return request.listing and count == number

    return match


def without_one(body: bytes) -> bytes:
    return re.sub(rb"<(Contents|Blob)>.*?</\1>", b"", body, count=1, flags=re.DOTALL)


def without_token(body: bytes) -> bytes:
    return re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", body)


def ended(body: bytes) -> bytes:
    return without_token(body).replace(b"<IsTruncated>true<", b"<IsTruncated>false<")


def repeated(store: list[bytes]) -> Callable[[bytes], bytes]:
    def change(body: bytes) -> bytes:
        store.append(body)
        return store[0]

    return change


@every_kind(*ONE_OF_EACH)
async def test_a_page_that_comes_twice(place: Place, paged: ObjectStore) -> None:
    place.http.on(lambda request: request.listing, Change(repeated([])))
    await flipped(paged, ListingIncomplete, listed(paged))
    assert place.http.count() <= (3 if place.name == "s3-moto" else 100 // PAGE + 1)


@every_kind(*ONE_OF_EACH)
@pytest.mark.parametrize("number", [1, 3])
async def test_a_page_that_fails(place: Place, paged: ObjectStore, number: int) -> None:
    place.http.on(page(number), Answer(500, error_body("InternalError")))
    await flipped(paged, Unavailable, listed(paged))
    place.http.heal()
    assert len(await listed(paged)) == 22


@every_kind(*ONE_OF_EACH)
async def test_a_page_that_breaks_off_or_is_no_page(place: Place, paged: ObjectStore) -> None:
    for fault in (Truncate(300), Change(lambda body: body[:300]), Change(lambda _: b"<html>maintenance</html>")):
        place.http.on(page(2), fault)
        with pytest.raises((ListingIncomplete, Unavailable)):
            await listed(paged)
        place.http.heal()


@every_kind("s3-moto")
@pytest.mark.parametrize("change", [without_one, without_token, ended])
async def test_a_page_that_is_short_or_hides_its_successor(
    place: Place, paged: ObjectStore, change: Callable[[bytes], bytes]
) -> None:
    place.http.on(page(2), Change(change))
    await flipped(paged, ListingIncomplete, listed(paged))


@every_kind("s3-moto")
async def test_a_page_that_was_not_asked_for(place: Place, paged: ObjectStore) -> None:
    # In order, nothing twice, and five objects short; but it says which token it answers.
    other = b"<IsTruncated>", b"<ContinuationToken>of page 3</ContinuationToken><IsTruncated>"
    place.http.on(page(2), Change(lambda body: body.replace(*other)))
    error = await flipped(paged, ListingIncomplete, listed(paged))
    assert "another page" in error.why


@every_kind("obstore-moto", "gcs", "azure")
async def test_what_obstore_cannot_see_it_says_it_cannot(place: Place, paged: ObjectStore) -> None:
    able = await paged.probe()
    assert not able.pages_seen
    assert "tokens" in able.limits["pages_seen"]
    place.http.on(page(2), Change(without_one))
    assert len(await listed(paged)) == 21


@every_kind("s3-moto")
async def test_a_full_last_page_is_looked_behind_and_no_other(place: Place) -> None:
    store = place.open(page_size=PAGE)
    await asyncio.gather(*(put(store, f"{number:02d}.txt", b"x") for number in range(2 * PAGE - 1)))
    place.http.requests.clear()
    assert len(await listed(store)) == 2 * PAGE - 1  # and the probe's object, which makes it full
    assert place.http.count() == 3
    await put(store, "99.txt", b"x")
    place.http.requests.clear()
    assert len(await listed(store)) == 2 * PAGE
    assert place.http.count() == 3


@every_kind(*ONE_OF_EACH)
async def test_who_stops_listing_early_asks_for_no_more_pages(place: Place, paged: ObjectStore) -> None:
    found = paged.list()
    assert (await anext(found)).key == "00.txt"
    await found.aclose()
    if place.name == "s3-moto":
        assert place.http.count() == 1
    assert len(await listed(paged)) == 22


@every_kind("s3-moto")
async def test_in_sync_costs_the_pages_and_nothing_else(place: Place) -> None:
    store = place.open()
    await asyncio.gather(*(put(store, f"{number:02d}.txt", b"x") for number in range(60)))
    place.http.requests.clear()
    assert len(await listed(store)) == 60
    assert place.http.count() == 1
    place.http.requests.clear()
    await put(store, "one-more.txt", b"x")
    assert [request.method for request in place.http.requests] == ["PUT"]
