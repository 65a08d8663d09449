"""How people are told of incidents: the log, a webhook, and a heartbeat that is missed when nobody beats it any more.

Texts may hold what a store or a server said, so they come from outside: nothing in them calls anybody, formats
anything or becomes a link.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from bot.addresses import is_local
from bot.config import ConfigError
from bot.health.colour import spell
from bot.health.incidents import Incident, MessageKind
from bot.utc import utc_minute

log = structlog.get_logger()

SHOWN = 10
"""Incidents that one message names; of more, only how many."""

LONGEST_WAIT = 3600.0
"""Seconds that a receiver may have us wait."""

SHORT_WAIT = 5.0
"""Seconds up to which a wait is sat out at once; longer ones are put off."""

LARGEST_ANSWER = 64 * 1024

_DISCORD_HOSTS = ("discord.com", "discordapp.com")
_COLOURS = {"red": 0xD93025, "yellow": 0xF9AB00, "green": 0x188038}
_SIGNS = {"red": "■", "yellow": "▲", "green": "●"}


class NotifyError(Exception):
    """A message did not get there. Its text never holds the address.

    Attributes:
        transient: trying again later may help.
        retry_after: seconds the receiver wants us to wait; None where it did not say.
    """

    def __init__(self, why: str, *, transient: bool, retry_after: float | None = None) -> None:
        self.transient = transient
        self.retry_after = retry_after
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told at one time.

    Attributes:
        kind: what it is about.
        incidents: one, or several that came together; none for a test.
        key: the same when it is sent again, for those who can tell.
    """

    kind: MessageKind
    incidents: tuple[Incident, ...]
    key: str


class Notifier(Protocol):
    """Somebody who tells people. A Discord channel is another one."""

    name: str

    async def send(self, notice: Notice) -> str | None:
        """Tell people; return the name of what was posted, where it can be edited later.

        Raises:
            NotifyError: it did not get there.
        """
        ...

    async def edit(self, reference: str, incidents: Sequence[Incident]) -> None:
        """Bring an earlier message up to date with all the incidents that stand in it. Calls nobody.

        Raises:
            NotifyError: it did not get there. A message that somebody deleted is no error.
        """
        ...


# ---------------------------------------------------------------------- texts


def title_of(notice: Notice) -> str:
    """Return the first line of a message."""
    if notice.kind is MessageKind.TEST:
        return "Test: this is how you are told when something is wrong"
    count = len(notice.incidents)
    if count == 1:
        (incident,) = notice.incidents
        return {
            MessageKind.RECOVERED: f"Over: {incident.title}",
            MessageKind.REMINDER: f"Still so: {incident.title}",
        }.get(notice.kind, incident.title)
    verb = {MessageKind.RECOVERED: "are over", MessageKind.REMINDER: "still need you"}.get(notice.kind, "need you")
    return f"{count} things {verb}"


def lines_of(incidents: Sequence[Incident]) -> list[tuple[str, str]]:
    """Return, for each incident that is named, its text and the command that mends it (empty: none)."""
    shown: list[tuple[str, str]] = []
    for incident in incidents[:SHOWN]:
        since = utc_minute(incident.began_at)
        if incident.seconds is not None:
            text = f"{incident.title}: it lasted {spell(incident.seconds)}, since {since}"
            shown.append((text, ""))
        else:
            name = incident.title.partition(":")[0]
            shown.append((f"{name}: {incident.text} (since {since})", incident.command or ""))
    if len(incidents) > SHOWN:
        shown.append((f"and {len(incidents) - SHOWN} more", "python -m bot status"))
    return shown


def harmless(text: str, limit: int) -> str:
    """Return text from outside for a Discord message: no mention, no formatting, no link, no trick of direction."""
    text = "".join(c if c.isprintable() and not unicodedata.combining(c) else " " for c in text)
    text = " ".join(text.split())
    text = text.replace("://", ":\u200b//")
    text = re.sub(r"([\\*_~`|<>\[\]()#@-])", r"\\\1", text)
    if len(text) <= limit:
        return text
    # A backslash left alone at the end would free what comes after it.
    return text[: limit - 1].rstrip("\\") + "…"


def discord_payload(title: str, incidents: Sequence[Incident]) -> dict[str, Any]:
    """Return a message for a Discord webhook: one embed that calls nobody."""
    lines = []
    for text, command in lines_of(incidents):
        lines.append(harmless(text, 600))
        if command:
            lines.append("`" + command.replace("`", "'")[:200] + "`")
    over = bool(incidents) and all(incident.closed_at is not None for incident in incidents)
    colour = "green" if over or not incidents else "red" if any(i.colour == "red" for i in incidents) else "yellow"
    embed = {
        "title": harmless(f"{_SIGNS[colour]} {title}", 256),
        "description": "\n".join(lines)[:4096],
        "color": _COLOURS[colour],
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def json_payload(notice: Notice) -> dict[str, Any]:
    """Return a message for any other webhook."""
    return {
        "kind": notice.kind.value,
        "key": notice.key,
        "title": title_of(notice),
        "text": "\n".join(text + (f" -> {command}" if command else "") for text, command in lines_of(notice.incidents)),
        "incidents": [
            {
                "id": incident.id,
                "key": incident.key,
                "state": incident.state,
                "colour": incident.colour,
                "title": incident.title,
                "text": incident.text,
                "do": incident.command,
                "began_at": incident.began_at,
                "opened_at": incident.opened_at,
                "ended_at": incident.ended_at,
                "seconds": incident.seconds,
            }
            for incident in notice.incidents
        ],
    }


# ---------------------------------------------------------------------- the log


class LogNotifier:
    """Writes incidents into the log."""

    name = "log"

    async def send(self, notice: Notice) -> str | None:
        """Write a line for each incident."""
        if notice.kind is MessageKind.TEST:
            log.info("alert test: this is how you are told when something is wrong")
        for incident in notice.incidents:
            if notice.kind is MessageKind.RECOVERED:
                log.info("incident is over", incident=incident.key, lasted=spell(incident.seconds or 0))
            else:
                word = "incident" if notice.kind is MessageKind.OPENED else "incident goes on"
                log.warning(word, incident=incident.key, reason=incident.text, do=incident.command)
        return None

    async def edit(self, reference: str, incidents: Sequence[Incident]) -> None:
        """Do nothing: what was logged stays."""


# ---------------------------------------------------------------------- over the network


@dataclass(frozen=True, slots=True)
class Link:
    """An address that is a secret, and how to speak to it.

    Attributes:
        address: of the receiver; https, or http on this machine.
        timeout: seconds for one request.
        attempts: tries of one message before it is put off.
    """

    address: str = field(repr=False)
    timeout: float = 10.0
    attempts: int = 3

    def __post_init__(self) -> None:
        check_address(self.address)

    async def request(
        self, method: str, more: str = "", *, body: Any = None, data: str | None = None, key: str | None = None
    ) -> tuple[int, bytes]:
        """Send a request, again after short pauses where that may help; return status and body.

        Args:
            method: of HTTP.
            more: what comes after the address, its query left in place.
            body: sent as JSON.
            data: sent as text.
            key: told to the receiver, so that it can tell a message that comes twice.

        Raises:
            NotifyError: it did not get there; 404 is one too.
        """
        import stamina  # as aiohttp below: needed only when there is somebody to tell

        retry = stamina.retry_context(on=_worth_another_try, attempts=self.attempts, timeout=60.0, wait_max=SHORT_WAIT)
        async for attempt in retry:
            with attempt:
                return await self._once(method, more, body, data, key)
        raise AssertionError("unreachable")  # pragma: no cover - the last attempt returns or raises

    async def _once(self, method: str, more: str, body: Any, data: str | None, key: str | None) -> tuple[int, bytes]:
        import aiohttp  # heavy, and needed only when there is somebody to tell

        headers = {} if key is None else {"Idempotency-Key": key}
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, self._joined(more), json=body, data=data, headers=headers, allow_redirects=False
                ) as answer,
            ):
                _require_success(answer.status, answer.headers)
                taken = b""
                async for chunk in answer.content.iter_chunked(8192):
                    taken += chunk
                    if len(taken) > LARGEST_ANSWER:
                        break
                return answer.status, taken
        except TimeoutError:
            raise NotifyError(f"no answer within {self.timeout:g} s", transient=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Their texts hold the address.
            raise NotifyError(f"cannot be reached ({type(error).__name__})", transient=True) from None

    def _joined(self, more: str) -> str:
        path, question, query = self.address.partition("?")
        extra, _, extra_query = more.partition("?")
        joined = "&".join(part for part in (query if question else "", extra_query) if part)
        return path.rstrip("/") + extra + (f"?{joined}" if joined else "") if more else self.address


def _worth_another_try(error: Exception) -> bool | float:
    if not isinstance(error, NotifyError) or not error.transient:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= SHORT_WAIT else False


def _require_success(status: int, headers: Mapping[str, str]) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise NotifyError(f"it answered {status}, a redirect; those are not followed", transient=False)
    wait = _retry_after(headers.get("Retry-After", ""))
    transient = status in (408, 425, 429) or status >= 500
    raise NotifyError(f"it answered {status}", transient=transient, retry_after=wait if transient else None)


def _retry_after(text: str) -> float | None:
    try:
        return min(max(float(text), 0.0), LONGEST_WAIT)
    except ValueError:
        return None  # a date, or nothing: our own pauses do


def check_address(address: str) -> None:
    """See that an address is one that a secret may be sent to.

    Raises:
        ConfigError: it is not; the message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        raise ConfigError("[alerts]: an address has to begin with https:// and name a host")
    if parts.scheme == "http" and not is_local(host):
        raise ConfigError("[alerts]: an address has to begin with https://; http only goes to this machine")


class JsonWebhook:
    """Posts incidents as JSON to an address."""

    name = "webhook"

    def __init__(self, link: Link) -> None:
        self.link = link

    async def send(self, notice: Notice) -> str | None:
        """Post; what was posted cannot be edited."""
        await self.link.request("POST", body=json_payload(notice), key=notice.key)
        return None

    async def edit(self, reference: str, incidents: Sequence[Incident]) -> None:
        """Do nothing: there is nothing to edit."""


class DiscordWebhook:
    """Posts incidents through a Discord webhook, and edits what it posted."""

    name = "webhook"

    def __init__(self, link: Link) -> None:
        self.link = link

    async def send(self, notice: Notice) -> str | None:
        """Post an embed; return the message's id."""
        payload = discord_payload(title_of(notice), notice.incidents)
        _, body = await self.link.request("POST", "?wait=true", body=payload, key=notice.key)
        return _message_id(body)

    async def edit(self, reference: str, incidents: Sequence[Incident]) -> None:
        """Edit the message; one that somebody deleted stays deleted."""
        over = all(incident.closed_at is not None for incident in incidents)
        kind = MessageKind.RECOVERED if over else MessageKind.CHANGED
        payload = discord_payload(title_of(Notice(kind, tuple(incidents), "")), incidents)
        try:
            await self.link.request("PATCH", f"/messages/{reference}", body=payload)
        except NotifyError as error:
            if str(error) != "it answered 404":
                raise


def _message_id(body: bytes) -> str | None:
    try:
        found = str(json.loads(body)["id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # then it is not edited later
    return found if re.fullmatch(r"\d{1,20}", found) else None


def webhook(address: str, form: str = "auto", *, timeout: float = 10.0, attempts: int = 3) -> Notifier:
    """Return the way to a webhook.

    Args:
        address: a secret; https, or http on this machine.
        form: discord, json, or auto, which tells them apart by the address.
        timeout: seconds for one request.
        attempts: tries of one message before it is put off.

    Raises:
        ConfigError: that is no such address.
    """
    link = Link(address, timeout, attempts)
    host = urlsplit(address).hostname or ""
    is_discord = any(host == known or host.endswith(f".{known}") for known in _DISCORD_HOSTS)
    return DiscordWebhook(link) if form == "discord" or (form == "auto" and is_discord) else JsonWebhook(link)


class Heartbeat:
    """Calls a Healthchecks-type address: it raises the alarm when nobody calls any more, as when the machine is gone.

    Failures to call are logged once and never stop anything: they are what the other side is there to notice.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self._failed = False

    async def start(self) -> bool:
        """Say that a look begins; return whether it got there."""
        return await self._call("/start", "")

    async def success(self, text: str) -> bool:
        """Say that all is as well as it can be."""
        return await self._call("", text)

    async def fail(self, text: str) -> bool:
        """Say that something is wrong."""
        return await self._call("/fail", text)

    async def _call(self, more: str, text: str) -> bool:
        try:
            await self.link.request("POST", more, data=text[:1000])
        except NotifyError as error:
            if not self._failed:
                log.warning("heartbeat did not get there", reason=str(error))
            self._failed = True
            return False
        self._failed = False
        return True
