"""Every kind of destination, each on a server of its own, behind a proxy that counts and can lie."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.mirror.destinations import DestinationSettings, open_store
from bot.mirror.store import CreateOnly, ObjectInfo, ObjectStore, PutResult
from tests.standins.objectstores import (
    AZURE_ACCOUNT,
    BUCKET,
    LOGIN,
    FaultProxy,
    account_sas,
    azurite_server,
    moto_server,
    rclone_server,
    s3rver_server,
)

OpenStore = Callable[..., ObjectStore]


@dataclass(frozen=True)
class Kind:
    """A kind of destination under test.

    Attributes:
        server: fixture with the server's address; empty for a folder.
        settings: of the destination, apart from its address.
        create_only: what the probe has to find out.
        google: the proxy has to translate.
        path: of the service at the server.
        in_order: the server lists its keys in order, as it has to.
    """

    server: str
    settings: dict[str, Any]
    create_only: CreateOnly = CreateOnly.ATOMIC
    google: bool = False
    path: str = ""
    in_order: bool = True


_S3 = {"kind": "s3", "bucket": BUCKET, "access_key_env": "TEST_KEY_ID", "secret_key_env": "TEST_SECRET"}
_AZURE = {"kind": "azure", "bucket": BUCKET, "account": AZURE_ACCOUNT, "sas_token_env": "TEST_SAS"}

KINDS = {
    "s3-moto": Kind("moto", _S3),
    "s3-rclone": Kind("rclone", _S3, CreateOnly.IGNORED),
    "s3-s3rver": Kind("s3rver", _S3, CreateOnly.IGNORED, in_order=False),
    "obstore-moto": Kind("moto", _S3 | {"engine": "obstore"}),
    "gcs": Kind("moto", {"kind": "gcs", "bucket": BUCKET}, google=True),
    "azure": Kind("azurite", _AZURE, path=f"/{AZURE_ACCOUNT}"),
    "directory": Kind("", {"kind": "directory"}),
}
OVER_HTTP = [name for name in KINDS if name != "directory"]
ONE_OF_EACH = ["s3-moto", "obstore-moto", "gcs", "azure"]
"""One server for each way in, where the fault is made by the proxy and the server makes no difference."""


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rclone_server(tmp_path_factory.mktemp("rclone")) as url:
        yield url


@pytest.fixture(scope="session")
def s3rver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3rver_server(tmp_path_factory.mktemp("s3rver")) as url:
        yield url


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite_server(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The keys that the servers take, and none of the person's own who runs the tests."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("TEST_KEY_ID", LOGIN[0])
    monkeypatch.setenv("TEST_SECRET", LOGIN[1])
    monkeypatch.setenv("TEST_SAS", account_sas())


@dataclass
class Place:
    """A destination to test: a fresh prefix, behind a proxy of its own where it is reached over HTTP."""

    name: str
    kind: Kind
    proxy: FaultProxy | None
    base: dict[str, Any]
    stores: contextlib.AsyncExitStack
    folder: Path | None = None
    settings: DestinationSettings = field(init=False)

    def open(self, **changes: Any) -> ObjectStore:
        """Return the way in, closed when the test ends."""
        self.settings = DestinationSettings(**(self.base | changes))
        store = open_store(self.settings, new=True)
        self.stores.push_async_callback(store.close)
        return store

    @property
    def http(self) -> FaultProxy:
        """The proxy, for tests of kinds that have one."""
        assert self.proxy is not None
        return self.proxy


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """The destination that the test is parametrized with, by the name of its kind."""
    name: str = request.param
    kind = KINDS[name]
    base = kind.settings | {"name": "test", "prefix": f"tests/t-{secrets.token_hex(6)}", "timeout": 20.0}
    async with contextlib.AsyncExitStack() as stack:
        if not kind.server:
            folder = tmp_path / "disk"
            folder.mkdir()
            yield Place(name, kind, None, base | {"path": folder}, stack, folder)
            return
        proxy = await stack.enter_async_context(FaultProxy(request.getfixturevalue(kind.server), google=kind.google))
        base |= {"endpoint": proxy.url + kind.path}
        if kind.google:
            account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
            (tmp_path / "service-account.json").write_text(json.dumps(account | {"gcs_base_url": proxy.url}))
            base |= {"credentials_file": tmp_path / "service-account.json"}
        yield Place(name, kind, proxy, base, stack)


def every_kind(*names: str) -> pytest.MarkDecorator:
    """Run a test against these kinds of destinations, or all."""
    return pytest.mark.parametrize("place", names or tuple(KINDS), indirect=True)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def put(store: ObjectStore, key: str, data: bytes, **more: Any) -> PutResult:
    return await store.put_if_absent(key, data, sha256=sha256(data), **more)


async def listed(store: ObjectStore, prefix: str = "", **more: Any) -> list[ObjectInfo]:
    return [info async for info in store.list(prefix, **more)]


async def keys(store: ObjectStore, prefix: str = "", **more: Any) -> list[str]:
    return [info.key for info in await listed(store, prefix, **more)]
