"""One destination: where it is, how to get in, and the store that this makes."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.addresses import is_local
from bot.mirror.errors import PackageMissing, StoreAuth
from bot.mirror.store import ObjectStore

__all__ = ["DestinationSettings", "open_store"]

Kind = Literal["s3", "b2", "gcs", "azure", "directory"]

_MIB = 1024 * 1024


class DestinationSettings(BaseModel):
    """Where copies go. Secrets are not in here: only the names of the environment variables that hold them.

    Without such names, each kind looks where its own tools look: AWS profiles and instance roles, Google's application
    default credentials, Azure's managed identity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="what it is called everywhere")]
    kind: Annotated[Kind, Field(description="s3 (any S3-compatible store), b2, gcs, azure or directory")]
    bucket: Annotated[str, Field(description="bucket, or Azure container")] = ""
    prefix: Annotated[str, Field(description="folder in the bucket that everything lies below")] = ""
    endpoint: Annotated[str, Field(description="address of the store where it is not the provider's own")] = ""
    region: Annotated[str, Field(description="such as eu-central-1; b2 needs it, as in its endpoint")] = ""
    path: Annotated[Path | None, Field(description="the folder, for kind directory")] = None
    mounted: Annotated[bool, Field(description="the folder lies on a disk or share that may be absent")] = False
    engine: Annotated[
        Literal["aioboto3", "obstore"], Field(description="S3 only: obstore is faster, aioboto3 checks every page")
    ] = "aioboto3"
    addressing: Annotated[
        Literal["auto", "path", "virtual"], Field(description="S3 only: bucket in the path or in the host name")
    ] = "auto"
    access_key_env: Annotated[str, Field(description="variable with the access key id, or Azure account key")] = ""
    secret_key_env: Annotated[str, Field(description="variable with the secret access key")] = ""
    session_token_env: Annotated[str, Field(description="variable with the session token")] = ""
    account: Annotated[str, Field(description="Azure: the storage account")] = ""
    sas_token_env: Annotated[str, Field(description="Azure: variable with a shared access signature")] = ""
    credentials_file: Annotated[Path | None, Field(description="Google: file of the service account")] = None
    allow_http: Annotated[bool, Field(description="let keys and files go over the network unencrypted")] = False
    concurrency: Annotated[int, Field(ge=1, le=256, description="requests under way at once")] = 16
    timeout: Annotated[float, Field(gt=0, le=3600, description="seconds for one request, or one part")] = 60.0
    page_size: Annotated[int, Field(ge=1, le=1000, description="S3 only: objects per page of a listing")] = 1000
    part_size: Annotated[int, Field(ge=5 * _MIB, le=512 * _MIB, description="bytes; larger objects go in parts")] = (
        8 * _MIB
    )
    price_per_gb_month: Annotated[
        float | None, Field(ge=0, allow_inf_nan=False, description="what the provider takes for 10^9 bytes a month")
    ] = None
    price_per_1000_requests: Annotated[
        float | None, Field(ge=0, allow_inf_nan=False, description="what it takes for 1,000 listings")
    ] = None
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$", description="of the prices, such as EUR")] = ""

    @field_validator("prefix")
    @classmethod
    def _prefix_is_a_folder(cls, value: str) -> str:
        value = value.strip("/")
        if not value:
            return ""
        if re.search(r"[\x00-\x1f\x7f\\]", value) or any(part in {"", ".", ".."} for part in value.split("/")):
            raise ValueError(
                "write it as folder/folder, without empty, '.' or '..' parts, backslashes or control characters"
            )
        return value + "/"

    @field_validator("bucket")
    @classmethod
    def _bucket_is_a_name(cls, value: str) -> str:
        if value and re.fullmatch(r"[A-Za-z0-9$][A-Za-z0-9._$-]{1,221}", value) is None:
            raise ValueError("give the bucket's name alone: no address, no slashes; folders go into PREFIX")
        return value

    @field_validator("access_key_env", "secret_key_env", "session_token_env", "sas_token_env")
    @classmethod
    def _name_of_a_variable(cls, value: str) -> str:
        # A secret put here by mistake must not be repeated in the message.
        if value and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value) is None:
            raise ValueError("give the name of an environment variable, not the secret itself")
        return value

    @model_validator(mode="after")
    def _prices_have_a_currency(self) -> DestinationSettings:
        if not self.currency and (self.price_per_gb_month is not None or self.price_per_1000_requests is not None):
            raise ValueError('a price needs CURRENCY, such as "EUR"')
        return self

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> DestinationSettings:
        if self.kind == "directory":
            if self.path is None or not self.path.is_absolute():
                raise ValueError("kind directory needs PATH, from the root on")
            return self
        if not self.bucket:
            raise ValueError(f"kind {self.kind} needs BUCKET")
        if self.kind == "b2" and not (self.region or self.endpoint):
            raise ValueError("kind b2 needs REGION, such as us-west-004: it stands in the bucket's endpoint")
        if self.kind == "azure" and not self.account:
            raise ValueError("kind azure needs ACCOUNT, the storage account")
        if self.kind in {"s3", "b2"} and bool(self.access_key_env) != bool(self.secret_key_env):
            raise ValueError("ACCESS_KEY_ENV and SECRET_KEY_ENV go together")
        if self.endpoint:
            self._check_endpoint()
        return self

    def _check_endpoint(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("ENDPOINT has to begin with https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("ENDPOINT must not hold a password, a query or a fragment")
        if parts.scheme == "http" and not self.allow_http and not is_local(parts.hostname):
            raise ValueError("ENDPOINT is http: keys would go over the network in the clear; use https, or ALLOW_HTTP")

    @property
    def address(self) -> str:
        """The store's address, or empty for the provider's own."""
        if self.kind == "b2" and not self.endpoint:
            return f"https://s3.{self.region}.backblazeb2.com"
        return self.endpoint.rstrip("/")

    def secret(self, variable: str) -> str:
        """Return what an environment variable holds.

        Raises:
            StoreAuth: it is not set, or empty.
        """
        value = os.environ.get(variable, "").strip()
        if not value:
            raise StoreAuth(
                f"{self.name}: there are no credentials",
                f"the environment variable {variable} is not set",
                f"Set {variable}, or leave its name out of the destination to use the provider's own chain",
                whole=True,
            )
        return value

    def secrets(self) -> list[str]:
        """Return every secret text that this destination uses, for the log to hide."""
        names = (self.access_key_env, self.secret_key_env, self.session_token_env, self.sas_token_env)
        return [value for name in names if name and (value := os.environ.get(name, "").strip())]


def open_store(settings: DestinationSettings, *, new: bool = False) -> ObjectStore:
    """Return the way into one destination. Nothing is sent until it is used.

    Args:
        settings: of the destination.
        new: nothing was ever copied there, so that a folder without our mark is no sign of a missing disk.

    Raises:
        PackageMissing: the optional package for this kind is not installed; others are not affected.
        StoreAuth: a named environment variable is not set.
    """
    if settings.kind == "directory":
        from bot.mirror.directory import DirectoryStore

        return DirectoryStore(settings, new=new)
    if settings.kind in {"s3", "b2"} and settings.engine == "aioboto3":
        require("aioboto3", settings.name)
        from bot.mirror.s3 import S3Store

        return S3Store(settings)
    require("obstore", settings.name)
    from bot.mirror.cloud import CloudStore

    return CloudStore(settings)


def require(package: str, destination: str) -> ModuleType:
    """Import an optional package.

    Raises:
        PackageMissing: it is not installed, or broken.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PackageMissing(
            f"{destination}: this destination cannot be used",
            f"the package {package} is not installed ({type(error).__name__})",
            f"Install it: pip install {package}. Other destinations go on without it",
        ) from error
