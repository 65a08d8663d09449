"""Settings: from the environment, a `.env` file and, for more than one game server, a TOML file."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.cron import Cron

Table = TypeVar("Table", bound=BaseModel)

SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""A game server's short name: it is part of keys, folder names and object keys, so it stays plain."""

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
"""URL schemes as people write them, with the drivers they stand for."""


def _check_database_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    driver = DRIVERS.get(scheme, scheme)
    if not separator or driver not in DRIVERS.values():
        raise ValueError("write it like sqlite:///etlegacy_production.db or postgresql://user:password@host/database")
    url = f"{driver}://{rest}"
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        # The library's own message repeats parts of the URL, the password among them.
        raise ValueError("is no database URL; a password's own '@', '/' and ':' are written %40, %2F and %3A") from None
    return url


DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]


class ConfigError(Exception):
    """A setting is wrong. The message lists each one with what is wrong and what would be right."""


def _comma_separated(value: object) -> object:
    if isinstance(value, str):
        return [part.strip().lower() for part in value.split(",") if part.strip()]
    return value


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


OptionalPath = Annotated[Path | None, BeforeValidator(_blank_is_none)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_none)]


def _check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone; write it like Europe/Berlin or UTC") from error
    return name


def _check_server_name(name: str) -> str:
    if not SERVER_NAME.fullmatch(name):
        raise ValueError("use 1 to 32 of a-z, 0-9, '-' and '_', starting with a letter or digit")
    return name


class GameServerSettings(BaseModel):
    """One game server: where its stats folder is and how to get in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(description="short name, part of every key")]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    game_port: Annotated[
        int, Field(ge=1, le=65535, description="UDP port that players connect to; it tells who is online")
    ] = 27960
    user: Annotated[str, Field(min_length=1)]
    folder: Annotated[str, Field(min_length=1, description="folder of the round-stats files on the game server")]
    key_path: OptionalPath = None
    password: OptionalSecret = None
    time_zone: str = "UTC"
    archive: Path

    _zone = field_validator("time_zone")(_check_time_zone)
    _name = field_validator("name")(_check_server_name)


class Settings(BaseSettings):
    """Everything that can be set. Every field has a default; `check-config` says which ones still need a value."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    database_url: Annotated[
        DatabaseUrl,
        Field(
            repr=False,
            description="where rounds are kept: sqlite:///file.db or postgresql://user:password@host/database",
        ),
    ] = "sqlite+aiosqlite:///etlegacy_production.db"
    local_stats_path: Annotated[Path, Field(description="the archive: one copy of every stats file")] = Path(
        "local_stats"
    )
    discord_bot_token: Annotated[
        OptionalSecret, Field(description="token of the Discord application; without it the bot runs headless")
    ] = None
    discord_command_guilds: Annotated[
        tuple[int, ...],
        NoDecode,
        BeforeValidator(_comma_separated),
        Field(description="ids of the only Discord servers that get the commands, separated by commas; empty = all"),
    ] = ()
    server_name: Annotated[str, Field(description="short name of the game server, part of every key")] = "main"
    server_timezone: Annotated[
        str, Field(description="IANA zone of the game server's clock; file names carry its local time")
    ] = "UTC"
    ssh_host: Annotated[str, Field(description="host name or address of the game server")] = ""
    ssh_port: Annotated[int, Field(ge=1, le=65535, description="its SSH port")] = 22
    ssh_user: Annotated[str, Field(description="login name")] = ""
    ssh_key_path: Annotated[OptionalPath, Field(description="private key file; empty = SSH agent or password")] = None
    ssh_password: Annotated[OptionalSecret, Field(description="password, where there is no key")] = None
    ssh_known_hosts: Annotated[
        Path, Field(description="pinned host keys; `setup` writes it after showing the fingerprint")
    ] = Path("known_hosts")
    remote_stats_path: Annotated[str, Field(description="folder of the round-stats files on the game server")] = ""
    ssh_check_interval: Annotated[int, Field(ge=5, le=86400, description="seconds between two looks at the server")] = (
        60
    )
    session_gap_minutes: Annotated[
        int, Field(ge=1, le=1440, description="idle minutes after which the next round starts a new session")
    ] = 60
    min_players_per_side: Annotated[
        int, Field(ge=0, le=32, description="rounds with fewer people on a side are kept but not counted")
    ] = 2
    filler_maps: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_comma_separated),
        Field(description="maps that are kept but not counted, separated by commas"),
    ] = ()
    config_file: Annotated[
        OptionalPath,
        Field(description="TOML file with further game servers, destinations of copies, limits and alerts"),
    ] = None
    mirror_interval: Annotated[
        int, Field(ge=10, le=86400, description="seconds between two comparisons of a destination with what is here")
    ] = 900
    reconcile_schedule: Annotated[
        Cron, Field(description="when ledger and destinations are compared: a cron expression in UTC, or off")
    ] = "0 3 * * *"
    snapshot_schedule: Annotated[
        Cron, Field(description="when a snapshot of the database goes to every destination: cron in UTC, or off")
    ] = "30 3 * * *"
    web_port: Annotated[
        int, Field(ge=0, le=65535, description="port of the web pages and the API, on 127.0.0.1; 0 = none")
    ] = 8080
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="how much is logged")] = "info"
    log_format: Annotated[Literal["console", "json"], Field(description="console for people, json for collectors")] = (
        "console"
    )

    _zone = field_validator("server_timezone")(_check_time_zone)
    _name = field_validator("server_name")(_check_server_name)

    @model_validator(mode="after")
    def _one_server_is_whole_or_absent(self) -> Settings:
        given = {name: bool(getattr(self, name)) for name in ("ssh_host", "ssh_user", "remote_stats_path")}
        if any(given.values()) and not all(given.values()):
            missing = ", ".join(name.upper() for name, there in given.items() if not there)
            raise ValueError(
                f"a game server needs SSH_HOST, SSH_USER and REMOTE_STATS_PATH together; missing: {missing}"
            )
        return self

    def servers(self) -> list[GameServerSettings]:
        """Return every configured game server: the one of the environment first, then those of the TOML file.

        The first server's archive is `local_stats_path` itself, as the older bots of this game have it; each further
        one gets the folder of its name below it.

        Raises:
            ConfigError: the TOML file is missing, unreadable or says something that is not right.
        """
        servers: list[GameServerSettings] = []
        if self.ssh_host:
            servers.append(
                GameServerSettings(
                    name=self.server_name,
                    host=self.ssh_host,
                    port=self.ssh_port,
                    user=self.ssh_user,
                    folder=self.remote_stats_path,
                    key_path=self.ssh_key_path,
                    password=self.ssh_password,
                    time_zone=self.server_timezone,
                    archive=self.local_stats_path,
                )
            )
        if self.config_file is not None:
            servers.extend(self._servers_of_file(self.config_file))
        names = [server.name for server in servers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f"{self.config_file}: two game servers are called {', '.join(twice)}; give each its own name"
            )
        return servers

    def secrets(self) -> list[str]:
        """Return every secret text among the settings, for the log to hide."""
        found = [value for value in (self.discord_bot_token, self.ssh_password) if value is not None]
        texts = [value.get_secret_value() for value in found]
        password = make_url(self.database_url).password
        if password is not None:
            texts.append(str(password))
        if self.config_file is not None:
            with contextlib.suppress(ConfigError):  # said where the servers are needed
                texts += [s.password.get_secret_value() for s in self.servers() if s.password is not None]
            with contextlib.suppress(ConfigError):
                variables = [
                    str(value)
                    for table in [*self.destination_tables(), *map(self._raw_table, _TABLES)]
                    for name, value in table.items()
                    if name.endswith("_env")
                ]
                texts += [secret for name in variables if (secret := os.environ.get(name, "").strip())]
        return texts

    def destination_tables(self) -> list[dict[str, Any]]:
        """Return the `[[destinations]]` of the TOML file as they stand there; `bot.mirror.settings` reads them.

        Raises:
            ConfigError: the TOML file is missing or unreadable.
        """
        return (
            [] if self.config_file is None else _tables(_document(self.config_file), "destinations", self.config_file)
        )

    def table(self, section: str, model: type[Table]) -> Table:
        """Return one table of the TOML file, such as `[health]`; its defaults where the file has none.

        Args:
            section: its name, one of `_TABLES`.
            model: what it has to fit.

        Raises:
            ConfigError: the TOML file is missing or unreadable, or the table says something that is not right.
        """
        try:
            return model(**self._raw_table(section))
        except ValidationError as error:
            raise ConfigError(f"{self.config_file}: [{section}]: {explain(error)}") from error

    def _raw_table(self, section: str) -> dict[str, Any]:
        values = {} if self.config_file is None else _document(self.config_file).get(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{self.config_file}: write {section} once, as [{section}], with one bracket")
        return values

    def _servers_of_file(self, path: Path) -> list[GameServerSettings]:
        tables = _tables(_document(path), "servers", path)
        servers = []
        for position, table in enumerate(tables, 1):
            values: dict[str, Any] = dict(table)
            if "password_env" in values:
                # A password has no place in a file that gets shared; the TOML names the variable that holds it.
                values["password"] = os.environ.get(str(values.pop("password_env")), "")
            values.setdefault("archive", self.local_stats_path / str(values.get("name", position)))
            try:
                servers.append(GameServerSettings(**values))
            except ValidationError as error:
                raise ConfigError(f"{path}: [[servers]] number {position}: {explain(error)}") from error
        return servers


_SECTIONS = {"servers": "game server", "destinations": "destination"}
"""What the TOML file may hold more than one of, with the word for one of each."""

_TABLES = ("health", "alerts", "schedule", "web")
"""What the TOML file may hold once."""


def _document(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"CONFIG_FILE: there is no {path}; create it or leave CONFIG_FILE empty") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    unknown = sorted(set(document) - {*_SECTIONS, *_TABLES})
    if unknown:
        known = ", ".join([f"[[{section}]]" for section in _SECTIONS] + [f"[{section}]" for section in _TABLES])
        raise ConfigError(f"{path}: unknown section {', '.join(unknown)}; known: {known}")
    return document


def _tables(document: dict[str, Any], section: str, path: Path) -> list[dict[str, Any]]:
    tables = document.get(section, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: write each {_SECTIONS[section]} as [[{section}]], with two brackets")
    return tables


def explain(error: ValidationError) -> str:
    """Return pydantic's findings as one readable text, without the values (they may be secrets)."""
    lines = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in item["loc"]).upper()
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; keyword arguments win over the environment, which wins over `.env`.

    Raises:
        ConfigError: one or more settings are wrong; the message names each.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigError(explain(error)) from error
