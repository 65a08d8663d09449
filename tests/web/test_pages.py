"""Every page: reached by following links, with hostile names in every field, and nothing of them gets out."""

from __future__ import annotations

import html.parser
import json
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from bot.community.keys import Scope
from bot.db.engine import Database
from bot.db.schema import audit, destinations, hidden_players, mirror_objects, players, processed_files
from bot.web.access import Role
from bot.web.charts import Series, as_json, bars, lines, meter, nice, spark
from bot.web.text import NOTHING, ago, clean, clock, finalize, moment, number, ordinal, percent, size, span
from tests.stats.games import Person, at, import_all, play_match
from tests.web.site import Site, open_site

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(2)</script>',
    "'-alert(3)-'",
    "{{7*7}}",
    "javascript:alert(4)",
    "</title><svg onload=alert(5)>",
    "\u202egnp.exe",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031ealgo",
    "@everyone",
)


class Reader(html.parser.HTMLParser):
    """Reads a page: its links, its ids, its forms, and whatever a hostile text would have turned into."""

    ALLOWED_SCRIPTS = "/static/"

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.ids: list[str] = []
        self.problems: list[str] = []
        self.text: list[str] = []
        self.headings: list[int] = []
        self.labels: set[str] = set()
        self.inputs: list[dict[str, str]] = []
        self._script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        for name, value in found.items():
            if name.startswith("on") or name == "style":
                self.problems.append(f"<{tag} {name}={value}>")
            is_text = name in ("value", "content", "title", "alt")
            if value.strip().lower().startswith(("javascript:", "data:")) and not is_text:
                self.problems.append(f"<{tag} {name}={value}>")
        if tag == "script" and not found.get("src", "").startswith(self.ALLOWED_SCRIPTS):
            self.problems.append(f"<script {found}>")
        if tag in ("iframe", "object", "embed", "base", "style"):
            self.problems.append(f"<{tag}>")
        if tag == "img" and "alt" not in found:
            self.problems.append("<img> without alt")
        if "href" in found:
            self.links.append(found["href"])
        if "id" in found:
            self.ids.append(found["id"])
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag == "label" and "for" in found:
            self.labels.add(found["for"])
        if tag in ("input", "select") and found.get("type") != "hidden":
            self.inputs.append(found)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


async def crawl(site: Site, role: Role, start: str = "/") -> dict[str, str]:
    """Follow every link of our own from a page on; return each page's text by its address."""
    browser = await site.browser(role)
    pages: dict[str, str] = {}
    todo = [start, "/status", "/api/docs", "/search?q=a", "/compare", "/files?state=not-parsed"]
    async with browser:
        while todo:
            path = todo.pop()
            # One cursor, one filter of each kind is enough.
            shape = urlsplit(path).path + "?" * bool(urlsplit(path).query)
            if path in pages or sum(1 for known in pages if known.startswith(shape)) > 12:
                continue
            answer = await browser.get(path, follow_redirects=True)
            assert answer.status_code in (200, 404, 409), f"{path}: {answer.status_code} {answer.text[:300]}"
            if "text/html" not in answer.headers["content-type"]:
                continue
            pages[path] = answer.text
            for link in Reader(answer.text).links:
                there = urlsplit(urljoin(f"{site.address}{path}", link))
                if there.netloc == urlsplit(site.address).netloc and not there.path.startswith(("/static/", "/logout")):
                    todo.append(there.path + (f"?{there.query}" if there.query else ""))
    return pages


async def plant(database: Database) -> None:
    """Put a hostile text wherever one can come from: players, maps, servers, destinations, files, reasons, actors."""
    people = [Person(30 + n, name) for n, name in enumerate(HOSTILE)]
    await import_all(database, play_match(at("2025-03-05T12:00"), "supply", people[:4], people[4:]))
    async with database.write() as connection:
        # Grammars keep most of these out; pages must not rely on it.
        await connection.execute(
            update(players).where(players.c.name == "@everyone").values(name='<b onmouseover="alert(6)">x</b>')
        )
        evil = {"state": "failed", "server_id": 1, "first_seen_at": 1, "tries": 3, "next_try_at": None}
        await connection.execute(
            insert(processed_files),
            [evil | {"name": f"{text}-round-1.txt", "reason": text} for text in HOSTILE],
        )
        await connection.execute(
            insert(destinations).values(
                name=HOSTILE[1], kind=HOSTILE[0], enabled_at=1, failures=2, last_error=HOSTILE[5], last_error_code="x",
                rate_samples=0,
            )
        )  # fmt: skip
        await connection.execute(
            insert(mirror_objects).values(
                destination_id=1, server_id=1, name=f"{HOSTILE[0]}-round-1.txt", key=HOSTILE[1], sha256="0", size=1,
                state="failed", reason=HOSTILE[1], error_code=HOSTILE[2], tries=9, queued_at=1,
            )
        )  # fmt: skip
        await connection.execute(
            insert(audit).values(at=1, actor=HOSTILE[0], action=HOSTILE[1], target=f"main/{HOSTILE[0]}-round-1.txt")
        )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
async def test_no_hostile_name_gets_out_of_its_place_on_any_page(played: Database, tmp_path: Path, role: Role) -> None:
    await plant(played)
    async with open_site(played, tmp_path, web={"known_per_minute": 100_000}) as site:
        pages = await crawl(site, role)
    kinds = {urlsplit(path).path.split("/")[1] for path in pages}
    wanted = {"sessions", "matches", "rounds", "players", "maps", "weapons", "records", "leaderboard", "files", "sync"}
    assert wanted <= kinds, f"never reached: {wanted - kinds}"
    shown = set()
    for path, text in pages.items():
        read = Reader(text)
        assert read.problems == [], path
        assert len(read.ids) == len(set(read.ids)), f"{path}: ids twice"
        assert read.headings.count(1) == 1, f"{path}: {read.headings}"
        for field in read.inputs:
            assert field.get("id") in read.labels, f"{path}: a field without a label {field}"
        printed = "".join(read.text)
        assert "\u202e" not in printed, path
        shown |= {name for name in HOSTILE if clean(name) in printed}
    assert set(HOSTILE) - {"@everyone"} <= shown, "a name that was on no page proves nothing"


@pytest.mark.timeout(300)
async def test_who_does_not_want_to_be_shown_has_no_name_anywhere(played: Database, tmp_path: Path) -> None:
    async with played.write() as connection:
        # dora leads everything; her GUID is the players' key.
        row = {"player_key": "0000000B", "user_id": 1, "hidden_at": 1}
        await connection.execute(insert(hidden_players).values(row))
    async with open_site(played, tmp_path, web={"known_per_minute": 100_000}) as site:
        pages = await crawl(site, Role.VIEWER)
        async with await site.program(Scope.GAMES) as program:
            for path in (
                "/api/sessions/last", "/api/matches/2025-03-03-211003-supply", "/api/rounds/1", "/api/players",
                "/api/players/emil", "/api/search?q=d", "/api/leaderboards/kills", "/api/records",
                "/api/records/kills?grain=session", "/api/maps/supply", "/api/weapons/mp40",
                "/api/compare?player=anna&player=emil", "/api/export/player-rounds.csv",
            ):  # fmt: skip
                pages[path] = (await program.get(path)).text
            for asked in ("dora", "0000000B", "0000"):
                answer = await program.get(f"/api/players/{asked}")
                assert answer.status_code in (404, 409)
                assert "dora" not in answer.text.replace("'dora'", "")
            assert (await program.get("/api/compare?player=anna&player=dora")).status_code == 404
    for path, text in pages.items():
        assert "dora" not in text, path
        assert "0000000B" not in text, path
    assert "somebody" in pages["/sessions/2"], "the scoreboard lost a line"
    assert "anna" in pages["/sessions/2"]


async def test_pages_work_without_the_libraries(
    played: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.web import assets

    for cached in (assets.files, assets.address):
        cached.cache_clear()
    monkeypatch.setattr(assets, "MODULES", tmp_path / "none")
    try:
        async with open_site(played, tmp_path) as site, await site.browser() as browser:
            page = (await browser.get("/sync")).text
            assert "htmx.js" not in page
            assert "live.js" in page
    finally:
        for cached in (assets.files, assets.address):
            cached.cache_clear()


async def test_files_for_browsers_are_kept_for_ever_under_a_name_of_their_content(site: Site) -> None:
    from bot.web import assets

    async with site.visitor() as visitor:
        answer = await visitor.get(assets.address("app.css"))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        for wrong in ("/static/x/nothing.css", "/static/x/..%2fapp.py", "/static/x/../app.py"):
            assert (await visitor.get(wrong)).status_code == 404


async def test_the_drops_of_the_funnel_are_the_names_behind_them(played: Database, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    toml = f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{nas}"\n'
    await plant(played)
    async with open_site(played, tmp_path, toml=toml) as site, await site.browser() as browser:
        await site.app.mirrors.copiers["nas"].cycle()
        from bot.web.places import funnel

        async with site.app.database.read() as connection:
            steps = await funnel(connection)
        assert [step.key for step in steps] == ["listed", "stable", "downloaded", "parsed", "stored", "verified"]
        for before, step in pairwise(steps):
            assert step.lost == before.files - step.files
            page = (await browser.get(f"/api/sync{step.lost_path}&limit=200")).json()
            assert len(page["items"]) == step.lost, step
        assert steps[2].lost == len(HOSTILE)
        assert sum(step.lost for step in steps) == steps[0].files - steps[-1].files


# ---------------------------------------------------------------------- how values are written


@given(st.text())
def test_a_cleaned_text_reaches_beyond_no_place_of_its_own(value: str) -> None:
    found = clean(value)
    assert clean(found) == found
    for letter in "\x00\x1b\u202e\u2066\u200f\r":
        assert letter not in found


def test_what_is_not_known_is_a_dash_and_never_a_zero() -> None:
    assert {number(None), size(None), clock(None), span(None), percent(None, 3), percent(3, 0), finalize(None)} == {
        NOTHING
    }
    assert number(0) == "0"
    assert number(1234567) == "1\u202f234\u202f567"
    assert percent(2999, 3000) == "99.9\u202f%", "only all of it is 100 %"
    assert size(1536) == "1.5 KiB"
    assert [span(s) for s in (5, 65, 3700, 90_000, 10**7)] == ["5 s", "1 min", "1 h 1 min", "1 d 1 h", "115 d"]
    assert clock(3723) == "1:02:03"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 81.9, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "81st", "111th",
    ]  # fmt: skip


def test_times_are_elements_that_programs_read() -> None:
    assert str(moment(0)) == (
        '<time datetime="1970-01-01T00:00:00+00:00" title="Thursday 1970-01-01 00:00:00 UTC">1970-01-01 00:00</time>'
    )
    assert ">2 h ago<" in str(ago(0, 7200))
    assert ">in 5 min<" in str(ago(300, 0))
    assert ago(None, 1) == "never"


def test_charts_say_in_words_what_they_show_and_escape_it() -> None:
    evil = "<script>"
    for drawn in (
        meter(1, 2, evil),
        spark([1, None, 3], evil),
        lines([Series(evil, ((0, 1.0), (50, 4.0)))], evil, since=0, until=100),
        bars({evil: 3}, evil),
    ):
        assert "<script>" not in drawn
        assert 'role="img" aria-label="&lt;script&gt;"' in drawn
    assert spark([1.0], "x") == ""
    assert 'width="50.00"' in meter(1, 2, "half")
    assert 'width="100.00"' in meter(5, 2, "more than all")


def test_a_chart_s_script_gets_what_the_drawn_one_shows() -> None:
    found = json.loads(
        as_json([Series("not_sent", ((10, 2.0), (50, 0.0))), Series("b", ((50, 1.0),))], since=20, until=90)
    )
    assert found == {"times": [20, 50, 90], "names": ["not sent", "b"], "values": [[2.0, 0.0, 0.0], [None, 1.0, 1.0]]}


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (7, 10), (11, 20), (99, 100), (101, 200)])
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice(value) == top
