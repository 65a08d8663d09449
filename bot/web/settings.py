"""The `[web]` table of the TOML file."""

from __future__ import annotations

import os
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.addresses import is_local
from bot.config import Settings

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class WebSettings(BaseModel):
    """Who may see what on the web, and under which address. The port is `WEB_PORT`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(description="address to listen on; one open to other machines needs public_url")] = (
        "127.0.0.1"
    )
    public_url: Annotated[
        str | None, Field(description="how people reach it, such as https://stats.example.org; the proxy's address")
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...], Field(description="further host names that requests may carry, besides those above")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Field(description="addresses of proxies whose X-Forwarded-For is believed; with public_url this machine's own"),
    ] = ()
    public_games: Annotated[bool, Field(description="everybody may see games and players, without logging in")] = False
    metrics_token_env: Annotated[
        str | None, Field(description="variable with the token that opens /metrics from other machines")
    ] = None
    discord_client_id: Annotated[str | None, Field(description="of the Discord application, for logging in")] = None
    discord_client_secret_env: Annotated[str | None, Field(description="variable with its client secret")] = None
    discord_guild: Annotated[str | None, Field(description="id of the Discord server whose roles count")] = None
    viewer_roles: Annotated[
        tuple[str, ...], Field(description="ids of its roles that may look; its own id means every member")
    ] = ()
    admin_roles: Annotated[tuple[str, ...], Field(description="ids of its roles that may do everything")] = ()
    anonymous_per_minute: Annotated[int, Field(ge=1, description="requests a minute of one address")] = 60
    known_per_minute: Annotated[int, Field(ge=1, description="requests a minute with a key, or logged in")] = 300

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
            raise ValueError("write it like https://stats.example.org: no path, no user")
        if parts.scheme == "http" and not is_local(parts.hostname):
            raise ValueError("logins travel with it, so it has to be https")
        return value.rstrip("/")

    @field_validator("viewer_roles", "admin_roles")
    @classmethod
    def _are_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(role.isascii() and role.isdigit() for role in value):
            raise ValueError("write the ids of roles as texts of digits, not their names")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> WebSettings:
        if not is_local(self.host) and self.public_url is None:
            raise ValueError("HOST is open to other machines: set public_url to the https address people will use")
        login = (self.discord_client_id, self.discord_client_secret_env, self.discord_guild)
        if any(login) and not all(login):
            raise ValueError(
                "logging in with Discord needs discord_client_id, discord_client_secret_env and discord_guild together"
            )
        if any(login) and not (self.viewer_roles or self.admin_roles):
            raise ValueError("logging in with Discord lets nobody in without viewer_roles or admin_roles")
        return self

    @property
    def secure(self) -> bool:
        """Whether people come over https."""
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def proxies(self) -> list[str]:
        """The proxies that are believed."""
        return list(self.trusted_proxies) or (["127.0.0.1", "::1"] if self.public_url is not None else [])

    @property
    def behind_proxy(self) -> bool:
        """Whether requests from this machine may be anybody's, handed on by a proxy."""
        return bool(self.proxies)

    @property
    def hosts(self) -> list[str]:
        """Every host name that a request may carry, without ports."""
        own = [self.host] if self.host not in ("0.0.0.0", "::", *LOCAL_HOSTS) else []  # noqa: S104 - compared, not bound
        public = [urlsplit(self.public_url).hostname or ""] if self.public_url else []
        return [*LOCAL_HOSTS, *own, *public, *self.allowed_hosts]

    @property
    def discord_login(self) -> bool:
        """Whether people can log in with Discord."""
        return self.discord_client_id is not None

    def metrics_token(self) -> str | None:
        """Return the token for /metrics from the environment, None where there is none."""
        return _secret(self.metrics_token_env)

    def discord_client_secret(self) -> str | None:
        """Return Discord's client secret from the environment, None where there is none."""
        return _secret(self.discord_client_secret_env)


def _secret(variable: str | None) -> str | None:
    return (os.environ.get(variable, "").strip() or None) if variable else None


def web_settings(settings: Settings) -> WebSettings:
    """Return what the TOML file says of the web.

    Raises:
        ConfigError: it says something that is not right.
    """
    return settings.table("web", WebSettings)
