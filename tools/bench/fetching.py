"""The comparisons that reach over SFTP: fetching a backlog, near and far, and listing a large folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from tools.bench.environment import FAR, Address, Environment, absent, no_sshd, tool, worker
from tools.bench.material import STANDARD_BYTES, STANDARD_FILES
from tools.bench.measure import (
    CPU,
    MEMORY,
    SECONDS,
    Comparison,
    Contender,
    Measure,
    MeasureError,
    Metric,
    Sample,
    Target,
)

MANY_NAMES = 50_000

_CIPHER = "aes128-gcm@openssh.com"
_PER_FILE = Metric("per_file", "per file", "s")
_FILES = Metric("files", "files", "", 0)

FewFiles = Callable[[int], int]


def _ssh(at: Address) -> list[str]:
    """Return options that keep OpenSSH's client to this address, key and cipher, whatever the person's own say."""
    options = [f"UserKnownHostsFile={at.known_hosts}", f"Ciphers={_CIPHER}", "BatchMode=yes", "IdentitiesOnly=yes"]
    return ["-F", "/dev/null", "-i", str(at.key), *(part for option in options for part in ("-o", option))]


def _rclone(at: Address, source: Path, transfers: int, target: Path) -> Awaitable[Sample]:
    return tool(
        *("rclone", "copy", f":sftp:{source}", target, "--config", "/dev/null"),
        *("--sftp-host", "127.0.0.1", "--sftp-port", str(at.port), "--sftp-user", at.user),
        *("--sftp-key-file", at.key, "--sftp-known-hosts-file", at.known_hosts),
        # Its check sums would start a program on the server for each file.
        *("--sftp-disable-hashcheck", "--transfers", str(transfers), "--checkers", "16"),
    )


def _lftp(at: Address, commands: str) -> Awaitable[Sample]:
    settings = (
        f'set sftp:connect-program "ssh -a -x {" ".join(_ssh(at))}"; set net:max-retries 1; set cmd:fail-exit yes'
    )
    return tool("lftp", "--norc", "-c", f"{settings}; open -u {at.user},x sftp://127.0.0.1:{at.port}; {commands}")


def _sftp(at: Address, source: Path, target: Path) -> Awaitable[Sample]:
    commands = f'get -r "{source}" "{target}"\n'.encode()
    return tool("sftp", "-q", *_ssh(at), "-P", str(at.port), "-b", "-", f"{at.user}@127.0.0.1", stdin=commands)


def _fetching(
    environment: Environment, files: int, how: Callable[[Path, Path], Awaitable[Sample]], *, below: bool = False
) -> Measure:
    """Return a measure that fetches a folder of so many files into an empty one, and counts what came."""

    async def measure() -> Sample:
        source = environment.material.plain(files, STANDARD_BYTES)
        with environment.scratch(in_memory=True) as target:
            sample = await how(source, target)
            came = sum(1 for _ in (target / source.name if below else target).iterdir())
            if came != files:
                raise MeasureError(f"{came} of {files} files came")
        return {**sample, "files": files, "per_file": sample["seconds"] / max(1, files)}

    return measure


def _contenders(
    environment: Environment,
    at: Address,
    files: int,
    *,
    in_flight: tuple[int, ...],
    transfers: tuple[int, ...],
    jobs: tuple[int, ...],
    few: int,
    very_few: int,
) -> list[Contender]:
    async def ours(source: Path, target: Path) -> Sample:
        return await worker("fetch", at=at.parameters(source), target=str(target))

    async def bare(requests: int, source: Path, target: Path) -> Sample:
        return await worker("fetch_bare", at=at.parameters(source), target=str(target), in_flight=requests)

    async def rclone(number: int, source: Path, target: Path) -> Sample:
        return await _rclone(at, source, number, target)

    async def lftp(number: int, source: Path, target: Path) -> Sample:
        return await _lftp(at, f'mirror -P{number} "{source}" "{target}"')

    async def sftp(source: Path, target: Path) -> Sample:
        return await _sftp(at, source, target)

    def called(name: str, number: int) -> str:
        return name if number == files else f"{name}, {number} files"

    return [
        Contender("ours", _fetching(environment, files, ours)),
        *(
            Contender(f"bare asyncssh, {n} in flight", _fetching(environment, files, partial(bare, n)))
            for n in in_flight
        ),
        *(
            Contender(
                called(f"rclone --transfers {n}", few),
                _fetching(environment, few, partial(rclone, n)),
                absent("rclone"),
            )
            for n in sorted({min(n, few) for n in transfers})
        ),
        *(
            Contender(called(f"lftp mirror -P{n}", few), _fetching(environment, few, partial(lftp, n)), absent("lftp"))
            for n in sorted({min(n, few) for n in jobs})
        ),
        Contender(called("sftp get -r", very_few), _fetching(environment, very_few, sftp, below=True), absent("sftp")),
    ]


def _named(contenders: list[Contender], *beginnings: str) -> tuple[str, ...]:
    return tuple(c.name for c in contenders if c.name.startswith(beginnings))


async def near(environment: Environment, files: int) -> Comparison:
    """Fetch `files` files over loopback."""
    contenders = _contenders(
        environment,
        await environment.near(),
        files,
        in_flight=(32,),
        transfers=(16, 32),
        jobs=(8, 16),
        few=files,
        very_few=files,
    )
    enough = files >= STANDARD_FILES
    return Comparison(
        "fetch-near",
        f"Fetch {files:,} files of 4 KB, loopback",
        contenders,
        metrics=(SECONDS, CPU, MEMORY),
        targets=(
            Target("≤ 1.15 of bare asyncssh", most=1.15, against=_named(contenders, "bare"), when=enough),
            Target("≥ 1.3 times faster than rclone", least=1.3, against=_named(contenders, "rclone"), when=enough),
            Target("≥ 1.3 times faster than lftp", least=1.3, against=_named(contenders, "lftp"), when=enough),
            Target("peak memory ≤ 90 MiB", metric="memory", most=90, when=enough),
        ),
        note="Ours and bare asyncssh from connecting to the last file, the others from start to end of the program.",
    )


async def far(environment: Environment, files: int, *, whole: bool) -> Comparison:
    """Fetch with a long round trip. Unless `whole`, a tool that would take ten minutes gets fewer files."""
    very_few = files if whole else min(files, 60)
    contenders = _contenders(
        environment,
        await environment.far(),
        files,
        in_flight=(256, 512),
        transfers=(32, 64),
        jobs=(32, 64),
        few=files,
        very_few=very_few,
    )
    return Comparison(
        "fetch-far",
        f"Fetch {files:,} files of 4 KB, {FAR:g} ms round trip",
        contenders,
        metrics=(_PER_FILE, SECONDS, _FILES, CPU, MEMORY),
        targets=tuple(
            Target(
                f"≥ 8 times faster than {name}",
                metric="per_file",
                least=8,
                against=_named(contenders, name),
                when=files >= STANDARD_FILES,
            )
            for name in ("rclone", "lftp")
        ),
        note="By the time per file: a tool that would take ten minutes gets fewer files.",
    )


async def names(environment: Environment, number: int) -> Comparison:
    """List a large folder with a long round trip."""
    at = await environment.far()

    def folder() -> Path:
        return environment.material.plain(number, 1)

    async def ours() -> Sample:
        return await worker("listing", at=at.parameters(folder()))

    async def lftp() -> Sample:
        return await _lftp(at, f'cls -1 --size --date "{folder()}"')

    async def sftp() -> Sample:
        commands = f'ls -ln "{folder()}"\n'.encode()
        target = f"{at.user}@127.0.0.1"
        return await tool("sftp", "-q", *_ssh(at), "-P", str(at.port), "-b", "-", target, stdin=commands)

    contenders = [
        Contender("ours", ours),
        Contender("lftp", lftp, absent("lftp")),
        Contender("sftp ls", sftp, absent("sftp")),
    ]
    return Comparison(
        "list-far",
        f"List {number:,} names, {FAR:g} ms round trip",
        contenders,
        targets=(Target("≤ 1.2 of lftp", most=1.2, against=("lftp",), when=number >= MANY_NAMES),),
    )


async def comparisons(environment: Environment, files: int, *, many: int, whole: bool) -> list[Comparison]:
    """Return every comparison of fetching and listing."""
    if (why := no_sshd()) is not None:
        return [Comparison("fetch", f"Fetch {files:,} files over SFTP", [Contender("ours", None, why)])]
    return [
        await near(environment, files),
        await far(environment, files, whole=whole),
        await names(environment, many),
    ]
