"""What every request passes: headers that browsers keep to, who asks, how often, and from where a change comes."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Collection, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bot.web.access import Identity, nobody, program_of
from bot.web.problems import TITLES, problem_response, wants_page

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bot.web.state import WebState

log = structlog.get_logger()

SAFE = ("GET", "HEAD", "OPTIONS")

UNCOUNTED = ("/static/", "/healthz", "/readyz")
"""Paths that cost next to nothing, and that probes and browsers ask for often."""

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Boundary:
    """Outermost: no error gets out as it is.

    What a mistake says goes to the log, which hides secrets; the person who met it gets a number to find it by.
    """

    def __init__(self, app: ASGIApp, state: WebState) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(message, scope)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception:
            incident = secrets.token_hex(4)
            log.exception("web request failed", incident=incident, method=scope["method"], path=scope["path"])
            if started:
                raise
            text = f"this is a mistake of the program; its log has it as {incident}"
            await _refusal(Request(scope), 500, text)(scope, receive, sending)

    def _add_headers(self, message: MutableMapping[str, Any], scope: Scope) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self.state.settings.secure:
            headers["strict-transport-security"] = "max-age=31536000"
        if not scope["path"].startswith("/static/"):
            headers.setdefault("cache-control", "no-store" if scope["method"] not in SAFE else "private, no-cache")


class Gate:
    """Inside: finds out who asks, counts it, and refuses changes that another site's page sent."""

    def __init__(self, app: ASGIApp, state: WebState) -> None:
        self.app = app
        self.state = state
        self.counter = Counter(state.settings.anonymous_per_minute, state.settings.known_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        address = request.client.host if request.client else ""
        identity, refused = nobody(public_games=self.state.settings.public_games), False
        # Who tries one key after the other is not even looked up any more.
        if not self.counter.guesses(address):
            identity, refused = await self._identify(request, identity)
            if refused:
                self.counter.guessed(address)
        scope.setdefault("state", {})["identity"] = identity
        response: Response | None = None
        if not scope["path"].startswith(UNCOUNTED):
            wait = self.counter.take(identity, address)
            if wait is not None:
                text = f"more than {self.counter.limit(identity)} requests in a minute; go on in {wait} s"
                response = _refusal(request, 429, text, headers={"Retry-After": str(wait)})
        if response is None and refused:
            response = _refusal(
                request, 401, "this key opens nothing: it is mistyped, revoked or over", headers=CHALLENGE
            )
        if response is None and not self._comes_from_us(request, identity):
            response = _refusal(request, 403, "this change was sent by another site's page; send it from ours")
        await (response or self.app)(scope, receive, send)

    async def _identify(self, request: Request, anonymous: Identity) -> tuple[Identity, bool]:
        """Return who asks, and whether they showed a key that is none."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if request.url.path == "/metrics":
                return anonymous, False  # has a token of its own
            found = await self.state.keys.find(credential.strip())
            return (anonymous if found is None else program_of(found)), found is None
        token = request.cookies.get(self.state.session_cookie)
        if token:
            return await self.state.sessions.find(token) or anonymous, False
        return anonymous, False

    def _comes_from_us(self, request: Request, identity: Identity) -> bool:
        if request.method in SAFE or (identity.known and identity.token is None):
            return True  # a key is sent by no browser of its own accord
        if not identity.known and request.url.path.startswith("/api/"):
            return True  # is refused for another reason, which is the one to name
        return is_own_origin(request.headers, self.state.origins(request))


CHALLENGE = {"WWW-Authenticate": "Bearer"}


def is_own_origin(headers: Headers, own: Collection[str]) -> bool:
    """Tell whether a browser says that a request comes from a page of ours."""
    origin = headers.get("origin")
    if origin is None:
        parts = urlsplit(headers.get("referer", ""))
        origin = f"{parts.scheme}://{parts.netloc}"
    return origin in own


class Counter:
    """Counts requests of the last minute: by key or login, and by address for everybody else. Lives in memory."""

    def __init__(self, anonymous: int, known: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._anonymous = RateLimitItemPerMinute(anonymous)
        self._known = RateLimitItemPerMinute(known)

    def limit(self, identity: Identity) -> int:
        """Return how many requests a minute somebody has."""
        return (self._known if identity.known else self._anonymous).amount

    def take(self, identity: Identity, address: str) -> int | None:
        """Count a request; return None where it may pass, else the seconds until the next may."""
        item = self._known if identity.known else self._anonymous
        key = identity.actor if identity.known else network_of(address)
        if self._limiter.hit(item, key):
            return None
        return max(1, round(self._limiter.get_window_stats(item, key).reset_time - time.time()))

    def guessed(self, address: str) -> None:
        """Note a key that opens nothing."""
        self._limiter.hit(self._anonymous, "guess", network_of(address))

    def guesses(self, address: str) -> bool:
        """Tell whether too many such keys came from an address within a minute."""
        return not self._limiter.test(self._anonymous, "guess", network_of(address))


def network_of(address: str) -> str:
    """Return what counts as one address: with IPv6 everybody has a /64 of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _refusal(request: Request, status: int, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    if not wants_page(request):
        return problem_response(status, detail, headers=headers)
    text = f"{TITLES[status]}: {detail}\n"
    return Response(text, status, headers=headers, media_type="text/plain; charset=utf-8")
