"""The folder: what a disk can do to us, and what we must not do to it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.mirror.destinations import DestinationSettings, open_store
from bot.mirror.errors import Exists, Refused, StoreAuth, StoreError, Unavailable
from bot.mirror.store import PROBE_BODY, PROBE_KEY
from tests.mirror.conftest import Place, every_kind, keys, listed, put, sha256

ROUND = b"round\n" * 100
MIB = 1024 * 1024

directory_only = every_kind("directory")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def root(place: Place) -> Path:
    assert place.folder is not None
    return place.folder


@directory_only
async def test_files_are_plain_files_with_their_own_time(place: Place) -> None:
    store = place.open(prefix="copies")
    await put(store, "a/b/round.txt", ROUND, mtime=1735766361.5)
    assert files(root(place)) == {PROBE_KEY, "copies/a/b/round.txt"}
    path = root(place) / "copies/a/b/round.txt"
    assert path.read_bytes() == ROUND
    assert path.stat().st_mtime == 1735766361.5
    assert (root(place) / PROBE_KEY).read_bytes() == PROBE_BODY


@directory_only
@pytest.mark.parametrize("how", ["unmarked", "gone", "other"])
async def test_a_disk_that_is_not_there_is_no_empty_destination(place: Place, how: str) -> None:
    store = place.open()
    await put(store, "x.txt", ROUND)
    await store.close()
    if how == "unmarked":
        root(place).rename(root(place).with_name("elsewhere"))
        root(place).mkdir()
    elif how == "gone":
        root(place).rename(root(place).with_name("elsewhere"))
    else:
        (root(place) / PROBE_KEY).unlink()
        (root(place) / PROBE_KEY).symlink_to("/etc/hostname")
    again = open_store(place.settings)
    try:
        for call in (
            keys(again),
            again.head("x.txt"),
            again.get("x.txt", limit=9999),
            put(again, "y", b"y"),
            again.probe(),
        ):
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.transient
            assert "ount" in caught.value.next_step
    finally:
        await again.close()
    if how != "gone":
        assert "y" not in files(root(place))


@directory_only
async def test_a_disk_said_to_be_mounted_is_not_the_system_disk(place: Place) -> None:
    if root(place).stat().st_dev != Path("/").stat().st_dev:
        pytest.skip("the temporary folder is a file system of its own")
    store = place.open(mounted=True)
    with pytest.raises(Unavailable, match="nothing is mounted"):
        await put(store, "x.txt", ROUND)
    assert files(root(place)) == set()


@directory_only
async def test_links_are_not_followed(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    store = place.open(prefix="")
    await put(store, "real/x.txt", ROUND)
    (root(place) / "link").symlink_to(outside)
    (root(place) / "file.txt").symlink_to(outside / "secret.txt")
    (root(place) / "loop").symlink_to(".")
    os.mkfifo(root(place) / "pipe.txt")
    assert await keys(store) == ["real/x.txt"]
    assert await store.head("file.txt") is None
    for key in ("link/secret.txt", "file.txt", "loop/real/x.txt"):
        with pytest.raises(Refused):
            await store.get(key, limit=9999)
    for key in ("link/new.txt", "loop/new.txt"):
        with pytest.raises(Refused):
            await put(store, key, b"x")
    with pytest.raises(StoreError):
        await store.get("pipe.txt", limit=9999)
    for key in ("file.txt", "pipe.txt"):
        with pytest.raises(StoreError):
            await put(store, key, b"x")
    assert files(outside) == {"secret.txt"}
    assert (outside / "secret.txt").read_text() == "secret"


@directory_only
async def test_a_name_that_is_no_text_is_listed_all_the_same(place: Place) -> None:
    store = place.open(prefix="")
    await put(store, "x.txt", ROUND)
    (Path(os.fsdecode(os.fsencode(root(place)) + b"/bad-\xff.txt"))).write_text("?")
    assert await keys(store) == ["bad-\\xff.txt", "x.txt"]


class Disk:
    """Lets `os` calls of the adapter fail as a disk would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def fails(self, call: str, number: int, after: int = 0) -> None:
        real = getattr(os, call)
        count = 0

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count > after and threading.current_thread().name.startswith("mirror-test"):
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        self._patch.setattr(os, call, failing)

    def heals(self) -> None:
        self._patch.undo()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@directory_only
@pytest.mark.parametrize(
    ("call", "number", "error"),
    [
        ("write", errno.ENOSPC, Refused),
        ("write", errno.EDQUOT, Refused),
        ("write", errno.EIO, Unavailable),
        ("fsync", errno.EIO, Unavailable),
        ("fsync", errno.ENOSPC, Refused),
        ("link", errno.EIO, Unavailable),
        ("open", errno.ESTALE, Unavailable),
        ("mkdir", errno.EROFS, StoreAuth),
        ("mkdir", errno.EACCES, StoreAuth),
    ],
)
async def test_a_disk_that_fails_keeps_nothing_half(
    place: Place, disk: Disk, call: str, number: int, error: type[StoreError]
) -> None:
    store = place.open(part_size=5 * MIB)
    await store.probe()
    disk.fails(call, number)
    with pytest.raises(error) as caught:
        await put(store, "a/x.txt", ROUND)
    assert os.strerror(number) in caught.value.why
    with pytest.raises(error):
        await store.put_if_absent("a/y.dem", bytes(6 * MIB), sha256=sha256(bytes(6 * MIB)))
    disk.heals()
    assert files(root(place)) == {PROBE_KEY}
    assert (await put(store, "a/x.txt", ROUND)).created


@directory_only
async def test_a_disk_without_links_keeps_the_promise_too(place: Place, disk: Disk) -> None:
    store = place.open()
    await store.probe()
    disk.fails("link", errno.EPERM)
    assert (await put(store, "x.txt", ROUND)).created
    assert not (await put(store, "x.txt", ROUND)).created
    with pytest.raises(Exists):
        await put(store, "x.txt", b"other")
    assert [info.size for info in await listed(store)] == [len(ROUND)]
    assert len(files(root(place))) == 2


@directory_only
async def test_a_disk_that_hangs_is_left_after_the_deadline_and_holds_nobody_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.open(timeout=0.3)
    await put(store, "x.txt", ROUND)
    release = threading.Event()
    real = os.stat

    def hanging(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread().name.startswith("mirror-test"):
            release.wait(10)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, "stat", hanging)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"0\.3 s"):
        await store.head("x.txt")
    assert time.monotonic() - began < 5
    assert await asyncio.to_thread(lambda: 1) == 1
    release.set()
    monkeypatch.undo()
    assert await store.head("x.txt") is not None


@directory_only
async def test_a_cancelled_copy_leaves_no_file(place: Place) -> None:
    store = place.open(part_size=5 * MIB)
    await store.probe()
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(3 * MIB)
        reached.set()
        await asyncio.sleep(60)

    task = asyncio.ensure_future(store.put_if_absent("x.dem", endless(), sha256=sha256(b"")))
    await reached.wait()
    assert len(files(root(place))) == 2
    assert await keys(store) == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(root(place)) == {PROBE_KEY}


@directory_only
async def test_leftovers_of_a_killed_run_go_only_when_they_are_old(place: Place) -> None:
    await put(place.open(), "x.txt", ROUND)
    old, fresh, others = (root(place) / name for name in (f".{'a' * 16}.part", f".{'b' * 16}.part", "mine.part"))
    for path in (old, fresh, others):
        path.write_text("x")
    for path in (old, others):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    assert PROBE_KEY not in await keys(place.open(prefix=""))
    assert "mine.part" in await keys(place.open(prefix=""))
    assert f".{'b' * 16}.part" not in await keys(place.open(prefix=""))
    await place.open(prefix="").probe()
    assert not old.exists()
    assert fresh.exists()
    assert others.exists()


@directory_only
async def test_a_file_where_a_folder_should_be(place: Place) -> None:
    store = place.open()
    await put(store, "a", ROUND)
    with pytest.raises(Refused):
        await put(store, "a/b", ROUND)
    await put(store, "c/d", ROUND)
    with pytest.raises(Refused):
        await put(store, "c", ROUND)
    assert await keys(store) == ["a", "c/d"]


async def test_a_folder_that_is_not_there_is_never_made(tmp_path: Path) -> None:
    settings = DestinationSettings(name="test", kind="directory", path=tmp_path / "missing")
    store = open_store(settings, new=True)
    with pytest.raises(Unavailable):
        await put(store, "x.txt", b"x")
    await store.close()
    assert not (tmp_path / "missing").exists()
