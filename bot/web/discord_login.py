"""Logging in with Discord: OAuth 2 with state and PKCE, and what the roles of one Discord server allow."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import structlog
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from bot.web.access import LoginError, Role
from bot.web.settings import WebSettings

log = structlog.get_logger()

SCOPES = "identify guilds.members.read"
"""Who somebody is, and what he is in a Discord server he is a member of. Nothing else is asked for."""

DISCORD = "https://discord.com"

PATIENCE = 10.0
"""Seconds that Discord has for each answer."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who Discord says this is, and the role that this gives here; None for somebody who may not look."""

    id: str
    name: str
    role: Role | None


class DiscordLogin:
    """The way to Discord and back.

    Args:
        settings: of the web, with all of Discord's.
        secret: Discord's client secret.
        base: where Discord is.
    """

    def __init__(self, settings: WebSettings, secret: str, *, base: str = DISCORD) -> None:
        self.settings = settings
        self.base = base
        self._secret = secret

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self.settings.discord_client_id,
            client_secret=self._secret,
            scope=SCOPES,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=PATIENCE,
        )

    @staticmethod
    def new_verifier() -> str:
        """Return a new PKCE verifier."""
        return str(generate_token(64))

    async def address(self, redirect_uri: str, state: str, verifier: str) -> str:
        """Return where to send the browser."""
        async with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                f"{self.base}/oauth2/authorize", state=state, code_verifier=verifier, prompt="none"
            )
        return str(url)

    async def person(self, redirect_uri: str, code: str, verifier: str) -> Person:
        """Trade the code that the browser brought for who it is; Discord's token is forgotten at once.

        Raises:
            LoginError: Discord cannot be reached, does not take the code, or does not answer as it should.
        """
        guild = self.settings.discord_guild or ""
        try:
            async with self._client(redirect_uri) as client:
                await client.fetch_token(f"{self.base}/api/oauth2/token", code=code, code_verifier=verifier)
                member = await client.get(f"{self.base}/api/users/@me/guilds/{quote(guild, safe='')}/member")
                if member.status_code == httpx2.codes.NOT_FOUND:
                    user = await client.get(f"{self.base}/api/users/@me")
                    return _person(user.raise_for_status().json(), "", None)
                found = member.raise_for_status().json()
            return _person(found["user"], found.get("nick") or "", self._role(found["roles"]))
        except OAuthError as error:
            log.warning("Discord did not take a login's code", reason=error.error)
            raise LoginError("Discord did not take the login; begin again") from error
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("cannot ask Discord who logs in", reason=type(error).__name__)
            raise LoginError("Discord cannot be asked just now; try again in a minute") from error

    def _role(self, roles: list[str]) -> Role | None:
        mine = {*map(str, roles), self.settings.discord_guild}  # everybody's role has the Discord server's own id
        if mine & set(self.settings.admin_roles):
            return Role.ADMIN
        return Role.VIEWER if mine & set(self.settings.viewer_roles) else None


def _person(user: dict[str, str], nick: str, role: Role | None) -> Person:
    return Person(str(user["id"]), str(nick or user.get("global_name") or user["username"]), role)
