"""What every kind of destination keeps, on real servers. A kind that cannot says so in its capabilities."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import pytest

from bot.mirror.errors import (
    BucketMissing,
    Exists,
    ListingIncomplete,
    NotFound,
    Refused,
    SourceProblem,
    StoreError,
    TooLarge,
)
from bot.mirror.store import PROBE_KEY, Capabilities, CreateOnly, Proof
from tests.mirror.conftest import OVER_HTTP, Place, every_kind, keys, listed, put, sha256
from tests.standins.objectstores import BUCKET

MIB = 1024 * 1024
ROUND = b"^7Server\\supply\\legacy3\\1\\...\n" * 100

ODD_KEYS = [
    "gamestats/2025-01-01-211921-supply-round-1.txt",
    "a b/two  spaces .txt",
    "plus+plus/%25 percent %2F.txt",
    "ünïcödé/日本/😀 smile.txt",
    "quote'\"&<>;=,@:$!*()[]{}~#?^`|.txt",
    "dash-_.+/x",
]


@every_kind()
async def test_probe_finds_out_what_the_store_does_with_a_conditional_write(place: Place) -> None:
    store = place.open()
    found = await store.probe()
    assert found.create_only is place.kind.create_only
    # What is missing has a reason that a person can read; nothing else has one.
    missing = {
        name.name
        for name in fields(Capabilities)
        if name.name not in {"create_only", "key_order", "limits"} and getattr(found, name.name) is False
    }
    if found.create_only is not CreateOnly.ATOMIC:
        missing.add("create_only")
    assert set(found.limits) == missing
    assert await store.probe() is found
    assert await keys(store) == []
    outer = place.open(prefix="/".join(place.settings.prefix.split("/")[:-2]))
    assert not [key for key in await keys(outer) if key.endswith(PROBE_KEY)]


@every_kind()
async def test_probe_is_idempotent_and_another_run_finds_the_same(place: Place) -> None:
    first = await place.open().probe()
    if place.proxy is not None:
        place.proxy.requests.clear()
    assert await place.open().probe() == first
    if place.proxy is not None:
        assert place.proxy.count() == 3
        assert place.proxy.count(lambda request: request.method in {"PUT", "POST"}) == 1
        assert place.proxy.count(lambda request: request.method == "DELETE") == 0


@every_kind()
async def test_bytes_come_back_as_they_were(place: Place) -> None:
    store = place.open()
    result = await put(store, "a/round.txt", ROUND, mtime=1735766361.25)
    assert result.created
    assert result.size == len(ROUND)
    able = await store.probe()
    assert result.proof is (Proof.ETAG if able.etag_md5 else Proof.SENT)
    back = await store.get("a/round.txt", limit=len(ROUND))
    assert back.data == ROUND
    assert back.info.key == "a/round.txt"
    assert back.info.size == len(ROUND)
    head = await store.head("a/round.txt")
    assert head is not None
    assert head.size == len(ROUND)
    assert head.last_modified.tzinfo is not None
    assert head.sha256 == (sha256(ROUND) if able.metadata else None)
    if able.metadata or place.name == "directory":
        assert head.mtime == 1735766361.25
    assert head.md5 == (hashlib.md5(ROUND).hexdigest() if able.etag_md5 else None)


@every_kind()
async def test_the_same_object_again_is_no_transfer_and_another_is_not_overwritten(place: Place) -> None:
    store = place.open()
    assert (await put(store, "x.txt", ROUND)).created
    again = await put(store, "x.txt", ROUND)
    assert not again.created
    assert again.proof in {Proof.ETAG, Proof.METADATA, Proof.READ}
    other = ROUND.replace(b"supply", b"radar!")
    assert len(other) == len(ROUND)
    for data in (other, ROUND + b"more", b""):
        with pytest.raises(Exists) as caught:
            await put(store, "x.txt", data)
        assert caught.value.info is not None
        assert caught.value.info.size == len(ROUND)
        assert not caught.value.transient
    assert (await store.get("x.txt", limit=MIB)).data == ROUND


@every_kind()
async def test_of_many_at_once_one_creates_it(place: Place) -> None:
    store, other = place.open(), place.open()
    atomic = (await store.probe()).create_only is CreateOnly.ATOMIC
    await other.probe()
    # Two processes can overtake each other where the store does not see to it; calls of one process cannot.
    writers = [store, other] * 4 if atomic else [store] * 8
    results = await asyncio.gather(*(put(writer, "same.txt", ROUND) for writer in writers))
    assert sum(result.created for result in results) == 1
    assert (await store.get("same.txt", limit=MIB)).data == ROUND


@every_kind()
async def test_replace_only_where_it_is_asked_for(place: Place) -> None:
    store = place.open()
    await put(store, "x.txt", ROUND)
    assert (await store.put("x.txt", b"newer", sha256=sha256(b"newer"))).created
    assert (await store.get("x.txt", limit=MIB)).data == b"newer"
    assert await keys(store) == ["x.txt"]


@every_kind()
async def test_an_empty_object(place: Place) -> None:
    store = place.open()
    assert (await put(store, "empty.txt", b"")).created
    assert not (await put(store, "empty.txt", b"")).created
    assert (await store.get("empty.txt", limit=0)).data == b""
    assert [info.size for info in await listed(store)] == [0]


@every_kind()
@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_kept_as_they_are(place: Place, key: str) -> None:
    store = place.open()
    await put(store, key, key.encode())
    assert (await store.get(key, limit=MIB)).data == key.encode()
    assert await keys(store) == [key]
    head = await store.head(key)
    assert head is not None
    assert head.key == key
    assert not (await put(store, key, key.encode())).created


@every_kind()
@pytest.mark.parametrize(
    "key", ["", "/a", "a//b", "a/", "../x", "a/../b", "./a", "a\x00b", "a\nb", "a\\b", "x" * 1100, "a./b", "\ud800"]
)
async def test_keys_that_some_store_would_change_are_refused_everywhere(place: Place, key: str) -> None:
    store = place.open()
    for call in (put(store, key, b"x"), store.head(key), store.get(key, limit=1)):
        with pytest.raises(Refused):
            await call
    if place.proxy is not None:
        assert place.proxy.count() == 0


@every_kind()
async def test_a_listing_of_many_pages_is_whole_and_in_order(place: Place) -> None:
    store = place.open(page_size=7)
    if place.proxy is not None and "s3-" not in place.name:
        place.proxy.page_size = 7
    wanted = [f"g/{number:03d}.txt" for number in range(35)] + ["g.txt", "g/sub/x.txt", "g0.txt"]
    await asyncio.gather(*(put(store, key, key.encode()) for key in wanted))
    if place.proxy is not None:
        place.proxy.requests.clear()
    if not place.kind.in_order:
        # s3rver lists folder by folder. On one page that is seen; between pages it loses keys without a trace, so that
        # a look at the object itself has to come before anybody calls it missing.
        with pytest.raises(ListingIncomplete):
            await listed(place.open())
        lost = set(wanted) - set(await keys(store))
        assert lost == {"g.txt"}
        assert await store.head("g.txt") is not None
        return
    found = await listed(store)
    assert [info.key for info in found] == sorted(wanted)
    assert [info.size for info in found] == [len(info.key) for info in found]
    if place.proxy is not None:
        pages = place.proxy.count(lambda request: request.listing)
        assert 6 <= pages <= 7
        assert place.proxy.count() == pages
    assert await keys(store, after="g/030.txt") == sorted(wanted)[sorted(wanted).index("g/030.txt") + 1 :]


@every_kind()
async def test_a_listing_stays_below_its_prefix(place: Place) -> None:
    store = place.open()
    for key in ("server/a.txt", "server/sub/b.txt", "server2/c.txt", "server.txt"):
        await put(store, key, b"x")
    assert await keys(store, "server/") == ["server/a.txt", "server/sub/b.txt"]
    assert await keys(store, "nothing/") == []
    with pytest.raises(ValueError, match="slash"):
        await keys(store, "server")
    neighbour = place.open(prefix=place.settings.prefix.rstrip("/") + "x")
    assert await keys(neighbour) == []
    await put(neighbour, "other.txt", b"x")
    if place.kind.in_order:
        assert sorted(await keys(store)) == ["server.txt", "server/a.txt", "server/sub/b.txt", "server2/c.txt"]
    inner = place.open(prefix=place.settings.prefix.rstrip("/")[:-1] + "/server")
    assert await keys(inner) == ["a.txt", "sub/b.txt"]


@every_kind()
async def test_what_is_not_there(place: Place) -> None:
    store = place.open()
    assert await store.head("nothing.txt") is None
    with pytest.raises(NotFound):
        await store.get("nothing.txt", limit=1)
    with pytest.raises(NotFound):
        async with store.open("deep/nothing.txt"):
            pass
    if place.name != "directory":
        assert await keys(store) == []


@every_kind(*OVER_HTTP)
async def test_a_missing_bucket_is_not_a_missing_object(place: Place) -> None:
    for call in ("head", "get", "list", "put", "probe"):
        store = place.open(bucket=BUCKET + "-not-there")
        with pytest.raises(BucketMissing) as caught:
            if call == "head":
                await store.head("x.txt")
            elif call == "get":
                await store.get("x.txt", limit=1)
            elif call == "list":
                await keys(store)
            elif call == "put":
                await put(store, "x.txt", b"x")
            else:
                await store.probe()
        assert "not-there" in str(caught.value)


@every_kind()
async def test_no_more_is_read_than_agreed(place: Place) -> None:
    store = place.open()
    await put(store, "x.txt", ROUND)
    with pytest.raises(TooLarge):
        await store.get("x.txt", limit=len(ROUND) - 1)


@every_kind()
async def test_a_reader_that_stops_early_leaves_nothing_open(place: Place) -> None:
    store = place.open(concurrency=1)
    await put(store, "x.bin", os.urandom(2 * MIB))
    for _ in range(5):
        async with store.open("x.bin") as reader:
            chunks = aiter(reader)
            assert await anext(chunks)
            await chunks.aclose()
    assert (await store.get("x.bin", limit=3 * MIB)).info.size == 2 * MIB


@every_kind()
async def test_a_body_that_is_not_what_it_was_said_to_be_is_not_stored(place: Place, tmp_path: Path) -> None:
    store = place.open(part_size=5 * MIB)
    large = tmp_path / "large.dem"
    large.write_bytes(os.urandom(11 * MIB))
    (tmp_path / "link").symlink_to(large)
    wrong = sha256(b"something else")
    for body in (ROUND, large, chunks_of(large.read_bytes()), tmp_path / "missing", tmp_path / "link", tmp_path):
        with pytest.raises(SourceProblem):
            await store.put_if_absent("x.bin", body, sha256=wrong)
    assert await keys(store) == []
    assert await store.head("x.bin") is None


async def chunks_of(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@every_kind()
async def test_large_objects_from_a_file_and_from_a_stream(place: Place, tmp_path: Path) -> None:
    store = place.open(part_size=5 * MIB)
    data = random.Random(7).randbytes(12 * MIB + 5)
    file = tmp_path / "demo.dm_84"
    file.write_bytes(data)
    assert (await store.put_if_absent("demo.dm_84", file, sha256=sha256(data), mtime=5.0)).created
    again = await store.put_if_absent("demo.dm_84", file, sha256=sha256(data), mtime=5.0)
    assert not again.created
    assert again.proof in {Proof.METADATA, Proof.READ}
    assert (await store.put_if_absent("stream.dm_84", chunks_of(data), sha256=sha256(data))).created
    assert not (await store.put_if_absent("stream.dm_84", chunks_of(data), sha256=sha256(data))).created
    for key in ("demo.dm_84", "stream.dm_84"):
        digest = hashlib.sha256()
        async with store.open(key) as reader:
            if (await store.probe()).metadata:
                assert reader.info.sha256 == sha256(data)
            async for chunk in reader:
                assert len(chunk) <= 10 * MIB
                digest.update(chunk)
        assert digest.hexdigest() == sha256(data)
    file.write_bytes(data[::-1])
    with pytest.raises(Exists):
        await store.put_if_absent("demo.dm_84", file, sha256=sha256(data[::-1]))
    assert sorted(await keys(store)) == ["demo.dm_84", "stream.dm_84"]


_MEASURED = """
import asyncio, hashlib, json, pathlib, resource, sys
from bot.mirror.destinations import DestinationSettings, open_store

async def main():
    settings = DestinationSettings(**json.loads(sys.argv[1]))
    file = pathlib.Path(sys.argv[2])
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    store = open_store(settings, new=True)
    small = b"x" * (9 << 20)
    await store.put_if_absent("small", small, sha256=hashlib.sha256(small).hexdigest())
    del small
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await store.put_if_absent("large", file, sha256=digest.hexdigest())
    back = 0
    async with store.open("large") as reader:
        async for chunk in reader:
            back += len(chunk)
    await store.close()
    print(back, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


@every_kind("s3-moto", "obstore-moto", "azure", "directory")
async def test_memory_stays_flat_for_large_objects(place: Place, tmp_path: Path) -> None:
    place.open(part_size=5 * MIB)
    size = 64 * MIB
    file = tmp_path / "large.dem"
    with file.open("wb") as target:
        for _ in range(64):
            target.write(os.urandom(MIB))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _MEASURED,
        place.settings.model_dump_json(),
        str(file),
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    back, grown = (int(word) for word in output.split())
    assert back == size
    # Four parts and what the library holds of them; a whole copy would be 64 MiB, and is what this is to notice.
    assert grown * 1024 < 40 * MIB


@every_kind()
async def test_nothing_is_ever_deleted(place: Place) -> None:
    store = place.open()
    await put(store, "x.txt", ROUND)
    await store.put("x.txt", b"y", sha256=sha256(b"y"))
    assert not any("delete" in name or "remove" in name for name in dir(store))
    if place.proxy is not None:
        assert place.proxy.count(lambda request: request.method == "DELETE") == 0


@every_kind()
async def test_closing_twice_is_safe_and_no_message_holds_a_secret(place: Place) -> None:
    store = place.open()
    await store.close()
    await store.close()
    assert repr(store).count("test") == 1
    for secret in place.settings.secrets():
        assert secret not in repr(store) + repr(place.settings) + repr(vars(place.settings))


@every_kind()
async def test_errors_are_for_the_admin(place: Place) -> None:
    store = place.open()
    with pytest.raises(StoreError) as caught:
        await store.get("nothing.txt", limit=1)
    error = caught.value
    assert error.what
    assert error.why
    assert error.next_step
    assert "test" in error.what
