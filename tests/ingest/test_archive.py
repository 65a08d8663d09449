"""The archive: a file is in it whole or not at all, and nothing in it is ever lost or followed (S2, S3, S6)."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ingest.archive import REPLACED, Archive, ArchivedFile, ArchiveError, content_hash
from parsers import is_stats_file_name

NAME = "2025-01-01-200000-supply-round-1.txt"
OTHER = "2025-01-01-201000-supply-round-2.txt"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "local_stats")


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_written_is_read_and_nothing_else_is_left(archive: Archive, durable: bool) -> None:
    archive.write(NAME, b"round", durable=durable)
    archive.flush()
    assert archive.read(NAME, 100) == b"round"
    assert everything(archive.folder) == {NAME: b"round"}
    assert archive.scan() == [ArchivedFile(NAME, 5)]


def test_an_archive_that_is_not_there_is_empty(archive: Archive) -> None:
    assert archive.scan() == []
    assert archive.read(NAME, 100) is None
    assert archive.remove_leftovers() == 0


def test_no_more_is_read_than_one_byte_over_the_limit(archive: Archive) -> None:
    archive.write(NAME, b"0123456789")
    assert archive.read(NAME, 9) == b"0123456789"
    assert archive.read(NAME, 4) == b"01234"


def test_earlier_bytes_are_set_aside_once_and_the_same_bytes_again_change_nothing(archive: Archive) -> None:
    archive.write(NAME, b"first")
    archive.write(NAME, b"first")
    assert everything(archive.folder) == {NAME: b"first"}
    for data in (b"second", b"first", b"second", b"third"):
        archive.write(NAME, data)
    kept = everything(archive.folder)
    assert kept.pop(NAME) == b"third"
    assert kept == {f"{REPLACED}/{NAME}.{content_hash(data)[:16]}": data for data in (b"first", b"second")}


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../escaped.txt",
        f"../{NAME}",
        f"/tmp/{NAME}",
        f"sub/{NAME}",
        f"{NAME}\0",
        f"{NAME}\n",
        f"\\{NAME}",
        ".hidden",
        ".replaced",
        "2025-01-01-200000-..-round-1.txt/../../x",
        "2025-01-01-200000-a/b-round-1.txt",
        "2025-01-01-200000-a\\b-round-1.txt",
        "CON",
        "notes.txt",
        f"{NAME}.part",
    ],
)
def test_names_outside_the_grammar_are_refused(archive: Archive, name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError):
        archive.write(name, b"x")
    with pytest.raises(ArchiveError):
        archive.read(name, 10)
    assert everything(tmp_path) == {}


@given(st.text(max_size=80) | st.from_regex(r"\d{4}-\d\d-\d\d-\d{6}-.{0,70}-round-[12](_ws|-endstats)?\.txt"))
def test_whatever_a_name_is_nothing_is_written_outside_of_the_folder(tmp_path_factory: Any, name: str) -> None:
    root: Path = tmp_path_factory.mktemp("names")
    archive = Archive(root / "archive" / "server")
    try:
        archive.write(name, b"x", durable=False)
    except ArchiveError:
        assert everything(root) == {}
        assert not is_stats_file_name(name)
    else:
        assert everything(root) == {f"archive/server/{name}": b"x"}


@pytest.mark.parametrize("call", ["open", "rename", "mkdir", "fsync", "write"])
def test_a_write_that_fails_leaves_what_was_there(archive: Archive, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.write(NAME, b"first")
    before = everything(archive.folder)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", fail)
        elif call == "write":
            real = Path.open

            class Full:
                def __init__(self, file: Any) -> None:
                    self.file = file

                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    self.file.close()

                def write(self, data: bytes) -> int:
                    written: int = self.file.write(data[:3])
                    return written

                def fileno(self) -> int:
                    number: int = self.file.fileno()
                    return number

            patch.setattr(Path, "open", lambda *args, **kwargs: Full(real(*args, **kwargs)))
        else:
            patch.setattr(Path, call, fail)
        with pytest.raises(ArchiveError) as caught:
            archive.write(NAME, b"second")
    assert str(archive.folder) in str(caught.value)
    assert everything(archive.folder)[NAME] == before[NAME]
    assert not list(archive.folder.glob(".*.part"))
    archive.write(NAME, b"second")
    assert archive.read(NAME, 10) == b"second"
    assert everything(archive.folder)[f"{REPLACED}/{NAME}.{content_hash(b'first')[:16]}"] == b"first"


def test_earlier_bytes_are_kept_where_the_file_system_has_no_links(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    archive.write(NAME, b"first")
    archive.write(NAME, b"second")
    assert everything(archive.folder) == {
        NAME: b"second",
        f"{REPLACED}/{NAME}.{content_hash(b'first')[:16]}": b"first",
    }


def test_a_symlink_is_not_followed_and_makes_room_for_the_file(archive: Archive, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    archive.folder.mkdir()
    (archive.folder / NAME).symlink_to(secret)
    assert archive.scan() == []
    with pytest.raises(ArchiveError):
        archive.read(NAME, 100)
    archive.write(NAME, b"round")
    assert archive.read(NAME, 100) == b"round"
    assert secret.read_bytes() == b"secret"


def test_a_pipe_does_not_make_anybody_wait_and_makes_room_for_the_file(archive: Archive) -> None:
    archive.folder.mkdir()
    os.mkfifo(archive.folder / NAME)
    result: list[object] = []

    def look() -> None:
        result.append(archive.scan())
        try:
            result.append(archive.read(NAME, 100))
        except ArchiveError as error:
            result.append(error)
        archive.write(NAME, b"round")
        result.append(archive.read(NAME, 100))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert result[0] == []
    assert isinstance(result[1], ArchiveError)
    assert result[2] == b"round"


def test_a_folder_under_the_name_of_a_file_is_no_file_and_makes_room(archive: Archive) -> None:
    (archive.folder / NAME).mkdir(parents=True)
    (archive.folder / NAME / "within").write_bytes(b"kept")
    assert archive.scan() == []
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ArchiveError):
            archive.read(NAME, 100)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    archive.write(NAME, b"round")
    assert archive.read(NAME, 100) == b"round"
    assert b"kept" in everything(archive.folder).values()


def test_only_leftovers_are_removed(archive: Archive) -> None:
    archive.write(NAME, b"round")
    archive.write(NAME, b"round again")
    for name in (".0123456789abcdef.part", ".x.part"):
        (archive.folder / name).write_bytes(b"half")
    for name in ("notes.part", "README.md", ".keep"):
        (archive.folder / name).write_bytes(b"somebody's")
    assert archive.remove_leftovers() == 2
    assert sorted(everything(archive.folder)) == sorted(
        [NAME, f"{REPLACED}/{NAME}.{content_hash(b'round')[:16]}", "notes.part", "README.md", ".keep"]
    )


def test_a_scan_sees_the_stats_files_alone_in_order(archive: Archive) -> None:
    for name in (OTHER, NAME):
        archive.write(name, name.encode())
    for name in ("README.md", "2025-01-01-200000-supply.txt", ".x.part", "x-round-1.txt"):
        (archive.folder / name).write_bytes(b"x")
    (archive.folder / "2025-01-01-203000-supply-round-1.txt").mkdir()
    assert archive.scan() == [ArchivedFile(NAME, len(NAME)), ArchivedFile(OTHER, len(OTHER))]
    assert archive.other_names() == 4


def test_a_file_in_place_of_the_folder_is_said_and_touched_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"a file")
    archive = Archive(tmp_path / "archive")
    for action in (archive.scan, archive.flush, lambda: archive.write(NAME, b"x"), lambda: archive.read(NAME, 5)):
        with pytest.raises(ArchiveError) as caught:
            action()
        assert str(tmp_path / "archive") in str(caught.value)
    assert everything(tmp_path) == {"archive": b"a file"}
