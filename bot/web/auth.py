"""Logging in and out, and what a route asks of whoever calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.responses import RedirectResponse, Response

from bot.community.keys import Scope
from bot.community.tokens import new_token, same
from bot.web.access import Identity, LoginError, Role
from bot.web.gate import CHALLENGE, SAFE
from bot.web.pages import page
from bot.web.privacy import note_hidden
from bot.web.problems import ProblemError
from bot.web.state import State, WebState, web_state

router = APIRouter(include_in_schema=False)

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="an API key: `python -m bot web key add`")
_cookie = APIKeyCookie(name="session", auto_error=False, scheme_name="session", description="a browser's login")

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"


def identity_of(request: Request) -> Identity:
    """Return who asks, as the gate found out."""
    identity: Identity = request.state.identity
    return identity


def requires(scope: Scope) -> Callable[..., Awaitable[Identity]]:
    """Return what a route depends on that only some may call; a browser's changes need its form token as well."""

    async def check(
        request: Request, _key: Annotated[Any, Security(_bearer)], _session: Annotated[Any, Security(_cookie)]
    ) -> Identity:
        identity = identity_of(request)
        if not identity.may(scope):
            if not identity.known:
                raise ProblemError(401, "log in, or send an API key", headers=CHALLENGE)
            raise ProblemError(403, f"this takes the scope {scope.value!r}, which {identity.name!r} does not have")
        await require_form_token(request, identity)
        if scope is Scope.GAMES:
            await note_hidden(request, web_state(request))
        return identity

    check.scope = scope  # type: ignore[attr-defined]
    return check


async def require_form_token(request: Request, identity: Identity) -> None:
    """Refuse a browser's change that does not bring the token of this session's own pages.

    Raises:
        ProblemError: it does not.
    """
    if request.method in SAFE or identity.token is None:
        return
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        sent = str((await request.form()).get(CSRF_FIELD, ""))
    if not same(sent or "", identity.csrf):
        raise ProblemError(403, "the form's token is missing or old; load the page again")


Games = Annotated[Identity, Depends(requires(Scope.GAMES))]
Sync = Annotated[Identity, Depends(requires(Scope.SYNC))]
Admin = Annotated[Identity, Depends(requires(Scope.ADMIN))]


# ---------------------------------------------------------------------- where to


def safe_path(wanted: str | None) -> str:
    """Return a path of our own to go to after logging in; the front page for anything else."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\", "/login", "/logout")):
        return "/"
    parts = urlsplit(wanted)
    clean = wanted.isprintable() and "\\" not in wanted and not parts.scheme and not parts.netloc
    return wanted if clean else "/"


def login_path(request: Request) -> str:
    """Return the login page's address, which leads back to what was asked for."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if here == "/" else f"/login?next={quote(here, safe='')}"


# ---------------------------------------------------------------------- logging in


@router.get("/login")
async def login(request: Request, state: State, next: Annotated[str | None, Query(max_length=500)] = None) -> Response:
    """Show the ways to log in."""
    if identity_of(request).known:
        return RedirectResponse(safe_path(next), 303)
    return page(request, "login.html", title="Log in", next_path=safe_path(next), discord=state.login is not None)


@router.get("/login/discord")
async def login_discord(
    request: Request, state: State, next: Annotated[str | None, Query(max_length=500)] = None
) -> Response:
    """Send the browser to Discord."""
    if state.login is None:
        raise ProblemError(404, "logging in with Discord is not set up here")
    browser, verifier = new_token(), state.login.new_verifier()
    oauth_state = await state.logins.begin_oauth(browser, verifier, safe_path(next))
    response = RedirectResponse(await state.login.address(_callback(request, state), oauth_state, verifier), 303)
    _set_cookie(response, state, state.login_cookie, browser, seconds=600)
    return response


@router.get("/login/callback")
async def login_callback(
    request: Request,
    state: State,
    code: Annotated[str, Query(max_length=500)] = "",
    oauth_state: Annotated[str, Query(alias="state", max_length=500)] = "",
    error: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Take the browser back from Discord."""
    if state.login is None:
        raise ProblemError(404, "logging in with Discord is not set up here")
    browser = request.cookies.get(state.login_cookie, "")
    began = await state.logins.take_oauth(oauth_state, browser)
    if began is None:
        raise ProblemError(403, "this login was not begun in this browser, or too long ago; begin again")
    if error or not code:
        raise ProblemError(403, "Discord was told not to let us know who you are; nothing was kept")
    try:
        person = await state.login.person(_callback(request, state), code, began.verifier)
    except LoginError as problem:
        raise ProblemError(503, str(problem)) from problem
    if person.role is None:
        raise ProblemError(403, f"{person.name}, your roles on the Discord server do not let you in; ask an admin")
    response = await _let_in(request, state, f"discord:{person.id}", person.name, person.role, began.next_path)
    response.delete_cookie(state.login_cookie, path="/", secure=state.settings.secure, httponly=True, samesite="lax")
    return response


@router.get("/login/link")
async def login_link(request: Request, token: Annotated[str, Query(max_length=200)]) -> Response:
    """Ask before a one-time link is used: programs that look at links must not use it up."""
    return page(request, "login_link.html", title="Log in", token=token, headers={"Cache-Control": "no-store"})


@router.post("/login/link")
async def use_login_link(request: Request, state: State, token: Annotated[str, Form(max_length=200)]) -> Response:
    """Use a one-time link up and log in."""
    made_by = await state.logins.take_link(token)
    if made_by is None:
        raise ProblemError(
            403, "this link was used already, or is older than ten minutes; make another: python -m bot web login-link"
        )
    return await _let_in(request, state, f"link:{made_by}", "admin", Role.ADMIN, "/")


async def _let_in(request: Request, state: WebState, user_key: str, name: str, role: Role, path: str) -> Response:
    """Begin a session with an id of its own, whatever the browser brought along."""
    old = identity_of(request).token
    if old is not None:
        await state.sessions.end(old)
    token = await state.sessions.begin(user_key, name, role)
    response = RedirectResponse(path, 303)
    _set_cookie(response, state, state.session_cookie, token)
    return response


def _set_cookie(response: Response, state: WebState, name: str, value: str, *, seconds: int | None = None) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=state.settings.secure, httponly=True, samesite="lax"
    )


def _callback(request: Request, state: WebState) -> str:
    return f"{state.base_url(request)}/login/callback"


# ---------------------------------------------------------------------- logging out


@router.post("/logout")
async def logout(
    request: Request, state: State, everywhere: Annotated[str | None, Form(max_length=10)] = None
) -> Response:
    """Log this browser out, or every browser of this person."""
    identity = identity_of(request)
    if identity.token is not None:
        await require_form_token(request, identity)
        if everywhere:
            await state.sessions.end_all(identity.actor)
        await state.sessions.end(identity.token)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(state.session_cookie, path="/", secure=state.settings.secure, httponly=True, samesite="lax")
    return response
