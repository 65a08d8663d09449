"""A stand-in of Discord as far as logging in goes: the authorize page, the token, and who somebody is.

It is as strict as Discord is: the redirect has to be the registered one to the letter, a code is good once, and the
verifier has to fit the challenge.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import BasicAuth, web

CLIENT_ID = "1234567890"
CLIENT_SECRET = "canary-client-secret"
GUILD = "900"


@dataclass
class DiscordLoginServer:
    """The stand-in. `roles` are the member's (None: is no member), `asked` every request for the authorize page."""

    url: str = ""
    redirect: str = ""
    roles: list[str] | None = field(default_factory=list)
    user: dict[str, str] = field(default_factory=lambda: {"id": "77", "username": "ann", "global_name": "Ann"})
    broken: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)

    async def authorize(self, request: web.Request) -> web.Response:
        """Send the browser back with a code, as if the person had agreed."""
        query = dict(request.query)
        self.asked.append(query)
        fits = (
            query.get("client_id") == CLIENT_ID
            and query.get("response_type") == "code"
            and query.get("redirect_uri") == self.redirect
            and set(query.get("scope", "").split()) == {"identify", "guilds.members.read"}
            and query.get("code_challenge_method") == "S256"
            and query.get("state")
        )
        if not fits:
            return web.json_response({"message": "invalid oauth2 request", "query": query}, status=400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = (query["code_challenge"], query["redirect_uri"])
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")

    async def token(self, request: web.Request) -> web.Response:
        """Trade a code for a token."""
        if self.broken:
            return web.Response(status=500, text="upstream connect error")
        form: Any = await request.post()
        who = BasicAuth.decode(request.headers.get("Authorization", ""))
        challenge, redirect = self._codes.pop(str(form.get("code")), ("", ""))
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (who.login, who.password) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        if not challenge or made != challenge or form.get("redirect_uri") != redirect:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = secrets.token_urlsafe(16)
        self._tokens.add(token)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 604800})

    async def member(self, request: web.Request) -> web.Response:
        """Say what somebody is in the Discord server."""
        self._require(request)
        if self.roles is None or request.match_info["guild"] != GUILD:
            return web.json_response({"message": "Unknown Guild", "code": 10004}, status=404)
        return web.json_response({"user": self.user, "nick": None, "roles": self.roles})

    async def me(self, request: web.Request) -> web.Response:
        """Say who somebody is."""
        self._require(request)
        return web.json_response(self.user)

    def _require(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            raise web.HTTPUnauthorized(text='{"message": "401: Unauthorized"}')


@asynccontextmanager
async def discord_login_server() -> AsyncIterator[DiscordLoginServer]:
    """Run the stand-in on 127.0.0.1."""
    server = DiscordLoginServer()
    app = web.Application()
    app.router.add_get("/oauth2/authorize", server.authorize)
    app.router.add_post("/api/oauth2/token", server.token)
    app.router.add_get("/api/users/@me/guilds/{guild}/member", server.member)
    app.router.add_get("/api/users/@me", server.me)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
