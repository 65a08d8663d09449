"""The REST API: which world a request belongs to, what it may do, and what is answered."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from tests.standins.discord.errors import ApiError
from tests.standins.discord.faults import DropConnection, RateLimited
from tests.standins.discord.model import Json, Upload
from tests.standins.discord.record import Call
from tests.standins.discord.schema import Schema
from tests.standins.discord.world import World

__all__ = ["Answer", "Request", "Rest", "route"]

PREFIX = "/api/v10"
MAX_REQUEST = 100 * 1024 * 1024

_MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_id", "interaction_token")
_USER_AGENT = re.compile(r"^DiscordBot \(\S+[, ]\s*\S+\)")
"""The documented form is `DiscordBot ($url, $versionNumber)`; discord.py leaves out the comma, and Discord lets it."""


@dataclass(slots=True)
class Request:
    """One request of the bot.

    Attributes:
        template: of the route.
        params: what stood in the template's places.
        body: the JSON; an empty object for none.
        files: by the number in `files[n]`.
    """

    world: World
    method: str
    path: str
    template: str
    params: dict[str, str]
    query: dict[str, str]
    body: Any = field(default_factory=dict)
    files: dict[int, Upload] = field(default_factory=dict)

    def id(self, name: str) -> int:
        """Return an id out of the path.

        Raises:
            ApiError: 50035, it is no id.
        """
        value = self.params[name]
        if not value.isdigit():
            problem = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{value}" is not snowflake.'}
            raise ApiError(400, 50035, errors={name: {"_errors": [problem]}})
        return int(value)


Payload = Json | list[Json] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status other than 200 and 204, or a payload with one."""

    status: int
    payload: Payload = None


Handler = Callable[[Request], "Payload | Answer"]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    by_token_in_path: bool


_ROUTES: list[_Route] = []


def route(method: str, template: str, *, by_token_in_path: bool = False) -> Callable[[Handler], Handler]:
    """Make a function answer a route.

    Args:
        method: GET and so on.
        template: below `/api/v10`, with `{names}`.
        by_token_in_path: the path holds an interaction's token, so that no Authorization header is needed.
    """
    pattern = re.compile(
        "^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")) + "$"
    )

    def register(handler: Handler) -> Handler:
        _ROUTES.append(_Route(method, template, pattern, handler, by_token_in_path))
        return handler

    return register


class Rest:
    """Answers requests to `discord.com`.

    Args:
        worlds: by bot token.
        schema: Discord's own description of its API, where it is there.
    """

    def __init__(self, worlds: dict[str, World], schema: Schema | None) -> None:
        from tests.standins.discord import routes_commands, routes_guilds, routes_interactions, routes_messages

        # Naming the modules is what registers their routes.
        assert all((routes_commands, routes_guilds, routes_interactions, routes_messages))
        # What is spelled out goes before what is a place for anything: `/messages/pins` is no message's id.
        self._routes = sorted(_ROUTES, key=lambda known: known.template.count("{"))
        self._worlds = worlds
        self._schema = schema

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Method and template of every route that is known."""
        return [(known.method, known.template) for known in self._routes]

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = http.path.removeprefix(PREFIX)
        found, params = self._match(http.method, path)
        template = found.template if found else path
        name = f"{http.method} {template}"
        major = "/".join(params[key] for key in _MAJOR if key in params)
        try:
            world = self._world(http, found, params)
        except ApiError as error:
            self._note_everywhere(http, path, template, error)
            return _respond(error.status, error.payload(), {})
        request = Request(world, http.method, path, template, params, dict(http.query))
        call = Call(http.method, path, template, request.query, 200)
        headers = world.faults.headers(name, major)
        try:
            body = await self._read(http, request)
            call = replace(call, body=body, files=request.files)
            status = world.faults.inject(name)
            if status is not None:
                self._note(world, replace(call, status=status, injected=True))
                return web.Response(status=status, text="upstream connect error", headers=headers)
            by_token = found is not None and found.by_token_in_path
            world.faults.count(name, major, counts_globally=not by_token)
            headers = world.faults.headers(name, major)
            answer = self._answer(http, request, found)
            if world.faults.loses_answer(name):
                raise DropConnection
        except DropConnection:
            self._note(world, replace(call, status=0, injected=True))
            if http.transport is not None:
                http.transport.abort()
            return web.Response(status=500)
        except RateLimited as limited:
            call = replace(call, status=429, message=limited.scope, injected=limited.injected)
            self._note(world, call)
            return _rate_limited(limited, headers)
        except ApiError as error:
            self._note(
                world,
                replace(call, status=error.status, code=error.code, message=error.message, errors=error.errors),
            )
            return _respond(error.status, error.payload(), headers)
        except Exception:
            # 400 rather than 500, which discord.py would try again for half a minute.
            world.fault("stand-in", f"{call.method} {path} broke the stand-in:\n{traceback.format_exc()}")
            self._note(world, replace(call, status=400, message="the stand-in broke"))
            return _respond(400, {"message": "the stand-in broke", "code": 0}, headers)
        if self._schema is not None:
            wrong = self._schema.judge_answer(http.method, template, answer.status, answer.payload)
            if wrong:
                world.fault("stand-in", f"the stand-in's own answer to {name} is not Discord's: {wrong}")
        self._note(world, replace(call, status=answer.status))
        return _respond(answer.status, answer.payload, headers)

    def _match(self, method: str, path: str) -> tuple[_Route | None, dict[str, str]]:
        for candidate in self._routes:
            matched = candidate.pattern.match(path)
            if matched and candidate.method == method:
                return candidate, matched.groupdict()
        return None, {}

    def _world(self, http: web.Request, found: _Route | None, params: dict[str, str]) -> World:
        if found is not None and found.by_token_in_path:
            token = params.get("interaction_token") or params.get("webhook_token")
            for world in self._worlds.values():
                if any(interaction.token == token for interaction in world.interactions.values()):
                    return world
            raise ApiError(404, 10062 if "interaction_token" in params else 10015)
        kind, _, token = http.headers.get("Authorization", "").partition(" ")
        if kind != "Bot" or token not in self._worlds:
            raise ApiError(401, 0)
        return self._worlds[token]

    def _note(self, world: World, call: Call) -> None:
        world.record.calls.append(call)
        world.changed()

    def _note_everywhere(self, http: web.Request, path: str, template: str, error: ApiError) -> None:
        """Note an error that no world can be found for in all of them: one of them is the test's."""
        call = Call(http.method, path, template, dict(http.query), error.status, error.code, message=error.message)
        for world in self._worlds.values():
            self._note(world, call)

    async def _read(self, http: web.Request, request: Request) -> Payload:
        raw: str | None = None
        if http.content_type.startswith("multipart/"):
            for name, filename, type_, data in _parts(http.headers["Content-Type"], await http.read()):
                number = re.fullmatch(r"files\[(\d+)\]", name)
                if name == "payload_json":
                    raw = data.decode()
                elif number:
                    request.files[int(number[1])] = Upload(filename or "file", data, type_)
        else:
            raw = await http.text()
        if not raw:
            return None
        try:
            request.body = json.loads(raw)
        except ValueError:
            raise ApiError(400, 50109) from None
        body: Payload = request.body
        return body

    def _answer(self, http: web.Request, request: Request, found: _Route | None) -> Answer:
        if found is None:
            request.world.fault("unknown route", f"the stand-in does not know {request.method} {request.path}")
            raise ApiError(404, 0)
        if not found.by_token_in_path and not _USER_AGENT.match(http.headers.get("User-Agent", "")):
            raise ApiError(400, 40333)
        # Asked after the rules typed by hand, which know the names of the errors, but before anything is changed.
        request.world.accept = lambda: self._check_schema(request)
        try:
            result = found.handler(request)
        finally:
            request.world.accept = lambda: None
        if isinstance(result, Answer):
            return result
        return Answer(204 if result is None else 200, result)

    def _check_schema(self, request: Request) -> None:
        if self._schema is None:
            return
        wrong = self._schema.judge_request(request.method, request.template, request.body)
        if wrong:
            raise ApiError(400, 50035, errors={"_errors": [{"code": "SCHEMA", "message": wrong}]})


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, str, str, bytes]]:
    """Return name, file name, content type and bytes of each part of a form.

    By hand: aiohttp's reader calls what aiohttp deprecates where a part ends on a border of its chunks.
    """
    boundary = re.search(r'boundary="?([^";,]+)', content_type)
    if boundary is None:
        raise ApiError(400, 50109)
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = {
            key.strip().lower(): value.strip()
            for key, _, value in (line.partition(":") for line in head.decode().split("\r\n"))
        }
        said = dict(re.findall(r'(name|filename)="([^"]*)"', fields.get("content-disposition", "")))
        type_ = fields.get("content-type", "application/octet-stream")
        yield said.get("name", ""), said.get("filename", ""), type_, data.removesuffix(b"\r\n")


def _respond(status: int, payload: Payload, headers: dict[str, str]) -> web.Response:
    if payload is None:
        return web.Response(status=status, headers=headers)
    # Exactly this type: with a charset discord.py takes the body for text.
    headers = {**headers, "Content-Type": "application/json"}
    return web.Response(status=status, body=json.dumps(payload).encode(), headers=headers)


def _rate_limited(limited: RateLimited, headers: dict[str, str]) -> web.Response:
    everywhere = limited.scope == "global"
    body = {"message": "You are being rate limited.", "retry_after": limited.retry_after, "global": everywhere}
    headers = {
        **headers,
        "Retry-After": str(max(1, round(limited.retry_after))),
        "Via": "1.1 google",
        "X-RateLimit-Scope": limited.scope,
    }
    if everywhere:
        headers["X-RateLimit-Global"] = "true"
    return _respond(429, body, headers)
