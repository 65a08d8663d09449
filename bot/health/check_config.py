"""Are the settings right: each value, where it comes from, and whether the places that they name can be used."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.config import ConfigError, GameServerSettings, Settings
from bot.health.env_file import is_secret, read_values, text_of, variable
from bot.log import HIDDEN


class Verdict(StrEnum):
    """What was found."""

    RIGHT = "right"
    NOTE = "note"  # it works, and somebody may want to know
    WRONG = "wrong"


class Area(StrEnum):
    """What a check is about; it decides the exit code."""

    SETTING = "setting"
    FILE = "file"
    DATABASE = "database"
    ARCHIVE = "archive"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        area: what it is about.
        name: the setting's variable, or the place.
        value: what it is set to; secrets are hidden.
        origin: `default`, `.env` or `environment`; empty where it is no setting.
        verdict: what was found.
        finding: what is right or wrong about it.
        do: what to do; empty where nothing has to be.
    """

    area: Area
    name: str
    value: str
    origin: str
    verdict: Verdict
    finding: str = ""
    do: str = ""


# ---------------------------------------------------------------------- settings


def check_settings(env_file: Path, environment: Mapping[str, str]) -> tuple[list[Check], Settings | None]:
    """Look at every setting by itself; return the settings as well where all of them are right.

    Args:
        env_file: the `.env` file; need not exist.
        environment: the process's environment.
    """
    checks: list[Check] = []
    given = {name.upper(): value for name, value in environment.items() if value}
    try:
        filed = read_values(env_file)
    except (OSError, UnicodeDecodeError) as error:
        filed = {}
        checks.append(_wrong(Area.FILE, str(env_file), "", f"cannot be read: {error}", "Make it a text file you own"))
    errors, settings = _validated(env_file)
    for field, info in Settings.model_fields.items():
        name = variable(field)
        if name in given:
            origin, raw = "environment", given[name]
        elif name in filed:
            origin, raw = ".env", filed[name]
        else:
            origin, raw = "default", text_of(info.get_default(call_default_factory=True))
        value = _shown(name, raw, secret=is_secret(info))
        if name in errors:
            checks.append(Check(Area.SETTING, name, value, origin, Verdict.WRONG, errors.pop(name), f"Set {name} anew"))
        else:
            checks.append(Check(Area.SETTING, name, value, origin, Verdict.RIGHT))
    for name, message in errors.items():
        checks.append(_wrong(Area.SETTING, name, "", message, "python -m bot setup"))
    known = [variable(field) for field in Settings.model_fields]
    for name in sorted(set(filed) - set(known)):
        near = difflib.get_close_matches(name, known, 1, cutoff=0.85)
        if near:
            note = Check(Area.SETTING, name, HIDDEN, ".env", Verdict.NOTE, "no setting is called that", f"{near[0]}?")
            checks.append(note)
    if any(is_secret(info) and variable(field) in filed for field, info in Settings.model_fields.items()):
        checks.append(_private(env_file, "it holds secrets"))
    return checks, settings


def _validated(env_file: Path) -> tuple[dict[str, str], Settings | None]:
    """Return what is wrong by variable (without values: they may be secret), and the settings where nothing is."""
    try:
        settings = Settings(_env_file=env_file)
        make_url(settings.database_url)
    except ValidationError as error:
        return {
            ".".join(str(part) for part in item["loc"]).upper() or "SSH_HOST": item["msg"].removeprefix("Value error, ")
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        }, None
    except UnicodeDecodeError:
        return {}, None
    except (ArgumentError, ValueError):
        # Its own message may quote the password: an unescaped / or @ puts that where the port should be.
        return {"DATABASE_URL": "cannot be taken apart; write / @ : in the password as %2F %40 %3A"}, None
    return {}, settings


def _shown(name: str, raw: str, *, secret: bool) -> str:
    if not raw:
        return ""
    if secret:
        return HIDDEN
    if name == "DATABASE_URL" or re.match(r"\w[\w+.-]*://", raw):
        try:
            return make_url(raw).render_as_string(hide_password=True)
        except (ArgumentError, ValueError):
            return HIDDEN  # what cannot be taken apart may hold a password anywhere
    return raw


def _wrong(area: Area, name: str, value: str, finding: str, do: str) -> Check:
    return Check(area, name, value, "", Verdict.WRONG, finding, do)


# ---------------------------------------------------------------------- places


async def check_places(settings: Settings, environment: Mapping[str, str]) -> list[Check]:
    """Look whether the files, folders and the database that the settings name can be used. Nothing is changed."""
    checks: list[Check] = []
    try:
        servers = settings.servers()
    except ConfigError as error:
        servers = []
        checks.append(_wrong(Area.SETTING, "CONFIG_FILE", str(settings.config_file), str(error), "Mend the TOML file"))
    else:
        from bot.mirror.settings import destinations_of

        try:
            destinations_of(settings)
        except ConfigError as error:
            finding = str(error)
            checks.append(_wrong(Area.SETTING, "CONFIG_FILE", str(settings.config_file), finding, "Mend the TOML file"))
        else:
            checks += _alerts(settings)
    if not servers:
        checks.append(
            Check(
                Area.SERVER,
                "game server",
                "",
                "",
                Verdict.NOTE,
                "none is set up; files can only be imported from folders",
                "python -m bot setup",
            )
        )
    checks += [_archive(path) for path in {server.archive: None for server in servers} or [settings.local_stats_path]]
    for server in servers:
        checks += _login(settings, server, environment)
    checks.append(await _database(settings))
    checks.append(_token(settings))
    return checks


def _alerts(settings: Settings) -> list[Check]:
    """Look at `[health]` and `[alerts]`; nothing is sent."""
    from bot.health.alerts import heartbeat_of, notifiers_of
    from bot.health.settings import alert_settings, health_settings

    try:
        health_settings(settings)
        found = alert_settings(settings)
        names = [notifier.name for notifier in notifiers_of(found)]
        names += ["heartbeat"] if heartbeat_of(found) is not None else []
    except ConfigError as error:
        return [_wrong(Area.SETTING, "alerts", str(settings.config_file), str(error), "Mend the TOML file")]
    if not found.webhook_url_env:
        finding = "only the log is told when something is wrong"
        do = "Name a webhook in [alerts] of the TOML file (.env.example shows how)"
        return [Check(Area.SETTING, "alerts", ", ".join(names), "", Verdict.NOTE, finding, do)]
    return [Check(Area.SETTING, "alerts", ", ".join(names), "", Verdict.RIGHT, "`alerts test` proves it")]


def _archive(folder: Path) -> Check:
    if folder.is_dir():
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Check(Area.ARCHIVE, "archive", str(folder), "", Verdict.RIGHT, "can be written")
        return _wrong(Area.ARCHIVE, "archive", str(folder), "cannot be read and written", "Check its owner and rights")
    if folder.exists() or folder.is_symlink():
        return _wrong(Area.ARCHIVE, "archive", str(folder), "is no folder", "Set LOCAL_STATS_PATH to a folder")
    if _can_be_made(folder):
        return Check(Area.ARCHIVE, "archive", str(folder), "", Verdict.RIGHT, "is made with the first file")
    return _wrong(Area.ARCHIVE, "archive", str(folder), "is not there and cannot be made", "Make it, or name another")


def _can_be_made(path: Path) -> bool:
    above = next(parent for parent in path.absolute().parents if parent.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _login(settings: Settings, server: GameServerSettings, environment: Mapping[str, str]) -> list[Check]:
    checks = []
    name = f"login to {server.name}"
    if server.key_path is not None:
        checks += _key(name, server.key_path)
    elif server.password is not None:
        checks.append(Check(Area.FILE, name, "password", "", Verdict.RIGHT))
    elif environment.get("SSH_AUTH_SOCK"):
        checks.append(Check(Area.FILE, name, "ssh-agent", "", Verdict.RIGHT))
    else:
        checks.append(
            _wrong(
                Area.FILE,
                name,
                "",
                "there is no key, no password and no ssh-agent (SSH_AUTH_SOCK)",
                "python -m bot setup",
            )
        )
    checks.append(_host_key(settings.ssh_known_hosts, server))
    return checks


def _key(name: str, path: Path) -> list[Check]:
    import asyncssh

    value = str(path)
    if not path.is_file():
        hint = "Write the whole path: ~ is not known here" if value.startswith("~") else "Check SSH_KEY_PATH"
        return [_wrong(Area.FILE, name, value, "there is no such key file", hint)]
    try:
        asyncssh.read_private_key(path)
    except OSError as error:
        return [_wrong(Area.FILE, name, value, f"cannot be read: {error.strerror}", "Let the bot's user read it")]
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if "passphrase" in str(error).lower():
            how = "Load it into an ssh-agent and leave SSH_KEY_PATH empty, or use a key without a passphrase"
            return [_wrong(Area.FILE, name, value, "is locked with a passphrase, which the bot cannot type", how)]
        return [_wrong(Area.FILE, name, value, "is no private key", "Name the private key, not the .pub")]
    return [_private(path, "it is a private key", name)]


def _private(path: Path, why: str, name: str | None = None) -> Check:
    """Check that only its owner may read a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    shown = name or "rights"
    if mode & 0o077:
        return _wrong(
            Area.FILE, shown, str(path), f"others may read it (mode {mode:o}), and {why}", f"chmod 600 {path}"
        )
    return Check(Area.FILE, shown, str(path), "", Verdict.RIGHT, "only its owner may read it")


def _host_key(known_hosts: Path, server: GameServerSettings) -> Check:
    name = f"host key of {server.name}"
    try:
        fingerprints = pinned_fingerprints(known_hosts, server.host, server.port)
    except (OSError, ValueError) as error:
        return _wrong(Area.FILE, name, str(known_hosts), f"cannot be read: {error}", "Mend or remove the file")
    if not fingerprints:
        return _wrong(
            Area.FILE, name, str(known_hosts), f"none is pinned for {server.host}:{server.port}", "python -m bot setup"
        )
    return Check(Area.FILE, name, str(known_hosts), "", Verdict.RIGHT, f"pinned: {' or '.join(fingerprints)}")


def pinned_fingerprints(known_hosts: Path, host: str, port: int) -> list[str]:
    """Return the SHA-256 fingerprints of the keys that are pinned for a server.

    Raises:
        OSError: the file is there and cannot be read.
        ValueError: it is damaged.
    """
    import asyncssh

    if not known_hosts.exists():
        return []
    known_as = host if port == 22 else f"[{host}]:{port}"
    keys = asyncssh.import_known_hosts(known_hosts.read_text(encoding="utf-8")).match(known_as, "", None)[0]
    return [key.get_fingerprint() for key in keys]


def _database_file(path: Path, shown: str) -> Check | None:
    """Check the file of a SQLite database as far as that goes without opening it; None where it can be opened.

    To open one that is not there makes it, and a check makes nothing.
    """
    if not path.exists():
        if path.absolute().parent.is_dir() and _can_be_made(path):  # its folder is not made for it
            return Check(Area.DATABASE, "database", shown, "", Verdict.RIGHT, "is made at the first start")
        return _wrong(Area.DATABASE, "database", shown, "cannot be made there", "Check DATABASE_URL and the folder")
    if not os.access(path, os.R_OK | os.W_OK):
        return _wrong(Area.DATABASE, "database", shown, "cannot be read and written", "Check its owner and rights")
    return None


async def _database(settings: Settings) -> Check:
    from bot.db.engine import Database, DatabaseError
    from bot.db.migrate import SCHEMA_REVISION, schema_revision

    url = make_url(settings.database_url)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        hindered = _database_file(Path(url.database), shown)
        if hindered is not None:
            return hindered
    database = Database(settings.database_url)
    try:
        revision = await schema_revision(database)
    except DatabaseError as error:
        return _wrong(Area.DATABASE, "database", shown, str(error), "")
    finally:
        await database.close()
    if revision is None:
        return Check(Area.DATABASE, "database", shown, "", Verdict.RIGHT, "empty; the first start makes its tables")
    if revision != SCHEMA_REVISION:
        note = f"schema {revision}; it is brought to {SCHEMA_REVISION} at the next start, after a copy was made"
        return Check(Area.DATABASE, "database", shown, "", Verdict.NOTE, note)
    return Check(Area.DATABASE, "database", shown, "", Verdict.RIGHT, f"reachable, schema {revision}")


def _token(settings: Settings) -> Check:
    token = settings.discord_bot_token
    if token is None:
        note = "no token: the bot runs without Discord"
        return Check(Area.SETTING, "Discord", "", "", Verdict.NOTE, note, "python -m bot setup")
    if not re.fullmatch(r"[\w-]{18,}\.[\w-]{4,}\.[\w-]{20,}", token.get_secret_value(), re.ASCII):
        return Check(
            Area.SETTING,
            "Discord",
            HIDDEN,
            "",
            Verdict.NOTE,
            "does not look like a bot token, which has three parts with dots between",
            "Copy the token from the Discord developer portal, page Bot; not the application id or the client secret",
        )
    return Check(Area.SETTING, "Discord", HIDDEN, "", Verdict.RIGHT, "has the form of a bot token")


# ---------------------------------------------------------------------- the game servers


async def check_servers(settings: Settings) -> list[Check]:
    """Connect to every game server, list its folder, and say what is there."""
    from bot.ingest.access import game_server
    from bot.ingest.game_server_errors import GameServerError

    checks = []
    for item in settings.servers():
        name = f"game server {item.name}"
        place = f"{item.host}:{item.port} {item.folder}"
        async with game_server(settings, item) as server:
            try:
                listing = await server.listing()
            except GameServerError as error:
                checks.append(_wrong(Area.SERVER, name, place, f"{error.what}: {error.why}", error.next_step))
                continue
        if listing.files:
            newest = max(listing.files, key=lambda file: file.name)
            found = f"{len(listing.files):,} stats files, the newest {newest.name}"
            checks.append(Check(Area.SERVER, name, place, "", Verdict.RIGHT, found))
        else:
            checks.append(
                Check(
                    Area.SERVER,
                    name,
                    place,
                    "",
                    Verdict.NOTE,
                    f"no stats files there, {listing.ignored_names} other names",
                    "Check REMOTE_STATS_PATH: the folder is mostly called gamestats",
                )
            )
    return checks
