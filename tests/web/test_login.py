"""Logging in with Discord and with a link, logging out, and every way in that is none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from bot.community.tokens import hash_of
from bot.db.engine import Database
from bot.db.schema import audit, web_logins, web_sessions
from bot.web.access import LINK_SECONDS, SESSION_SECONDS, Role
from tests.standins.discord_login import CLIENT_ID, CLIENT_SECRET, GUILD, DiscordLoginServer, discord_login_server
from tests.web.site import Site, form_token, open_site

WEB = {
    "discord_client_id": CLIENT_ID,
    "discord_client_secret_env": "DISCORD_SECRET_OF_THE_TEST",
    "discord_guild": GUILD,
    "viewer_roles": ["11"],
    "admin_roles": ["22"],
}


@pytest.fixture
async def discord() -> AsyncIterator[DiscordLoginServer]:
    async with discord_login_server() as server:
        yield server


@pytest.fixture
async def site(
    played: Database, tmp_path: Path, discord: DiscordLoginServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setenv("DISCORD_SECRET_OF_THE_TEST", CLIENT_SECRET)
    async with open_site(played, tmp_path, web=WEB, discord=discord.url) as made:
        discord.redirect = f"{made.address}/login/callback"
        yield made


async def log_in(site: Site, path: str = "/login/discord") -> tuple[int, str, str | None]:
    """Walk through Discord's login; return the last answer's status, its path, and the session's token."""
    async with site.visitor(follow_redirects=True) as browser:
        answer = await browser.get(path)
        return answer.status_code, answer.url.path, browser.cookies.get("session")


async def test_an_admin_role_makes_an_admin_and_a_viewer_role_a_viewer(site: Site, discord: DiscordLoginServer) -> None:
    for roles, role in ((["22", "11"], Role.ADMIN), (["11"], Role.VIEWER)):
        discord.roles = roles
        status, path, token = await log_in(site, "/login/discord?next=/leaderboard?metric=kills")
        assert (status, path) == (200, "/leaderboard")
        assert token is not None
        identity = await site.state.sessions.find(token)
        assert identity is not None
        assert identity.actor == "web:discord:77"
        assert identity.name == "Ann"
        assert identity.is_admin == (role is Role.ADMIN)
    async with site.app.database.read() as connection:
        kept = (await connection.execute(select(web_sessions))).all()
        acts = (await connection.scalars(select(audit.c.action))).all()
    assert token is not None
    assert token not in str(kept), "the cookie itself stands in the database"
    assert acts.count("web.login") == 2


@pytest.mark.parametrize("roles", [[], ["33"], None])
async def test_without_such_a_role_nobody_gets_in(
    site: Site, discord: DiscordLoginServer, roles: list[str] | None
) -> None:
    discord.roles = roles
    status, _, token = await log_in(site)
    assert status == 403
    assert token is None


async def test_the_state_is_asked_for_once_and_from_the_browser_that_began(
    site: Site, discord: DiscordLoginServer
) -> None:
    discord.roles = ["11"]
    async with site.visitor() as browser, site.visitor() as other:
        to_discord = (await browser.get("/login/discord")).headers["location"]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(to_discord).query).items()}
        assert asked["code_challenge_method"] == "S256"
        back = (await browser.get(to_discord)).headers["location"]
        # Another browser that is made to open the answer (login CSRF) gets nothing, and uses the state up.
        assert (await other.get(back)).status_code == 403
        assert (await browser.get(back)).status_code == 403

        to_discord = (await browser.get("/login/discord")).headers["location"]
        back = (await browser.get(to_discord)).headers["location"]
        forged = re.sub(r"state=[^&]+", "state=forged", back)
        omitted = re.sub(r"&?state=[^&]+", "", back)
        for wrong in (forged, omitted):
            assert (await browser.get(wrong)).status_code == 403
        right = await browser.get(back)
        assert right.status_code == 303
        assert (await browser.get(back)).status_code == 403, "the same state twice"


async def test_a_state_that_is_too_old_is_none(site: Site, discord: DiscordLoginServer) -> None:
    discord.roles = ["11"]
    async with site.visitor() as browser:
        to_discord = (await browser.get("/login/discord")).headers["location"]
        back = (await browser.get(to_discord)).headers["location"]
        site.clock.now += 601
        assert (await browser.get(back)).status_code == 403


async def test_a_person_who_says_no_and_a_discord_that_is_down_are_told_apart(
    site: Site, discord: DiscordLoginServer
) -> None:
    discord.roles = ["11"]
    async with site.visitor() as browser:
        to_discord = (await browser.get("/login/discord")).headers["location"]
        state = parse_qs(urlsplit(to_discord).query)["state"][0]
        answer = await browser.get(f"/login/callback?error=access_denied&state={state}")
        assert answer.status_code == 403
        assert "nothing was kept" in answer.text
        discord.broken = True
        back = (await browser.get((await browser.get("/login/discord")).headers["location"])).headers["location"]
        answer = await browser.get(back)
        assert answer.status_code == 503
        assert CLIENT_SECRET not in answer.text


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x"],
)
async def test_nobody_is_led_away_after_logging_in(site: Site, discord: DiscordLoginServer, wanted: str) -> None:
    discord.roles = ["11"]
    async with site.visitor() as browser:
        began = await browser.get("/login/discord", params={"next": wanted})
        back = (await browser.get(began.headers["location"])).headers["location"]
        assert (await browser.get(back)).headers["location"] == "/"


async def test_logging_in_gives_a_new_id_and_takes_none_from_outside(site: Site, discord: DiscordLoginServer) -> None:
    discord.roles = ["11"]
    async with site.visitor() as browser:

        async def again(token: str) -> str:
            """Log in with a cookie of before; return the new one."""
            browser.cookies.set("session", token)
            back = (await browser.get((await browser.get("/login/discord")).headers["location"])).headers["location"]
            given = re.search(r"session=([\w-]+)", (await browser.get(back)).headers["set-cookie"])
            assert given is not None
            browser.cookies.clear()
            return given[1]

        planted = "chosen-by-an-attacker"
        first = await again(planted)
        assert first != planted
        assert await site.state.sessions.find(planted) is None
        assert await site.state.sessions.find(first) is not None
        second = await again(first)
        assert await site.state.sessions.find(first) is None, "the id of before still opens"
        assert await site.state.sessions.find(second) is not None


async def test_the_cookie_is_kept_from_scripts_and_other_sites(site: Site) -> None:
    token = await site.state.logins.make_link("cli:test")
    async with site.visitor() as browser:
        answer = await browser.post("/login/link", data={"token": token})
    assert re.search(r"^session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax$", answer.headers["set-cookie"])


async def test_with_https_cookies_are_secure_and_bound_to_the_host(played: Database, tmp_path: Path) -> None:
    web = {"public_url": "https://stats.example.org"}
    async with open_site(played, tmp_path, web=web) as site, site.visitor() as browser:
        token = await site.state.logins.make_link("cli:test")
        host = {"Host": "stats.example.org", "Origin": "https://stats.example.org"}
        answer = await browser.post("/login/link", data={"token": token}, headers=host)
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-session=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]


async def test_a_link_is_looked_at_without_being_used_up_and_opens_once(site: Site) -> None:
    token = await site.state.logins.make_link("cli:test")
    async with site.visitor() as browser:
        for _ in range(2):
            shown = await browser.get(f"/login/link?token={token}")
            assert shown.status_code == 200
            assert shown.headers["cache-control"] == "no-store"
        assert (await browser.post("/login/link", data={"token": token})).status_code == 303
        assert (await browser.get("/sync")).status_code == 200
    async with site.visitor() as other:
        assert (await other.post("/login/link", data={"token": token})).status_code == 403
    async with site.app.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(web_logins))).scalar_one() == 0


async def test_a_link_opens_for_ten_minutes(site: Site) -> None:
    token = await site.state.logins.make_link("cli:test")
    site.clock.now += LINK_SECONDS
    async with site.visitor() as browser:
        assert (await browser.post("/login/link", data={"token": token})).status_code == 403


async def test_logging_out_ends_this_browser_and_everywhere_all_of_them(site: Site) -> None:
    one, two, three = [await site.browser() for _ in range(3)]
    async with one, two, three:
        assert (await one.submit("/logout")).status_code == 303
        assert await site.state.sessions.find(one.token) is None
        assert (await two.get("/sync")).status_code == 200
        assert (await two.submit("/logout", everywhere="1")).status_code == 303
        assert (await three.get("/sync")).status_code == 303
    other = await site.browser(user_key="discord:2")
    async with other:
        assert (await other.get("/sync")).status_code == 200, "somebody else was logged out, too"


async def test_a_login_ends_by_itself(site: Site) -> None:
    browser = await site.browser(Role.ADMIN)
    async with browser:
        site.clock.now += SESSION_SECONDS["admin"] - 1
        assert (await browser.get("/sync")).status_code == 200
        site.clock.now += 1
        assert (await browser.get("/sync")).headers["location"] == "/login?next=%2Fsync"


async def test_who_reads_the_database_gets_in_with_nothing_that_stands_there(site: Site) -> None:
    browser = await site.browser()
    async with browser, site.visitor() as thief:
        for stolen in (hash_of(browser.token), browser.token[:-1]):
            thief.cookies.set("session", stolen)
            assert (await thief.get("/sync")).status_code == 303
        assert form_token((await browser.get("/")).text) != hash_of(browser.token)
