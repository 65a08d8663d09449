"""Listing and fetching, against a real OpenSSH and against the simulated server."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.ingest import game_server as module
from bot.ingest.fetching import Fetched, FetchFailed, FetchProblem, requests_in_flight
from bot.ingest.game_server import GameServer
from bot.ingest.game_server_errors import FolderMissing, GameServerError, PermissionRefused, ServerTimeout, Unreachable
from bot.ingest.listing import SkipReason
from bot.ingest.remote_file import RemoteFile
from tests.standins.game_server import PASSWORD, USER, address_of, fetch_all, server_at
from tests.standins.sshd import OpenSshServer, running_sshd
from tools.bench.delay_proxy import DelayProxy
from tools.simulate.sftp_server import SimulatedSftpServer, write_slowly

ROUND = "2025-01-01-200000-supply-round-1.txt"


@dataclass
class Served:
    """A stats folder and the server that shows it."""

    folder: Path
    server: SimulatedSftpServer | OpenSshServer

    def connect(self, **changes: Any) -> GameServer:
        return server_at(address_of(self.server, self.folder, **changes))

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.folder / name).write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etlegacy" / "gamestats"
    made.mkdir(parents=True)
    return made


@pytest.fixture
async def simulated(folder: Path) -> AsyncIterator[SimulatedSftpServer]:
    async with SimulatedSftpServer(folder.parent, users={USER: PASSWORD}) as server:
        yield server


@pytest.fixture(params=["openssh", "simulated"])
async def served(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> AsyncIterator[Served]:
    if request.param == "openssh":
        async with running_sshd(tmp_path / "sshd") as sshd:
            yield Served(folder, sshd)
    else:
        async with SimulatedSftpServer(folder.parent, users={USER: PASSWORD}) as simulated:
            yield Served(folder, simulated)


def rounds(number: int, size: int = 300) -> dict[str, bytes]:
    chance = random.Random(7)
    return {f"2025-01-01-{i:06}-supply-round-{i % 2 + 1}.txt": chance.randbytes(size) for i in range(number)}


async def fetch_until_it_ends(
    server: GameServer, files: list[RemoteFile], failed: list[FetchFailed] | None = None
) -> tuple[dict[str, bytes], GameServerError | None]:
    """Return what came before the error, and the error."""
    came: dict[str, bytes] = {}
    try:
        async for outcome in server.fetch(files):
            if isinstance(outcome, Fetched):
                came[outcome.file.name] = outcome.data
            else:
                assert failed is not None, outcome
                failed.append(outcome)
    except GameServerError as error:
        return came, error
    return came, None


async def test_listing_and_fetch_give_the_folder_byte_for_byte(served: Served) -> None:
    chance = random.Random(1)
    sizes = [0, 1, 4096, 16_383, 16_384, 16_385, 32_767, 32_768, 49_152, 65_535, 65_536]
    files = {f"{size}.txt": chance.randbytes(size) for size in sizes} | rounds(300)
    files |= {"grün und blank.txt": b"umlaut", "-rf.txt": b"dash", "*.txt": b"star"}
    served.write(files)
    async with served.connect() as server:
        listing = await server.listing()
        assert [file.name for file in listing.files] == sorted(files)
        assert {file.name: file.size for file in listing.files} == {name: len(data) for name, data in files.items()}
        for file in listing.files:
            assert file.mtime == int((served.folder / file.name).stat().st_mtime)
        assert listing.folder_mtime == int(served.folder.stat().st_mtime) == await server.folder_mtime()
        assert await fetch_all(server, listing.files) == (files, {})
        assert server.connections_made == 1


async def test_an_empty_folder_is_listed_as_empty(served: Served) -> None:
    async with served.connect() as server:
        listing = await server.listing()
        assert listing.files == []
        assert listing.skipped_total == listing.ignored_names == 0
        assert await fetch_all(server, []) == ({}, {})


async def test_more_names_than_one_answer_holds(served: Served) -> None:
    files = rounds(1_500, size=0)
    served.write(files)
    async with served.connect() as server:
        for _ in range(2):  # the second one asks for more at once, having seen the first
            assert {file.name for file in (await server.listing()).files} == set(files)


async def test_only_plain_files_with_safe_names_are_listed(served: Served) -> None:
    served.write({ROUND: b"fine", "readme.md": b"", "bad\\name.txt": b"", "new\nline.txt": b"", "\x1b[31m.txt": b""})
    (served.folder / "link.txt").symlink_to(served.folder / ROUND)
    (served.folder / "dangling.txt").symlink_to("/nowhere")
    (served.folder / "folder.txt").mkdir()
    os.mkfifo(served.folder / "fifo.txt")
    with (served.folder / "sparse.txt").open("wb") as sparse:
        sparse.truncate(1 << 30)
    (served.folder / os.fsdecode(b"latin\xe9.txt")).write_bytes(b"")
    async with served.connect() as server:
        listing = await server.listing()
        assert listing.files == [RemoteFile(ROUND, 4, int((served.folder / ROUND).stat().st_mtime))]
        assert {entry.name: entry.reason for entry in listing.skipped} == {
            "link.txt": SkipReason.SYMLINK,
            "dangling.txt": SkipReason.SYMLINK,
            "folder.txt": SkipReason.FOLDER,
            "fifo.txt": SkipReason.FIFO,
            "sparse.txt": SkipReason.TOO_LARGE,
            "bad\\name.txt": SkipReason.UNSAFE_NAME,
            "new\\nline.txt": SkipReason.UNSAFE_NAME,
            "\\x1b[31m.txt": SkipReason.UNSAFE_NAME,
        }
        assert listing.skipped_total == 8
        assert listing.ignored_names == 2
        assert set(listing.ignored_examples) == {"readme.md", "latin\\xe9.txt"}
        assert await fetch_all(server, listing.files) == ({ROUND: b"fine"}, {})
    if isinstance(served.server, SimulatedSftpServer):
        assert set(served.server.counts.opened) == {ROUND}


async def test_the_size_limit_holds_for_files_named_by_the_caller_too(served: Served) -> None:
    served.write({ROUND: b"x" * 65_537})
    async with served.connect() as server:
        came, failed = await fetch_all(server, [RemoteFile(ROUND, 65_537, 1)])
    assert came == {}
    assert failed[ROUND].problem is FetchProblem.TOO_LARGE
    if isinstance(served.server, SimulatedSftpServer):
        assert served.server.counts.opens == 0


@pytest.mark.parametrize("name", ["../etc.txt", "a/b.txt", "..", ".", "", "nul\0.txt", "back\\slash.txt", "x" * 256])
async def test_fetch_takes_no_name_that_leads_elsewhere(
    simulated: SimulatedSftpServer, folder: Path, name: str
) -> None:
    async with server_at(address_of(simulated, folder)) as server:
        with pytest.raises(ValueError, match="not a file name"):
            await fetch_all(server, [RemoteFile(name, 1, 1)])
    assert simulated.counts.opens == 0


@pytest.mark.parametrize("change", ["grows", "shrinks", "is emptied", "is touched", "becomes a link", "goes"])
async def test_a_file_that_changed_after_the_listing_is_told(served: Served, change: str) -> None:
    files = rounds(40)
    served.write(files | {ROUND: b"0123456789"})
    path = served.folder / ROUND
    os.utime(path, (1_700_000_000, 1_700_000_000))
    async with served.connect() as server:
        listing = await server.listing()
        if change == "grows":
            path.write_bytes(b"0123456789A")
        elif change == "shrinks":
            path.write_bytes(b"012345678")
        elif change == "is emptied":
            path.write_bytes(b"")
        elif change == "is touched":
            path.write_bytes(b"9876543210")
        elif change == "becomes a link":
            path.unlink()
            (served.folder / "elsewhere").write_bytes(b"0123456789")
            path.symlink_to("elsewhere")
        else:
            path.unlink()
        came, failed = await fetch_all(server, listing.files)
        assert came == files
        assert failed[ROUND].problem is (FetchProblem.GONE if change == "goes" else FetchProblem.CHANGED)
        assert server.connections_made == 1


@pytest.mark.parametrize("size", [100, 40_000])
@pytest.mark.parametrize("change", ["grows", "shrinks"])
async def test_a_file_that_changes_under_the_reader_is_told(
    simulated: SimulatedSftpServer, folder: Path, change: str, size: int
) -> None:
    path = folder / ROUND
    path.write_bytes(b"x" * size)
    async with server_at(address_of(simulated, folder)) as server:
        listing = await server.listing()
        simulated.faults.when_opened[ROUND] = lambda: os.truncate(path, size + 1 if change == "grows" else size - 1)
        came, failed = await fetch_all(server, listing.files)
    assert came == {}
    assert failed[ROUND].problem is FetchProblem.CHANGED


async def test_a_file_that_is_being_written_comes_whole_or_not_at_all(served: Served) -> None:
    data = random.Random(3).randbytes(2_000)
    writing = asyncio.create_task(write_slowly(served.folder / ROUND, data, step=37, delay=0.003))
    seen = set()
    async with served.connect() as server:
        while len(data) not in seen:
            listing = await server.listing()
            came, _ = await fetch_all(server, listing.files)
            for got in came.values():
                assert got == data[: listing.files[0].size]
                seen.add(len(got))
    await writing


async def test_files_that_are_refused_do_not_stop_the_others(simulated: SimulatedSftpServer, folder: Path) -> None:
    files = rounds(100)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    denied, failing = sorted(files)[:2]
    simulated.faults.denied.add(denied)
    simulated.faults.failing.add(failing)
    async with server_at(address_of(simulated, folder)) as server:
        came, failed = await fetch_all(server, (await server.listing()).files)
    assert came == {name: data for name, data in files.items() if name not in (denied, failing)}
    assert failed[denied].problem is FetchProblem.REFUSED
    assert failed[failing].problem is FetchProblem.SERVER_ERROR
    assert simulated.counts.opened[failing] == 3  # "failure" may have been a lack of handles: two more tries
    assert simulated.counts.opened[denied] == 1


@pytest.mark.parametrize("most_open", [1, 6, 20])
async def test_a_server_that_holds_few_files_open_is_given_time(
    simulated: SimulatedSftpServer, folder: Path, most_open: int
) -> None:
    files = rounds(200)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    simulated.faults.most_open = most_open
    async with server_at(address_of(simulated, folder)) as server:
        assert await fetch_all(server, (await server.listing()).files) == (files, {})


async def test_a_folder_that_is_not_there(served: Served) -> None:
    (served.folder / "file").write_bytes(b"")
    for missing, why in (("nothing", "no such folder"), ("file", "not a folder")):
        async with served.connect() as server:
            server = server_at(address_of(served.server, served.folder / missing))
            async with server:
                for question in (server.listing, server.folder_mtime):
                    with pytest.raises(FolderMissing, match=why) as caught:
                        await question()
                    assert missing in str(caught.value)
                    assert str(server.address) in str(caught.value)


async def test_a_folder_that_may_not_be_read(simulated: SimulatedSftpServer, folder: Path) -> None:
    simulated.faults.denied.add(".")
    async with server_at(address_of(simulated, folder)) as server:
        with pytest.raises(PermissionRefused, match="may not be read by et"):
            await server.listing()
        simulated.faults.denied.clear()
        assert (await server.listing()).files == []
        assert server.connections_made == 1


async def test_an_empty_listing_is_given_as_it_is(simulated: SimulatedSftpServer, folder: Path) -> None:
    (folder / ROUND).write_bytes(b"1234")
    simulated.faults.empty_listings = 1
    async with server_at(address_of(simulated, folder)) as server:
        assert (await server.listing()).files == []
        assert len((await server.listing()).files) == 1


async def test_the_folders_time_proves_nothing_in_its_first_moments(
    simulated: SimulatedSftpServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server_at(address_of(simulated, folder)) as server:
        assert not (await server.listing()).settled
        assert not (await server.listing()).settled
        monkeypatch.setattr(module, "_MTIME_SETTLES", 0.0)  # as if two seconds had gone by
        settled = await server.listing()
        assert settled.settled
        os.utime(folder, (1, 1))
        assert await server.folder_mtime() != settled.folder_mtime
        os.utime(folder, (2, 2))
        assert not (await server.listing()).settled


async def test_nothing_is_ever_written(simulated: SimulatedSftpServer, folder: Path) -> None:
    (folder / ROUND).write_bytes(b"1234")
    async with server_at(address_of(simulated, folder)) as server:
        await server.folder_mtime()
        await fetch_all(server, (await server.listing()).files)
    assert simulated.counts.writes == 0


# -- the connection ----------------------------------------------------------------------------------------------------


async def test_one_connection_serves_everything(simulated: SimulatedSftpServer, folder: Path) -> None:
    files = rounds(50)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    async with server_at(address_of(simulated, folder)) as server:
        listings = await asyncio.gather(*(server.listing() for _ in range(5)), server.listing())
        results = await asyncio.gather(*(fetch_all(server, listing.files) for listing in listings))
        assert all(result == (files, {}) for result in results)
    assert simulated.counts.connections == simulated.counts.logins == 1
    assert simulated.counts.opens == simulated.counts.closes == 6 * 50


async def test_it_connects_again_after_the_server_was_restarted(simulated: SimulatedSftpServer, folder: Path) -> None:
    async with server_at(address_of(simulated, folder, connect_timeout=5.0)) as server:
        await server.listing()
        await simulated.stop()
        with pytest.raises(Unreachable):
            await server.listing()
        await simulated.start()
        await server.listing()
        assert server.connections_made == 2


async def test_it_connects_again_after_openssh_was_restarted(folder: Path, tmp_path: Path) -> None:
    (folder / ROUND).write_bytes(b"1234")
    async with running_sshd(tmp_path / "one") as first:
        server = server_at(address_of(first, folder))
        await server.listing()
    async with server:
        with pytest.raises(Unreachable):
            await server.listing()
        async with running_sshd(tmp_path / "one", port=first.port):
            assert len((await server.listing()).files) == 1
            assert server.connections_made == 2
            await server.close()


async def test_a_kept_connection_that_died_unseen_costs_no_poll(simulated: SimulatedSftpServer, folder: Path) -> None:
    async with server_at(address_of(simulated, folder)) as server:
        await server.folder_mtime()
        # The server lets go; whether we have noticed when we next ask is a matter of chance.
        for connection in tuple(simulated.live_connections):
            connection.abort()
        await server.folder_mtime()
        assert server.connections_made == 2


async def test_closing_twice_and_using_it_again(simulated: SimulatedSftpServer, folder: Path) -> None:
    server = server_at(address_of(simulated, folder))
    await server.close()
    await server.listing()
    assert server.connected
    await server.close()
    await server.close()
    assert not server.connected
    assert server.round_trip is None
    await _gone(simulated)


async def _gone(simulated: SimulatedSftpServer) -> None:
    """Wait until the server has seen the last of us."""
    for connection in tuple(simulated.live_connections):
        await connection.wait_closed()


def test_files_in_flight_follow_the_round_trip() -> None:
    assert requests_in_flight(0.0) == requests_in_flight(0.0005) == 32
    assert requests_in_flight(0.01) == 128
    assert requests_in_flight(0.04) == requests_in_flight(3.0) == 512
    trips = [i / 1000 for i in range(100)]
    assert [requests_in_flight(trip) for trip in trips] == sorted(requests_in_flight(trip) for trip in trips)


@pytest.mark.parametrize(("one_way", "least"), [(0.0, 8), (0.02, 200)])
async def test_more_files_are_asked_for_at_once_where_the_server_is_far(
    simulated: SimulatedSftpServer, folder: Path, one_way: float, least: int
) -> None:
    files = rounds(600)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    async with DelayProxy(simulated.host, simulated.port, one_way=one_way) as proxy:
        address = address_of(simulated, folder, port=proxy.port)
        address.known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {simulated.host_key}\n")
        async with server_at(address) as server:
            listing = await server.listing()
            assert server.round_trip is not None
            assert server.round_trip >= 2 * one_way
            most = requests_in_flight(server.round_trip)
            assert await fetch_all(server, listing.files) == (files, {})
    assert least <= simulated.counts.most_open <= most


# -- servers and lines that fail ---------------------------------------------------------------------------------------


async def test_the_line_is_cut_at_any_byte(served: Served) -> None:
    files = rounds(20, size=1_000)
    served.write(files)
    whole = parts = 0
    async with DelayProxy(served.server.host, served.server.port) as proxy:
        address = address_of(served.server, served.folder, port=proxy.port)
        known_hosts = served.folder.parent / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {served.server.host_key}\n")
        server = server_at(address_of(served.server, served.folder, port=proxy.port, known_hosts=known_hosts))
        async with server:
            listing = await server.listing()
            await fetch_all(server, listing.files)
            everything = proxy.bytes_from_server
        assert address.port == proxy.port
        for cut in [*range(0, 3_000, 250), *range(3_000, everything + 1_000, 1_311)]:
            for fault in ("drop_after", "reset_after"):
                setattr(proxy.faults, fault, cut)
                async with server_at(server.address) as server:
                    came, error = await fetch_until_it_ends(server, listing.files)
                assert came.items() <= files.items()
                if error is None:
                    assert came == files
                    whole += 1
                else:
                    parts += 1
                setattr(proxy.faults, fault, None)
    assert whole >= 2
    assert parts > 20


async def test_what_was_whole_before_the_connection_dropped_is_kept(
    simulated: SimulatedSftpServer, folder: Path
) -> None:
    files = rounds(300, size=100)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    async with server_at(address_of(simulated, folder)) as server:
        listing = await server.listing()
        simulated.faults.drop_after = 100 * 150 + 50
        came, error = await fetch_until_it_ends(server, listing.files)
        assert isinstance(error, Unreachable)
        assert came.items() <= files.items()
        assert 0 < len(came) <= 150
        assert not server.connected
        rest = [file for file in listing.files if file.name not in came]
        more, _ = await fetch_all(server, rest)
        assert came | more == files


@pytest.mark.parametrize("fault", ["hang_on_open", "hang_on_read"])
async def test_a_file_that_hangs_the_server_is_named_and_the_next_fetch_goes_on_without_it(
    simulated: SimulatedSftpServer, folder: Path, fault: str
) -> None:
    files = rounds(60)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    poison = sorted(files)[20]
    getattr(simulated.faults, fault).add(poison)
    async with server_at(address_of(simulated, folder, answer_timeout=0.3)) as server:
        listing = await server.listing()
        stuck: list[FetchFailed] = []
        came, error = await fetch_until_it_ends(server, listing.files, stuck)
        assert isinstance(error, ServerTimeout)
        assert f"stopped answering about {poison}" in str(error)
        await _gone(simulated)  # nothing is left hanging there either
        assert [(failed.file.name, failed.problem) for failed in stuck] == [(poison, FetchProblem.STUCK)]
        rest = [file for file in listing.files if file.name not in came and file.name != poison]
        more, failed = await fetch_all(server, rest)
        assert came | more == {name: data for name, data in files.items() if name != poison}
        assert failed == {}


async def test_a_fifo_that_takes_a_files_place_does_not_hold_us(folder: Path, tmp_path: Path) -> None:
    (folder / ROUND).write_bytes(b"1234")
    async with (
        running_sshd(tmp_path / "sshd") as sshd,
        server_at(address_of(sshd, folder, answer_timeout=0.3)) as server,
    ):
        listing = await server.listing()
        (folder / ROUND).unlink()
        os.mkfifo(folder / ROUND)
        try:
            with pytest.raises(ServerTimeout, match=ROUND):
                await fetch_all(server, listing.files)
            assert (await server.listing()).files == []
        finally:
            # The server's process waits in the pipe for a writer, and would do so for ever, connection or not.
            os.close(os.open(folder / ROUND, os.O_RDWR))


async def test_a_server_that_hangs_does_not_hold_up_another(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "gamestats"
    other.mkdir(parents=True)
    (other / ROUND).write_bytes(b"1234")
    async with (
        SimulatedSftpServer(folder.parent, users={USER: PASSWORD}) as bad,
        SimulatedSftpServer(other.parent, users={USER: PASSWORD}) as good,
        server_at(address_of(bad, folder, answer_timeout=60.0)) as stuck,
        server_at(address_of(good, other)) as server,
    ):
        bad.faults.hang_on_readdir = True
        waiting = asyncio.create_task(stuck.listing())
        came, _ = await fetch_all(server, (await server.listing()).files)
        assert came == {ROUND: b"1234"}
        assert not waiting.done()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


async def test_a_listing_that_hangs_meets_its_deadline(simulated: SimulatedSftpServer, folder: Path) -> None:
    simulated.faults.hang_on_readdir = True
    async with server_at(address_of(simulated, folder, answer_timeout=0.3)) as server:
        with pytest.raises(ServerTimeout, match=r"no answer for 0\.3 s"):
            await server.listing()
    async with server_at(address_of(simulated, folder, listing_timeout=0.3)) as server:
        with pytest.raises(ServerTimeout, match=r"not complete after 0\.3 s"):
            await server.listing()
        simulated.faults.hang_on_readdir = False
        assert (await server.listing()).files == []


async def test_a_server_that_answers_a_little_now_and_then_meets_the_deadline_of_the_fetch(
    simulated: SimulatedSftpServer, folder: Path
) -> None:
    files = rounds(40)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    async with server_at(address_of(simulated, folder, answer_timeout=5.0, fetch_timeout=0.5)) as server:
        listing = await server.listing()
        simulated.faults.latency = 0.01  # answers come all the time, but all of them together take too long
        with pytest.raises(ServerTimeout, match=r"waited 0\.5 s"):
            await fetch_all(server, listing.files)
        simulated.faults.latency = 0.0
        assert await fetch_all(server, listing.files) == (files, {})


async def test_a_line_that_goes_silent(simulated: SimulatedSftpServer, folder: Path) -> None:
    async with DelayProxy(simulated.host, simulated.port) as proxy:
        address = address_of(simulated, folder, port=proxy.port, answer_timeout=0.3, connect_timeout=0.5)
        address.known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {simulated.host_key}\n")
        async with server_at(address) as server:
            await server.connect()
            proxy.faults.blackhole = True
            with pytest.raises(ServerTimeout):
                await server.folder_mtime()
            with pytest.raises(ServerTimeout, match="cannot be reached"):
                await server.folder_mtime()
            proxy.drop()
            proxy.faults.blackhole = False
            await server.folder_mtime()


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_leaving_a_fetch_early_leaves_nothing_behind(simulated: SimulatedSftpServer, folder: Path) -> None:
    files = rounds(300)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    before = asyncio.all_tasks()
    async with server_at(address_of(simulated, folder)) as server:
        listing = await server.listing()
        during = asyncio.all_tasks()
        async with contextlib.aclosing(server.fetch(listing.files)) as outcomes:
            async for _ in outcomes:
                break
        assert asyncio.all_tasks() <= during
        await server.folder_mtime()  # the server has seen all that was sent before
        await server.folder_mtime()
        assert simulated.counts.opens == simulated.counts.closes
        assert await fetch_all(server, listing.files) == (files, {})
        assert server.connections_made == 1
    await simulated.stop()
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003, 0.01, 0.03])
async def test_cancelling_at_any_moment_leaves_nothing_behind(
    simulated: SimulatedSftpServer, folder: Path, after: float
) -> None:
    files = rounds(100)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    before = asyncio.all_tasks()
    server = server_at(address_of(simulated, folder))

    async def poll() -> None:
        while True:
            await fetch_all(server, (await server.listing()).files)

    polling = asyncio.create_task(poll())
    await asyncio.sleep(after)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert await fetch_all(server, (await server.listing()).files) == (files, {})
    await server.close()
    await simulated.stop()
    assert asyncio.all_tasks() <= before


async def test_closing_ends_a_fetch_that_is_under_way(simulated: SimulatedSftpServer, folder: Path) -> None:
    (folder / ROUND).write_bytes(b"1234")
    async with server_at(address_of(simulated, folder)) as server:
        listing = await server.listing()
        simulated.faults.hang_on_read.add(ROUND)
        opened = asyncio.Event()
        simulated.faults.when_opened[ROUND] = opened.set
        fetching = asyncio.create_task(fetch_all(server, listing.files))
        await opened.wait()
        await server.close()
        with pytest.raises(Unreachable):
            await fetching
