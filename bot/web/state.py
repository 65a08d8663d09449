"""What the parts of the web face share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from bot.addresses import is_local
from bot.cards.studio import Studio
from bot.community.keys import Keys
from bot.health.overview import Places
from bot.health.overview_taking import places_of
from bot.web.access import Logins, Sessions
from bot.web.live import Pulse
from bot.web.settings import WebSettings

if TYPE_CHECKING:
    from bot.app import App
    from bot.db.engine import Database
    from bot.web.discord_login import DiscordLogin


@dataclass
class WebState:
    """The parts behind the web face, and what is known of who is there.

    Attributes:
        app: the running bot.
        settings: of the web.
        clock: unix seconds.
        login: how people log in with Discord; None where that is not set up.
        studio: draws the pictures.
        own_studio: whether it is the web face's own, to be closed with it.
        closing: set when the server is told to stop, so that open streams end.
        places: what is set up.
        pulse: tells open pages when something changed.
    """

    app: App
    settings: WebSettings
    clock: Callable[[], float]
    login: DiscordLogin | None = None
    studio: Studio = field(default_factory=Studio)
    own_studio: bool = True
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: Sessions = field(init=False)
    keys: Keys = field(init=False)
    logins: Logins = field(init=False)
    places: Places = field(init=False)
    pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self.places = places_of(self.app.settings)
        self.pulse = Pulse(self.database)
        self.sessions = Sessions(self.database, self.clock)
        self.keys = Keys(self.database, self.clock)
        self.logins = Logins(self.database, self.clock)

    @property
    def database(self) -> Database:
        """The bot's database."""
        return self.app.database

    @property
    def session_cookie(self) -> str:
        """The name of the session's cookie; with https browsers hold it to this host alone."""
        return "__Host-session" if self.settings.secure else "session"

    @property
    def login_cookie(self) -> str:
        """The name of the cookie that ties a login under way to its browser."""
        return "__Host-login" if self.settings.secure else "login"

    def origins(self, request: Request) -> set[str]:
        """Return the origins of our own pages, as browsers name them."""
        settings = self.settings
        asked = f"{request.url.scheme}://{request.url.netloc}"
        if settings.public_url is None:
            return {asked}
        # Somebody on this machine may ask the port itself, as through an SSH tunnel.
        direct = {asked} if is_local(request.url.hostname or "") else set()
        return {settings.public_url, *direct}

    def base_url(self, request: Request) -> str:
        """Return the address that links for people begin with."""
        return self.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"


def web_state(request: Request) -> WebState:
    """Return the shared parts, for a route."""
    state: WebState = request.app.state.web
    return state


State = Annotated[WebState, Depends(web_state)]
