"""The pictures on the pages: who gets them, what stands on them, and what happens where none can be drawn."""

from __future__ import annotations

import html.parser
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import httpx2
import pytest
from sqlalchemy import insert

from bot.cards import sizes
from bot.cards.drawing.painter import sheet_of
from bot.cards.picture import CardError, CardOptions, ThemeName
from bot.cards.session import session_card
from bot.cards.studio import Studio
from bot.community.keys import Scope
from bot.db.engine import Database
from bot.db.schema import hidden_players
from bot.stats.sessions import find_session, session_answer
from bot.web.access import Role
from bot.web.app import build_web
from bot.web.pictures import ON_PAGE, POLICY
from bot.web.serve import serve_web
from tests.cards.test_svg import SVG, harmless, named
from tests.stats.games import Person, at, import_all, play_match
from tests.web.site import Site, open_site
from tests.web.test_pages import HOSTILE, Reader, plant

PAGES = {
    "/sessions/last": 2,
    "/matches/2025-03-03-211003-supply": 1,
    "/rounds/1": 1,
    "/players/anna": 1,
    "/compare?player=anna&player=bert": 1,
    "/maps/supply": 1,
    "/leaderboard?metric=kills": 1,
    "/weapons": 1,
}
"""Every page with pictures, and how many."""

NOT_THERE = (
    "/sessions/99/picture.svg", "/sessions/99/attack-times.png", "/matches/none/picture.svg", "/rounds/99/picture.svg",
    "/players/nobody/picture.svg", "/maps/nowhere/picture.png", "/compare/picture.svg?player=anna&player=nobody",
    "/leaderboard/picture.svg?server=none", "/sessions/1/nothing.svg", "/weapons/mp40/picture.svg",
)  # fmt: skip


@dataclass
class Shown:
    """A picture as its page holds it."""

    image: dict[str, str]
    dark: str = ""
    links: list[str] = field(default_factory=list)

    @property
    def light(self) -> str:
        return self.image["src"]

    @property
    def png(self) -> str:
        (found,) = self.links
        return found


class Figures(html.parser.HTMLParser):
    """Reads the pictures of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Shown] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "figure":
            self.found.append(Shown({}))
            self._inside = True
        if not self._inside:
            return
        if tag == "img":
            self.found[-1].image = given
        elif tag == "source":
            assert given["media"] == "(prefers-color-scheme: dark)"
            self.found[-1].dark = given["srcset"]
        elif tag == "a":
            self.found[-1].links.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._inside = False


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def checked(answer: httpx2.Response, kind: str) -> httpx2.Response:
    """Return an answer that is a picture, with the headers that it has to have."""
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == POLICY
    assert "script" not in POLICY
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Authorization, Cookie"
    name = answer.headers["content-disposition"].removeprefix('inline; filename="').removesuffix('"')
    assert name.replace("-", "").replace(".", "").isalnum(), name
    return answer


@pytest.mark.parametrize("page", list(PAGES))
async def test_a_page_holds_its_pictures_and_each_is_what_it_says(site: Site, page: str) -> None:
    async with await site.browser(Role.VIEWER) as browser:
        figures = Figures((await browser.get(page)).text).found
        assert len(figures) == PAGES[page]
        for shown in figures:
            assert shown.image["loading"] == "lazy"
            drawn = {
                theme: checked(await browser.get(address), "image/svg+xml").text
                for theme, address in (("light", shown.light), ("dark", shown.dark))
            }
            assert drawn["light"] != drawn["dark"]
            for svg in drawn.values():
                root = ET.fromstring(svg)
                harmless(root)
                # The page keeps exactly the room free that the picture takes.
                assert (root.get("width"), root.get("height")) == (shown.image["width"], shown.image["height"])
                assert root.findtext(f"{SVG}desc") == shown.image["alt"]
            png = checked(await browser.get(shown.png), "image/png").content
            assert png.startswith(b"\x89PNG\r\n\x1a\n")
            assert struct.unpack(">I", png[16:20]) == (2 * int(shown.image["width"]),)


async def test_a_picture_takes_the_room_that_was_kept_free_also_where_its_names_are_narrow(site: Site) -> None:
    narrow = [[Person(ord(letter), letter + 15 * "x") for letter in team] for team in ("ab", "cd")]
    await import_all(site.app.database, play_match(at("2025-03-05T12:00"), "battery", *narrow))
    async with site.app.database.read() as connection:
        answer = await session_answer(connection, await find_session(connection, "last"))
    card = session_card(answer, ON_PAGE)
    assert sizes.height(card) > sheet_of(card, ThemeName.DARK).below, "these names are as wide as was thought"
    async with await site.browser(Role.VIEWER) as browser:
        for shown in Figures((await browser.get("/sessions/last")).text).found:
            assert ET.fromstring((await browser.get(shown.light)).text).get("height") == shown.image["height"]


async def test_a_picture_is_asked_as_its_page_is(site: Site) -> None:
    teams = [Person(1, "anna"), Person(2, "bert")], [Person(11, "dora"), Person(12, "emil")]
    await import_all(site.app.database, play_match(at("2025-02-20T20:00"), "battery", *teams), server="other")
    async with await site.browser(Role.VIEWER) as browser:
        for page, values in (
            ("/players/anna?period=7d&server=main", {"period": ["7d"], "server": ["main"]}),
            ("/maps/supply?period=30d", {"period": ["30d"]}),
            ("/leaderboard?metric=kills&period=7d&map=supply", {"metric": ["kills"], "map": ["supply"]}),
            ("/weapons?server=other", {"server": ["other"]}),
        ):
            (shown,) = Figures((await browser.get(page)).text).found
            for address in (shown.light, shown.dark, shown.png):
                assert values.items() <= parse_qs(urlsplit(address).query).items()
        (week,) = Figures((await browser.get("/players/anna?period=7d")).text).found
        (ever,) = Figures((await browser.get("/players/anna")).text).found
        assert "last 7 days · all servers · 8 rounds" in texts((await browser.get(week.light)).text)[1]
        assert "all time · all servers · 10 rounds" in texts((await browser.get(ever.light)).text)[1]
        (other,) = Figures((await browser.get("/leaderboard?metric=rounds&server=other")).text).found
        assert "server other" in " ".join(texts((await browser.get(other.light)).text))


async def test_nobody_sees_a_picture_whom_its_page_is_closed_to(site: Site) -> None:
    async with await site.browser(Role.VIEWER) as browser:
        addresses = [
            address
            for page in PAGES
            for shown in Figures((await browser.get(page)).text).found
            for address in (shown.light, shown.png)
        ]
    assert len(addresses) == 2 * sum(PAGES.values())
    async with (
        site.visitor() as visitor,
        await site.program(Scope.SYNC) as other,
        await site.program(Scope.GAMES) as program,
    ):
        for address in addresses:
            refused = await visitor.get(address)
            assert refused.status_code == 303, address
            assert refused.headers["location"].startswith("/login?next=%2F"), address
            assert (await other.get(address)).status_code == 403, address
        assert (await program.get(addresses[0])).status_code == 200
        assert site.state.studio.drawn == 1


async def test_where_games_are_public_so_are_their_pictures_within_the_same_limit(
    played: Database, tmp_path: Path
) -> None:
    web = {"public_games": True, "anonymous_per_minute": 3}
    async with open_site(played, tmp_path, web=web) as site, site.visitor() as visitor:
        answers = [(await visitor.get("/rounds/1/picture.svg")).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


async def test_who_has_a_picture_already_is_told_so_until_its_facts_change(site: Site) -> None:
    async with await site.browser(Role.VIEWER) as browser:
        for ending in ("svg?theme=light", "svg", "png"):
            address = f"/players/anna/picture.{ending}"
            first = await browser.get(address)
            drawn = site.state.studio.drawn
            again = await browser.get(address, headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
            assert (again.status_code, again.content) == (304, b"")
            for header in ("etag", "cache-control", "vary"):
                assert again.headers[header] == first.headers[header]
            assert site.state.studio.drawn == drawn
        (before,) = Figures((await browser.get("/players/anna")).text).found
        teams = [Person(1, "anna"), Person(2, "bert")], [Person(11, "dora"), Person(12, "emil")]
        await import_all(site.app.database, play_match(at("2025-03-05T12:00"), "battery", *teams))
        (after,) = Figures((await browser.get("/players/anna")).text).found
        # An open page that is brought up to date asks for another address.
        assert after.light != before.light
        changed = await browser.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert changed.status_code == 200
        assert changed.headers["etag"] != first.headers["etag"]


async def test_a_picture_that_leaves_the_page_says_when_it_was_asked_for(site: Site) -> None:
    async with await site.browser(Role.VIEWER) as browser:
        first = await browser.get("/leaderboard/picture.png")
        site.clock.now += 20
        assert (await browser.get("/leaderboard/picture.png")).headers["etag"] == first.headers["etag"]
        on_page = (await browser.get("/leaderboard/picture.svg")).headers["etag"]
        site.clock.now += 60
        assert (await browser.get("/leaderboard/picture.png")).headers["etag"] != first.headers["etag"]
        assert (await browser.get("/leaderboard/picture.svg")).headers["etag"] == on_page


async def test_what_is_not_there_has_no_picture(site: Site) -> None:
    async with await site.browser(Role.VIEWER) as browser:
        for address in NOT_THERE:
            answer = await browser.get(address)
            assert answer.status_code == 404, address
            assert answer.headers["content-type"].startswith("text/html"), address
        for address, status in (
            ("/compare/picture.svg?player=anna", 400),
            ("/leaderboard/picture.svg?metric=beauty", 400),
            ("/players/anna/picture.svg?period=never", 400),
            ("/sessions/1/picture.gif", 422),
            ("/sessions/1/picture.svg?theme=pink", 422),
        ):
            assert (await browser.get(address)).status_code == status, address
    assert site.state.studio.drawn == 0


@pytest.mark.timeout(300)
async def test_who_does_not_want_to_be_shown_is_on_no_picture(played: Database, tmp_path: Path) -> None:
    async with played.write() as connection:
        # dora leads everything; her GUID is the players' key.
        row = {"player_key": "0000000B", "user_id": 1, "hidden_at": 1}
        await connection.execute(insert(hidden_players).values(row))
    seen: dict[str, str] = {}
    async with open_site(played, tmp_path) as site, await site.browser(Role.VIEWER) as browser:
        for page in (*PAGES, "/players/emil"):
            for shown in Figures((await browser.get(page)).text).found:
                seen[f"{page} in words"] = shown.image["alt"]
                seen[shown.light] = (await browser.get(shown.light)).text
                seen[f"{shown.png} is called"] = (await browser.get(shown.png)).headers["content-disposition"]
        for address in ("/players/dora/picture.svg", "/players/0000000B/picture.png"):
            assert (await browser.get(address)).status_code == 404
        assert (await browser.get("/compare/picture.svg?player=anna&player=dora")).status_code == 404
    for where, text in seen.items():
        assert "dora" not in text.lower(), where
        assert "0000000B" not in text.upper(), where
    assert sum("somebody" in text for text in seen.values()) >= 6, "a scoreboard lost a line"
    assert sum("emil" in text for text in seen.values()) >= 6


@pytest.mark.timeout(300)
async def test_no_hostile_name_gets_out_of_its_place_in_a_picture(played: Database, tmp_path: Path) -> None:
    await plant(played)
    long = "W" * 35
    teams = [Person(50, long), Person(51, "]]></svg>")], [Person(52, "&lt;&#0;"), Person(53, "x' onload='y")]
    await import_all(played, play_match(at("2025-03-05T13:00"), "battery", *teams))
    printed: set[str] = set()
    async with open_site(played, tmp_path) as site, await site.browser(Role.VIEWER) as browser:
        for page in ("/sessions/last", "/sessions/2", "/rounds/9", "/rounds/11", "/leaderboard?metric=rounds"):
            text = (await browser.get(page)).text
            assert Reader(text).problems == [], page
            for shown in Figures(text).found:
                svg = (await browser.get(shown.light)).text
                root = ET.fromstring(svg)
                harmless(root)
                assert root.findtext(f"{SVG}desc") == shown.image["alt"]
                assert "\u202e" not in svg + shown.image["alt"]
                printed |= set(texts(svg))
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[5], "]]></svg>", "x' onload='y"} <= printed, printed
    assert any(text.startswith("WWWW") for text in printed), "a name that is on no picture proves nothing"


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
async def test_the_page_goes_on_where_no_picture_can_be_drawn(
    site: Site, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    monkeypatch.setattr("bot.cards.studio.sys.executable", "/nonexistent/python")
    async with await site.browser(role) as browser:
        page = await browser.get("/sessions/last")
        assert page.status_code == 200
        shown = Figures(page.text).found[0]
        assert "anna" in page.text
        for address in (shown.light, shown.png):
            answer = await browser.get(address)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "10"
            assert answer.headers["content-type"].startswith("text/html")
            assert "no picture just now" in answer.text
            assert ("No such file" in answer.text) is (role is Role.ADMIN)
            assert "an admin can see why" in answer.text or role is Role.ADMIN


async def test_a_picture_that_takes_too_long_is_given_up_and_the_next_one_comes(
    played: Database, tmp_path: Path
) -> None:
    async with open_site(played, tmp_path) as site, await site.browser() as browser:
        site.state.studio._deadline = 0.0
        answer = await browser.get("/rounds/1/picture.svg")
        assert answer.status_code == 503
        assert "was not ready" in answer.text
        site.state.studio._deadline = 20.0
        assert (await browser.get("/rounds/1/picture.svg")).status_code == 200


async def test_one_picture_too_many_is_put_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await site.browser() as browser:
        kept = await browser.get("/rounds/1/picture.svg")
        monkeypatch.setattr("bot.web.pictures.MOST_WAITING", 0)
        refused = await browser.get("/rounds/2/picture.svg")
        assert refused.status_code == 503
        assert "wait to be drawn" in refused.text
        assert refused.headers["retry-after"] == "10"
        # What was drawn already holds nobody up.
        assert (await browser.get("/rounds/1/picture.svg")).content == kept.content


async def test_a_studio_that_was_given_outlives_the_pages_and_their_own_does_not(site: Site) -> None:
    card, options = session_card(named("anna"), CardOptions()), CardOptions()
    given = Studio()
    try:
        for studio in (given, None):
            face = build_web(site.app, clock=site.clock, studio=studio)
            assert (face.state.web.studio is given) is (studio is given)
            async with serve_web(site.app, port=0, web=face):
                await face.state.web.studio.draw(card, options)
        assert (await given.draw(session_card(named("bert"), options), options)).data
        with pytest.raises(CardError, match="stopping"):
            await face.state.web.studio.draw(session_card(named("bert"), options), options)
    finally:
        await given.close()


async def test_pictures_are_no_part_of_the_described_api(site: Site) -> None:
    document = build_web(site.app, clock=site.clock).openapi()
    assert not [path for path in document["paths"] if "picture" in path or "attack-times" in path]
