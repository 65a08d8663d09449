"""The `.env` file: read as the settings read it, and changed without losing what else stands in it."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bot.config import Settings

_PLAIN = re.compile(r"[\w./:@+,=-]*", re.ASCII)
"""Values that stand in the file as they are; all others are quoted."""


def variable(field: str) -> str:
    """Return the environment variable of a field of `Settings`."""
    return field.upper()


def is_secret(info: FieldInfo) -> bool:
    """Tell whether a setting is never to be shown."""
    return SecretStr in (info.annotation, *get_args(info.annotation))


def text_of(value: Any) -> str:
    """Return a setting's value as one would write it into the file. Not for secrets."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return str(value)


def read_values(path: Path) -> dict[str, str]:
    """Return what a `.env` file sets, by upper-case name; empty values count as not set, as the settings have it.

    Raises:
        OSError: the file is there and cannot be read.
        UnicodeDecodeError: it is no UTF-8 text.
    """
    if not path.exists():
        return {}
    found = dotenv_values(stream=io.StringIO(path.read_text(encoding="utf-8")))
    return {name.upper(): value for name, value in found.items() if value}


def quoted(value: str) -> str:
    r"""Return a value as it has to stand in the file so that the very same value is read back.

    Raises:
        ValueError: it holds a control character, a line end for instance, which no setting does.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError("a setting cannot hold line ends or other control characters")
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    # ${NAME} would be replaced even inside quotes. The nameless variable with a dollar for its default is a dollar.
    return "'" + escaped.replace("${", "${:-$}{") + "'"


def changed(text: str, values: Mapping[str, str | None]) -> str:
    """Return the text of a `.env` file with some variables set to new values, or taken out where that is None.

    Every other line stays as it is, comments included. A variable that is there keeps its place; new ones come last.
    """
    todo = dict(values)
    lines: list[str] = []
    for binding in parse_stream(io.StringIO(text)):
        name = binding.key.upper() if binding.key is not None else None
        if name is None or name not in values:
            lines.append(binding.original.string)
            continue
        # The parser gives a variable the blank lines before it.
        blank = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        new = todo.pop(name, None)  # a name that stands twice keeps its first place
        lines.append(blank if new is None else f"{blank}{name}={quoted(new)}\n")
    result = "".join(lines)
    if result and not result.endswith("\n"):
        result += "\n"
    return result + "".join(f"{name}={quoted(value)}\n" for name, value in todo.items() if value is not None)


def write_values(path: Path, values: Mapping[str, str | None]) -> None:
    """Set variables in a `.env` file, whole or not at all; only its owner may read it afterwards.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: a value cannot stand in such a file; nothing was written.
    """
    path = Path(os.path.realpath(path))
    text = changed(path.read_text(encoding="utf-8") if path.exists() else "", values)
    found = {name.upper(): value for name, value in dotenv_values(stream=io.StringIO(text)).items()}
    wrong = sorted(name for name, value in values.items() if (found.get(name) or "") != (value or ""))
    if wrong:
        raise ValueError(f"{', '.join(wrong)} could not be read back from {path}; nothing was written")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


_EXAMPLE_HEAD = """\
# Every setting, with its default. Copy this file to .env, or let `python -m bot setup` write that.
# The environment wins over .env. `python -m bot check-config` says which value comes from where, and whether it is
# right. Only the owner may read .env: chmod 600 .env
#
# Further game servers stand in the TOML file that CONFIG_FILE names, each like this:
#
#   [[servers]]
#   name = "second"                    # short name, part of every key
#   host = "second.example.org"
#   port = 22
#   user = "et"
#   folder = "/home/et/etlegacy/gamestats"
#   key_path = "/home/bot/.ssh/id_ed25519"
#   password_env = "SECOND_PASSWORD"   # the variable that holds the password, where there is no key
#   time_zone = "Europe/Berlin"
#   game_port = 27960                  # where it tells who is online
#
# and each place that copies of the files go to like one of these (secrets stay in the environment):
#
#   [[destinations]]
#   name = "nas"
#   kind = "directory"                 # or s3, b2, gcs, azure
#   path = "/mnt/nas/etlegacy"
#
#   [[destinations]]
#   name = "b2"
#   kind = "b2"
#   bucket = "our-rounds"
#   prefix = "etlegacy"
#   region = "us-west-004"
#   access_key_env = "B2_KEY_ID"
#   secret_key_env = "B2_KEY"
#   on_differs = "keep"                # or replace, newer: both keep the replaced copy beside it
#   exclude = { awards = "*-awards.txt" }
#   price_per_gb_month = 0.006         # what the provider takes; without prices no cost is shown
#   price_per_1000_requests = 0.004
#   currency = "USD"
#
# when something counts as late or wrong (seconds; each has a default), and whom to tell:
#
#   [health]
#   grace = 900                        # a failure that is over by then is nothing to be red about
#   pending_limit = 3600               # a file that waits longer to be copied is late
#   verify_limit = 3456000             # within 40 days every copy is to be read back once
#
#   [alerts]
#   webhook_url_env = "ALERT_WEBHOOK"  # the variable that holds the address: it is a secret
#   webhook_format = "discord"         # or json; auto tells them apart by the address
#   heartbeat_url_env = "HEARTBEAT"    # a Healthchecks-type address that raises the alarm when nobody calls any more
#   reminder = 86400
#
# and when things are done by themselves, besides RECONCILE_SCHEDULE and SNAPSHOT_SCHEDULE below:
#
#   [schedule]
#   inspect_interval = 3600            # seconds between two looks at live statistics; 0 = off
#   verify_schedule = "30 4 * * *"     # when some of the copies are read back; minute, hour, day, month, weekday in UTC
#   verify_percent = 2.5               # how many of them: all within 40 days
#   drill_schedule = "0 5 * * sun"     # when the newest snapshot is restored elsewhere, to prove that it can be
#   daily_snapshots = 7                # of the database, kept at each destination
#   weekly_snapshots = 4
#   monthly_snapshots = 12
#
# and who may see the web pages from other machines (an https proxy in front hands requests on to WEB_PORT):
#
#   [web]
#   public_url = "https://stats.example.org"
#   trusted_proxies = ["10.0.0.2"]     # a proxy on another machine, whose X-Forwarded-For is believed
#   public_games = false               # true: everybody may see games and players, without logging in
#   metrics_token_env = "METRICS_TOKEN"
#   discord_client_id = "123456789012345678"
#   discord_client_secret_env = "DISCORD_CLIENT_SECRET"
#   discord_guild = "234567890123456789"   # the Discord server whose roles count; redirect: public_url/login/callback
#   viewer_roles = ["345678901234567890"]  # may look; the Discord server's own id means every member
#   admin_roles = ["456789012345678901"]   # may do everything
"""


def example() -> str:
    """Return the text of `.env.example`: every setting of `Settings` with its explanation and its default."""
    parts = [_EXAMPLE_HEAD]
    for name, info in Settings.model_fields.items():
        default = text_of(info.get_default(call_default_factory=True))
        # What has a default is shown and left out; what has none waits to be filled in.
        line = f"# {variable(name)}={quoted(default)}" if default else f"{variable(name)}="
        parts.append(f"\n# {info.description or ''}\n{line}\n")
    return "".join(parts)
