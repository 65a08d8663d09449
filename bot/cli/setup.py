"""setup and check-config: from nothing to a bot that gets in, and the answer to "is it set up right?"."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import ExitCode, JsonOption, fail, print_json, run
from bot.utc import utc_minute

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.health.check_config import Check
    from bot.ingest.game_server import GameServer
    from bot.ingest.game_server_errors import HostKeyChanged
    from bot.ingest.listing import Listing
    from bot.ingest.ssh_login import OfferedKey

ENV_FILE = Path(".env")

_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("setup")(setup_command)
    app.command("check-config")(check_config_command)


# ---------------------------------------------------------------------- check-config

_AREA_CODES = (
    ("setting", ExitCode.CONFIG),
    ("file", ExitCode.CONFIG),
    ("database", ExitCode.DATABASE),
    ("archive", ExitCode.ARCHIVE),
    ("server", ExitCode.SERVER),
)
"""The exit code of the first area with something wrong in it."""


def check_config_command(
    connect: Annotated[bool, typer.Option("--connect", help="Also connect to the game servers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every setting, where it comes from, whether it is right, and what to do where it is not."""
    checks = run(lambda: _check_config(connect=connect))
    wrong = [check for check in checks if check.verdict.value == "wrong"]
    if as_json:
        from dataclasses import asdict

        print_json({"right": not wrong, "checks": [asdict(check) for check in checks]})
    else:
        _print_checks(checks)
    for area, code in _AREA_CODES:
        if any(check.area.value == area for check in wrong):
            raise typer.Exit(code)


async def _check_config(*, connect: bool) -> list[Check]:
    from bot.cli.check_tables import check_tables
    from bot.config import ConfigError
    from bot.health.check_config import check_places, check_servers, check_settings

    checks, settings = check_settings(ENV_FILE, os.environ)
    if settings is None:
        return checks
    checks += await check_places(settings, os.environ)
    said = {check.finding for check in checks if check.verdict.value == "wrong"}
    # A file that cannot be read at all is said once.
    checks += [check for check in check_tables(settings) if check.finding not in said]
    if connect:
        with contextlib.suppress(ConfigError):  # said among the places
            checks += await check_servers(settings)
    return checks


def _print_checks(checks: list[Check]) -> None:
    from bot.ingest.sftp_session import printable

    signs = {"right": "ok", "note": "note", "wrong": "WRONG"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        origin = f" ({check.origin})" if check.origin else ""
        value = printable(check.value, 200) or "-"
        finding = f": {printable(check.finding, 400)}" if check.finding else ""
        typer.echo(f"{signs[check.verdict.value]:<6} {check.name:<{width}}  {value}{origin}{finding}")
        if check.do and check.verdict.value != "right":
            typer.echo(f"{'':<6} {'':<{width}}  -> {check.do}")
    wrong = sum(1 for check in checks if check.verdict.value == "wrong")
    typer.echo(f"{wrong} wrong" if wrong else "everything is right")


# ---------------------------------------------------------------------- setup


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the wizard was told. Exactly one of key, agent and password is the way in."""

    host: str
    port: str
    user: str
    folder: str
    method: str
    key: str
    password: str
    zone: str
    token: str

    def __repr__(self) -> str:
        return f"<answers for {self.host!r}>"  # two of the fields are secrets

    def values(self) -> dict[str, str | None]:
        """Return the variables to write; None takes one out."""
        return {
            "SSH_HOST": self.host,
            "SSH_PORT": self.port,
            "SSH_USER": self.user,
            "SSH_KEY_PATH": self.key if self.method == "key" else None,
            "SSH_PASSWORD": self.password if self.method == "password" else None,
            "REMOTE_STATS_PATH": self.folder,
            "SERVER_TIMEZONE": self.zone,
            "DISCORD_BOT_TOKEN": self.token or None,
        }


def setup_command(
    host: Annotated[str | None, typer.Option(help="Host name or address of the game server.")] = None,
    port: Annotated[int | None, typer.Option(help="Its SSH port.")] = None,
    user: Annotated[str | None, typer.Option(help="Login name.")] = None,
    folder: Annotated[str | None, typer.Option(help="Folder of the stats files on the game server.")] = None,
    key: Annotated[Path | None, typer.Option(help="Log in with this private key.")] = None,
    agent: Annotated[bool, typer.Option("--agent", help="Log in with the ssh-agent's keys.")] = False,
    password: Annotated[
        bool, typer.Option("--password", help="Log in with a password: that of SSH_PASSWORD, or asked for.")
    ] = False,
    zone: Annotated[str | None, typer.Option(help="IANA zone of the game server's clock.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Pin the host key only if its fingerprint is this (SHA256:...).")
    ] = None,
    accept_new_host_key: Annotated[
        bool, typer.Option("--accept-new-host-key", help="Pin another host key than the one pinned so far.")
    ] = False,
    connect: Annotated[bool, typer.Option("--connect/--no-connect", help="Try the answers out.")] = True,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: options, then what is set already, then defaults.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Only print what .env.example holds.")] = False,
) -> None:
    """Ask for what the bot needs, try it, pin the host key and write .env. Can be run again at any time.

    Secrets are never taken as options, which other users of the machine could see: they are asked for, or taken from
    SSH_PASSWORD and DISCORD_BOT_TOKEN.
    """
    from bot.health import env_file

    if example:
        typer.echo(env_file.example(), nl=False)
        return
    methods = [name for name, chosen in (("key", key), ("agent", agent), ("password", password)) if chosen]
    if len(methods) > 1:
        fail("choose one of --key, --agent and --password", ExitCode.USAGE)
    given = {
        "SSH_HOST": host,
        "SSH_PORT": None if port is None else str(port),
        "SSH_USER": user,
        "REMOTE_STATS_PATH": folder,
        "SSH_KEY_PATH": None if key is None else str(key),
        "SERVER_TIMEZONE": zone,
    }
    wizard = _Wizard(given, methods[0] if methods else None, ask=not yes)
    answers = wizard.answers()
    empty = False
    while connect:
        outcome = _try_out(answers, fingerprint, accept_new_host_key=accept_new_host_key, ask=not yes)
        if outcome is not None:
            empty = outcome == 0
            if not empty or yes or typer.confirm("Is this the right folder all the same?", default=False):
                break
        elif not typer.confirm("Change the answers and try again?", default=True):
            if not typer.confirm("Save them all the same?", default=False):
                raise typer.Exit(ExitCode.SERVER)
            break
        answers = wizard.answers(answers)
    _write(answers)
    raise typer.Exit(ExitCode.PROBLEM if empty else ExitCode.OK)


class _Wizard:
    """Gathers the answers: options first, then what is set already, then the person."""

    def __init__(self, given: dict[str, str | None], method: str | None, *, ask: bool) -> None:
        from bot.health.env_file import read_values

        try:
            filed = read_values(ENV_FILE)
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{ENV_FILE} cannot be read: {error}; mend or move it away", ExitCode.CONFIG)
        environment = {name.upper(): value for name, value in os.environ.items() if value}
        self._set = {**filed, **environment}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._method = method
        self._ask = ask

    def answers(self, earlier: _Answers | None = None) -> _Answers:
        """Return all answers; the earlier ones are offered again where they were wrong."""
        if earlier is not None:
            # The second time round nothing is taken as given: it did not work.
            self._set |= {name: value for name, value in earlier.values().items() if value is not None}
            self._set["SSH_PASSWORD"] = earlier.password
            self._given, self._method = {}, None
        host = self._answer("SSH_HOST", "Host name or address of the game server", "", _host)
        port = self._answer("SSH_PORT", "SSH port", "22", _port)
        user = self._answer("SSH_USER", "Login name", "", _something)
        method = self._choose_method(earlier)
        key = self._answer("SSH_KEY_PATH", "Private key file", _first_key(), _key_file) if method == "key" else ""
        password = self._secret("SSH_PASSWORD", "Password", needed=True) if method == "password" else ""
        folder = self._answer("REMOTE_STATS_PATH", "Folder of the stats files there", "", _something)
        zone = self._answer("SERVER_TIMEZONE", "Time zone of the game server's clock", machine_zone(), _zone)
        token = self._secret("DISCORD_BOT_TOKEN", "Discord bot token (Enter for none)", needed=False)
        return _Answers(host, port, user, folder, method, key, password, zone, token)

    def _answer(self, name: str, question: str, default: str, check: Callable[[str], str]) -> str:
        if name in self._given:
            return _checked(check, self._given[name], name)
        known = self._set.get(name) or default
        if not self._ask:
            return _checked(check, known, name)

        def valid(text: str) -> str:
            try:
                return check(text)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error

        answer: str = typer.prompt(question, default=known or None, value_proc=valid)
        return answer

    def _choose_method(self, earlier: _Answers | None) -> str:
        if self._method is not None:
            return self._method
        if earlier is not None:
            usual = earlier.method
        elif self._set.get("SSH_KEY_PATH"):
            usual = "key"
        elif self._set.get("SSH_PASSWORD"):
            usual = "password"
        else:
            usual = "agent" if os.environ.get("SSH_AUTH_SOCK") else "key"
        if not self._ask:
            return usual

        def valid(text: str) -> str:
            for method in ("key", "agent", "password"):
                if text and method.startswith(text.strip().lower()):
                    return method
            raise typer.BadParameter("answer key, agent or password")

        answer: str = typer.prompt("Log in with: key, agent or password", default=usual, value_proc=valid)
        return answer

    def _secret(self, name: str, question: str, *, needed: bool) -> str:
        """Return a secret that is set, or that the person types; it is never shown."""
        known = self._set.get(name, "")
        if not self._ask:
            if needed and not known:
                fail(f"{name} is missing: set it in the environment, or run setup without --yes", ExitCode.CONFIG)
            return known
        if known:
            question = f"{question.split(' (')[0]} (Enter keeps the one that is set)"
        while True:
            typed: str = typer.prompt(question, default="", hide_input=True, show_default=False)
            answer = typed.strip() or known
            if answer or not needed:
                return answer
            typer.echo("It cannot be empty.")


def _checked(check: Callable[[str], str], value: str, name: str) -> str:
    try:
        return check(value)
    except ValueError as error:
        fail(f"{name}: {error}", ExitCode.CONFIG)


def _something(text: str) -> str:
    if not text.strip():
        raise ValueError("it cannot be empty")
    return text.strip()


def _host(text: str) -> str:
    import re

    if not re.fullmatch(r"[\w.:%\-]+", text.strip()):
        raise ValueError("write a host name or an address, nothing before or after it")
    return text.strip()


def _port(text: str) -> str:
    if not text.strip().isdecimal() or not 0 < int(text) < 65536:
        raise ValueError("write a number from 1 to 65535")
    return str(int(text))


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(text.strip()).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("write it like Europe/Berlin or UTC") from error


def _key_file(text: str) -> str:
    # The settings take a path as it is, so ~ and the folder we stand in are written out.
    path = Path(_something(text)).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return str(path)


def _first_key() -> str:
    folder = Path("~/.ssh").expanduser()
    return next((str(folder / name) for name in _KEYS if (folder / name).is_file()), "")


def machine_zone() -> str:
    """Return the IANA zone of this machine, or UTC where it does not say."""
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    linked = os.path.realpath("/etc/localtime")
    if "/zoneinfo/" in linked:
        candidates.append(linked.split("/zoneinfo/", 1)[1])
    with contextlib.suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text(encoding="utf-8"))
    for candidate in candidates:
        try:
            if candidate.strip():
                return _zone(candidate)
        except ValueError:
            continue
    return "UTC"


# ---------------------------------------------------------------------- trying the answers out


def _settings(answers: _Answers) -> Settings:
    from bot.config import ConfigError, load_settings

    values = {name.lower(): value for name, value in answers.values().items()}
    try:
        return load_settings(**values)
    except ConfigError as error:
        fail(str(error), ExitCode.CONFIG)


def _try_out(answers: _Answers, fingerprint: str | None, *, accept_new_host_key: bool, ask: bool) -> int | None:
    """Connect, pin the host key where that is agreed to, and list the folder.

    Returns:
        How many stats files are there; None where it did not work and a person may answer anew. Without a person the
        command ends.
    """
    from bot.ingest.game_server_errors import GameServerError

    settings = _settings(answers)
    pin = _Pinning(settings, answers, fingerprint, accept_new_host_key=accept_new_host_key, ask=ask)
    typer.echo(f"Connecting to {answers.host}:{answers.port} ...")

    async def main() -> Listing | GameServerError:
        from bot.ingest.access import game_server

        async with game_server(settings, settings.servers()[0]) as server:
            try:
                return await pin.listing(server)
            except GameServerError as error:
                return error

    found = run(main)
    if isinstance(found, GameServerError):
        if not ask:
            fail(f"{found}. Nothing was written to {ENV_FILE}", ExitCode.SERVER)
        typer.echo(f"It did not work: {found}", err=True)
        return None
    _tell(found, answers)
    return len(found.files)


class _Pinning:
    """Lists a folder, and on the way there has the host key agreed to, once."""

    def __init__(
        self, settings: Settings, answers: _Answers, fingerprint: str | None, *, accept_new_host_key: bool, ask: bool
    ) -> None:
        self._settings = settings
        self._answers = answers
        self._fingerprint = fingerprint
        self._accept = accept_new_host_key
        self._ask = ask

    async def listing(self, server: GameServer) -> Listing:
        """Return what the folder holds.

        Raises:
            GameServerError: it cannot be listed.
        """
        from bot.ingest.game_server_errors import HostKeyChanged, HostKeyUnknown
        from bot.ingest.ssh_login import offered_host_key

        try:
            return await server.listing()
        except (HostKeyUnknown, HostKeyChanged) as error:
            offered = await offered_host_key(self._answers.host, int(self._answers.port))
            changed = error if isinstance(error, HostKeyChanged) else None
        self._agree(offered, changed)
        self._pin(offered.key)
        # Only the next connection proves that what was pinned is what answers.
        return await server.listing()

    def _agree(self, offered: OfferedKey, changed: HostKeyChanged | None) -> None:
        if changed is not None:
            typer.echo("The host key of the game server has CHANGED.")
            for pinned in changed.pinned:
                typer.echo(f"  pinned so far  {pinned}")
            typer.echo(f"  offered now    {offered.fingerprint}")
        else:
            typer.echo(f"The game server offers the host key {offered.key.split()[0]} {offered.fingerprint}")
        if self._fingerprint is not None and self._fingerprint != offered.fingerprint:
            fail(f"that is not {self._fingerprint}; nothing was pinned", ExitCode.SERVER)
        if changed is None:
            if not self._ask or self._fingerprint is not None:
                return
            typer.echo("Compare it with what the server's owner sees: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
            if typer.confirm("Is it the same?", default=False):
                return
        elif self._accept:
            return
        elif not self._ask:
            fail(
                "a changed host key is only pinned with --accept-new-host-key; nothing was pinned. If nobody set the "
                "server up anew, somebody may sit between you and it",
                ExitCode.SERVER,
            )
        else:
            typer.echo("If nobody set the server up anew, somebody may sit between you and it.")
            if typer.prompt("Type yes to pin the new key", default="no", show_default=False).strip() == "yes":
                return
        fail("nothing was pinned", ExitCode.SERVER)

    def _pin(self, key: str) -> None:
        from bot.ingest.ssh_login import pin_host_key

        path = self._settings.ssh_known_hosts
        try:
            pin_host_key(path, self._answers.host, int(self._answers.port), key)
        except (OSError, ValueError) as error:
            fail(f"the host key cannot be pinned in {path}: {error}", ExitCode.CONFIG)
        typer.echo(f"Pinned in {path}")


def _tell(listing: Listing, answers: _Answers) -> None:
    """Say what is in the folder, so that a wrong folder or a wrong zone is noticed."""
    if not listing.files:
        typer.echo(f"There are no stats files in {answers.folder}: {listing.ignored_names} other names")
        for name in listing.ignored_examples[:5]:
            typer.echo(f"  {name}")
        return
    newest = max(listing.files, key=lambda file: file.name)
    written = utc_minute(newest.mtime)
    typer.echo(f"{len(listing.files):,} stats files; the newest is {newest.name}, written {written}")
    off = zone_error(listing, answers.zone)
    if off:
        typer.echo(
            f"Is {answers.zone} the zone of the game server? By it, the names of the newest files are {off:+g} h off "
            "the times they were written at"
        )


def zone_error(listing: Listing, zone: str) -> float:
    """Return by how many hours the newest files' names differ from their times in a zone; 0 where they fit.

    A copied folder has the times of the copy, so this is worth a question and not an error.
    """
    from datetime import datetime
    from statistics import median
    from zoneinfo import ZoneInfo

    from parsers import parse_file_name

    newest = sorted(listing.files, key=lambda file: file.name)[-20:]
    apart: list[float] = []
    for file in newest:
        named: datetime = parse_file_name(file.name).stamp.replace(tzinfo=ZoneInfo(zone))
        apart.append(named.timestamp() - file.mtime)
    hours = round(median(apart) / 1800) / 2
    # No zone is more than a day off: that would be a copy, not a wrong zone.
    return hours if abs(hours) <= 26 and max(apart) - min(apart) < 1800 else 0.0


# ---------------------------------------------------------------------- writing


def _write(answers: _Answers) -> None:
    from bot.health.env_file import write_values

    _settings(answers)
    values = answers.values()
    try:
        write_values(ENV_FILE, values)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        fail(f"{ENV_FILE} cannot be written: {error}", ExitCode.CONFIG)
    typer.echo(f"Wrote {ENV_FILE}: {', '.join(name for name, value in values.items() if value)} (only you may read it)")
    stronger = [name for name, value in values.items() if os.environ.get(name) and os.environ[name] != (value or "")]
    if stronger:
        typer.echo(f"The environment sets {', '.join(stronger)} otherwise, and wins over {ENV_FILE}.")
    typer.echo("Next: python -m bot sync")
