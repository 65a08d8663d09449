"""What every request passes: keys and scopes, changes from elsewhere, limits, hosts, headers, mistakes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.community.keys import Scope
from bot.db.engine import Database
from bot.db.schema import audit, jobs
from bot.web.access import Role
from bot.web.app import build_web
from bot.web.auth import requires
from bot.web.gate import CONTENT_POLICY, network_of
from bot.web.serve import WebError, _listen, serve_web
from bot.web.settings import WebSettings
from tests.web.site import Site, form_token, open_site, settings_for

OPEN = {
    "/login", "/login/discord", "/login/callback", "/login/link", "/logout", "/status", "/api/status/public",
    "/healthz", "/readyz", "/metrics", "/static/{mark}/{name}",
}  # fmt: skip
"""The only addresses that anybody may ask. /metrics has a lock of its own."""


PAGES = (
    "/", "/sessions", "/sessions/last", "/matches/x", "/rounds/1", "/sync", "/files", "/files/1", "/tasks", "/tasks/1",
    "/players", "/players/anna", "/leaderboard", "/compare", "/maps", "/maps/supply", "/records", "/weapons",
    "/weapons/mp40", "/sessions/last/picture.svg", "/sessions/last/attack-times.svg", "/matches/x/picture.png",
    "/rounds/1/picture.svg", "/players/anna/picture.svg", "/leaderboard/picture.svg", "/compare/picture.svg",
    "/maps/supply/picture.svg", "/weapons/picture.svg", "/search", "/api/docs", "/api/openapi.json", "/runs/1",
    "/destinations/x",
)  # fmt: skip


async def test_every_address_asks_for_a_scope_unless_it_is_meant_for_everybody(
    played: Database, tmp_path: Path
) -> None:
    web = {"anonymous_per_minute": 1000}
    async with open_site(played, tmp_path, web=web) as site, site.visitor() as visitor:
        document = build_web(site.app, clock=site.clock).openapi()
        paths = [(method, path) for path, found in document["paths"].items() for method in found]
        paths += [("get", path) for path in PAGES]
        paths += [("post", "/tasks"), ("post", "/tasks/1/cancel")]
        for method, path in paths:
            filled = re.sub(r"\{[^}]+\}", "1", path)
            answer = await visitor.request(method, filled)
            if path in OPEN:
                assert answer.status_code == 200, path
            elif filled.startswith("/api/") or method != "get":
                assert answer.status_code == 401, (method, path, answer.status_code)
            else:
                assert (answer.status_code, answer.headers.get("location", "")[:6]) == (303, "/login"), path


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((Scope.GAMES,), {"/api/sessions"}),
        ((Scope.SYNC,), {"/api/status", "/api/sync/files"}),
        ((Scope.ADMIN,), {"/api/sessions", "/api/status", "/api/sync/files", "/api/tasks"}),
    ],
)
async def test_a_key_opens_what_its_scopes_say(site: Site, scopes: tuple[Scope, ...], allowed: set[str]) -> None:
    async with await site.program(*scopes) as program:
        for path in ("/api/sessions", "/api/status", "/api/sync/files", "/api/tasks"):
            answer = await program.get(path)
            assert answer.status_code == (200 if path in allowed else 403), path
            if path not in allowed:
                assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_key_is_no_visitor(played: Database, tmp_path: Path) -> None:
    async with open_site(played, tmp_path, web={"public_games": True}) as site, site.visitor() as visitor:
        assert (await visitor.get("/api/sessions")).status_code == 200
        answer = await visitor.get("/api/sessions", headers={"Authorization": "Bearer etl_forged"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert (await visitor.get("/api/status")).status_code == 401


# ---------------------------------------------------------------------- changes


async def test_a_change_needs_our_own_page_and_its_token(site: Site) -> None:
    browser = await site.browser()
    async with browser:
        token = form_token((await browser.get("/")).text)
        form = {"kind": "retry", "csrf": token}
        for headers, data in (
            ({"Origin": "https://evil.example"}, form),
            ({"Origin": "null"}, form),
            ({"Origin": ""}, form),
            ({"Origin": site.address}, {"kind": "retry"}),
            ({"Origin": site.address}, {"kind": "retry", "csrf": "0" * 64}),
        ):
            answer = await browser.post("/tasks", data=data, headers=headers)
            assert answer.status_code == 403, headers
        for headers in ({}, {"X-CSRF-Token": "0" * 64}):
            assert (await browser.post("/api/admin/retry", json={}, headers=headers)).status_code == 403
        async with site.app.database.read() as connection:
            assert (await connection.execute(select(jobs))).all() == []
        assert (await browser.post("/tasks", data=form)).status_code == 303
        right = {"X-CSRF-Token": token}
        assert (await browser.post("/api/admin/retry", json={}, headers=right)).status_code == 202


async def test_another_session_s_token_is_none(site: Site) -> None:
    one, two = await site.browser(), await site.browser(user_key="discord:2")
    async with one, two:
        stolen = form_token((await one.get("/")).text)
        assert (await two.post("/tasks", data={"kind": "retry", "csrf": stolen})).status_code == 403


async def test_a_viewer_sees_and_starts_nothing(site: Site) -> None:
    viewer = await site.browser(Role.VIEWER)
    async with viewer:
        page = (await viewer.get("/sync")).text
        assert "Do it now" not in page
        answer = await viewer.submit("/tasks", "/sync", kind="retry")
        assert answer.status_code == 403
        token = form_token(page)
        answer = await viewer.post("/api/admin/poll", headers={"X-CSRF-Token": token})
        assert answer.status_code == 403
        assert (await viewer.get("/tasks")).status_code == 403
    async with site.app.database.read() as connection:
        assert (await connection.execute(select(jobs))).all() == []


async def test_what_an_admin_starts_is_in_the_audit(site: Site) -> None:
    browser = await site.browser()
    async with browser:
        answer = await browser.submit("/tasks", kind="retry")
        assert answer.status_code == 303
    async with site.app.database.read() as connection:
        acts = (await connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.id))).all()
    assert ("web:discord:1", "job.retry") in [tuple(act) for act in acts]


# ---------------------------------------------------------------------- limits


async def test_sixty_a_minute_for_everybody_and_three_hundred_with_a_key(site: Site) -> None:
    async with site.visitor() as visitor:
        answers = [await visitor.get("/api/status/public") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    async with await site.program(Scope.GAMES) as program:
        known = [await program.get("/api/metrics") for _ in range(80)]
    assert {answer.status_code for answer in known} == {200}, "a key counts for itself"


async def test_a_key_has_its_limit_too(played: Database, tmp_path: Path) -> None:
    async with (
        open_site(played, tmp_path, web={"known_per_minute": 5}) as site,
        await site.program(Scope.GAMES) as program,
    ):
        answers = [(await program.get("/api/metrics")).status_code for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2


async def test_who_guesses_keys_is_not_looked_up_any_more(site: Site) -> None:
    async with site.visitor() as visitor:
        forged = {"Authorization": "Bearer etl_forged"}
        for _ in range(60):
            await visitor.get("/api/sessions", headers=forged)
        before = site.app.database.statements
        answer = await visitor.get("/api/sessions", headers=forged)
    assert answer.status_code == 429
    assert site.app.database.statements == before


async def test_people_behind_our_proxy_are_counted_each_for_himself(played: Database, tmp_path: Path) -> None:
    web = {"public_url": "https://stats.example.org", "anonymous_per_minute": 3}
    async with open_site(played, tmp_path, web=web) as site, site.visitor() as visitor:
        for address in ("203.0.113.1", "203.0.113.2"):
            told = {"X-Forwarded-For": address}
            answers = [(await visitor.get("/api/status/public", headers=told)).status_code for _ in range(4)]
            assert answers == [200, 200, 200, 429]
        # What somebody writes in front of what the proxy added helps him nothing.
        forged = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1"}
        assert (await visitor.get("/api/status/public", headers=forged)).status_code == 429


async def test_without_a_proxy_nobody_takes_another_s_address(played: Database, tmp_path: Path) -> None:
    async with open_site(played, tmp_path, web={"anonymous_per_minute": 2}) as site, site.visitor() as visitor:
        answers = [
            (await visitor.get("/api/status/public", headers={"X-Forwarded-For": f"203.0.113.{n}"})).status_code
            for n in range(3)
        ]
    assert answers == [200, 200, 429]


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("not an address", "not an address")],
)
def test_everybody_has_a_whole_network_of_addresses_with_ipv6(address: str, counted_as: str) -> None:
    assert network_of(address) == counted_as


async def test_a_large_body_is_refused_before_it_is_read(site: Site) -> None:
    async with await site.program(Scope.ADMIN) as program:
        answer = await program.post(
            "/api/admin/retry", content=b"x" * 70_000, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 413
    async with site.visitor() as visitor:
        assert (await visitor.post("/login/link", data={"token": "x" * 70_000})).status_code == 413


# ---------------------------------------------------------------------- hosts and headers


async def test_only_our_own_host_names_are_answered(site: Site) -> None:
    async with site.visitor() as visitor:
        for host, status in (("evil.example", 400), ("127.0.0.1.evil.example", 400), ("localhost:1", 200)):
            assert (await visitor.get("/healthz", headers={"Host": host})).status_code == status, host


@pytest.mark.parametrize("path", ["/login", "/status", "/healthz", "/api/status/public", "/api/nothing", "/nothing"])
async def test_every_answer_forbids_frames_sniffing_and_foreign_scripts(site: Site, path: str) -> None:
    async with site.visitor() as visitor:
        headers = (await visitor.get(path)).headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_the_policy_allows_nothing_inline_and_no_frame() -> None:
    assert "unsafe" not in CONTENT_POLICY
    assert "frame-ancestors 'none'" in CONTENT_POLICY
    assert "default-src 'none'" in CONTENT_POLICY
    assert "*" not in CONTENT_POLICY


async def test_a_mistake_of_ours_tells_a_number_and_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("canary-of-the-inside")

    monkeypatch.setattr("bot.web.api_games.listings.list_sessions", broken)
    async with await site.program(Scope.GAMES) as program:
        answer = await program.get("/api/sessions")
    assert answer.status_code == 500
    assert "canary" not in answer.text
    incident = re.search(r"its log has it as ([0-9a-f]{8})", answer.json()["detail"])
    assert incident is not None
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    logged = capsys.readouterr()
    assert incident[1] in logged.out + logged.err


# ---------------------------------------------------------------------- serving


async def test_a_port_that_is_taken_is_named_with_the_way_out(site: Site) -> None:
    with pytest.raises(WebError, match=rf"127\.0\.0\.1:{site.port}: .*set WEB_PORT to a free port, or to 0"):
        async with serve_web(site.app, port=site.port, web=build_web(site.app)):
            pass


def test_small_answers_are_sent_at_once() -> None:
    # asyncio turns the delay off only where the socket names its protocol; every answer took 40 ms more.
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


async def test_streams_end_when_the_server_is_told_to_stop(played: Database, tmp_path: Path) -> None:
    async with open_site(played, tmp_path) as site:
        program = await site.program(Scope.GAMES)
        began = asyncio.Event()

        async def listen() -> int:
            async with program, program.stream("GET", "/api/events") as answer:
                lines = 0
                async for _ in answer.aiter_lines():
                    lines += 1
                    began.set()
                return lines

        listening = asyncio.create_task(listen())
        await asyncio.wait_for(began.wait(), 10)
        assert site.state.pulse.streams == 1
    assert await asyncio.wait_for(listening, 10) > 0
    assert site.state.pulse.streams == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"host": "0.0.0.0"}, "set public_url"),
        ({"public_url": "http://stats.example.org"}, "has to be https"),
        ({"public_url": "https://stats.example.org/path"}, "no path"),
        ({"discord_client_id": "1"}, "together"),
        ({"discord_client_id": "1", "discord_client_secret_env": "X", "discord_guild": "1"}, "lets nobody in"),
        ({"viewer_roles": ["@everyone"]}, "ids of roles"),
        ({"prot": 1}, "PROT"),
    ],
)
def test_settings_that_would_leave_a_door_open_are_refused(
    values: dict[str, Any], message: str, database: Database, tmp_path: Path
) -> None:
    from bot.config import ConfigError

    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    settings = settings_for(database, tmp_path, f"[web]\n{lines}")
    with pytest.raises(ConfigError, match=message):
        settings.table("web", WebSettings)


def test_requiring_a_scope_can_be_seen_from_outside() -> None:
    assert requires(Scope.SYNC).scope is Scope.SYNC  # type: ignore[attr-defined]
