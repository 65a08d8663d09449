"""The pages in a real browser: every width, light and dark, with a keyboard, without scripts, and a person's ways."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright
from sqlalchemy import insert

from bot.db.engine import Database
from bot.db.schema import processed_files
from bot.web import assets
from bot.web.access import Role
from tests.web.site import Site, open_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = assets.MODULES / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        (CHROMIUM is None or not AXE.is_file()) and not os.environ.get("CI"),
        reason="takes a Chromium (apt-get install chromium) and axe-core (make install with npm)",
    ),
    # What a browser shows does not differ by the kind of database.
    pytest.mark.parametrize("database_server", ["sqlite"], indirect=True),
]

WIDTHS = (360, 768, 1440)
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder to keep a picture of every page in, at every width, for somebody to look at."""

PAGES = (
    "/", "/sessions", "/sessions/last", "/matches/2025-03-03-211003-supply", "/rounds/1", "/players", "/players/anna",
    "/leaderboard", "/compare?player=anna&player=bert", "/maps", "/maps/supply", "/weapons", "/weapons/mp40",
    "/records", "/sync", "/files", "/files/1", "/destinations/nas", "/runs/1", "/tasks", "/status", "/api/docs",
)  # fmt: skip

CUT_OFF = """[...document.querySelectorAll('.tiles dd')].filter(
    (dd) => dd.scrollWidth > dd.clientWidth).map((dd) => dd.textContent)"""

WITH_PICTURES = {
    "/sessions/last": 2, "/matches/2025-03-03-211003-supply": 1, "/rounds/1": 1, "/players/anna": 1,
    "/compare?player=anna&player=bert": 1, "/maps/supply": 1, "/leaderboard": 1, "/weapons": 1,
}  # fmt: skip
"""Pages, and how many pictures stand on each."""

PICTURES = "figure.picture img"

LOADED = "(image) => image.complete && image.naturalWidth > 0"

POISON = "2025-03-04-230000-supply-round-1.txt"


@pytest.fixture
async def visited(played: Database, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a destination, a comparison, a task, a file that failed, and workers."""
    nas = tmp_path / "nas"
    nas.mkdir()
    toml = f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{nas}"\n'
    toml += '[[servers]]\nname = "far"\nhost = "127.0.0.1"\nport = 9\nuser = "et"\nfolder = "stats"\n'
    web = {"known_per_minute": 10_000}
    async with open_site(played, tmp_path, toml=toml, web=web) as site, site.app.jobs.started(pick_up=True):
        for kind in ("mirror.cycle", "mirror.reconcile"):
            job = await site.app.actions.submit(kind, {"destination": "nas"}, "cli:test")
            await site.app.jobs.wait(job.id, 30)
        async with site.app.database.write() as connection:
            await connection.execute(
                insert(processed_files).values(
                    server_id=2, name=POISON, state="failed", reason="line 1: no header", tries=3, first_seen_at=1
                )
            )
        yield site


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A page that is looked at, and what went wrong meanwhile."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", self._not_loaded)

    def _not_loaded(self, asked: Request) -> None:
        # What a person leaves before it has come is no failure.
        if asked.failure != "net::ERR_ABORTED":
            self.wrong.append(f"not loaded: {asked.url}: {asked.failure}")


@asynccontextmanager
async def visit(context: BrowserContext) -> AsyncIterator[Visit]:
    page = await context.new_page()
    try:
        yield Visit(page)
    finally:
        await page.close()


async def logged_in(chromium: Browser, site: Site, role: Role = Role.ADMIN, **options: object) -> BrowserContext:
    context = await chromium.new_context(**options)  # type: ignore[arg-type]
    token = await site.state.sessions.begin("discord:1", "Ann", role)
    await context.add_cookies([{"name": site.state.session_cookie, "value": token, "url": site.address}])
    return context


async def complaints(page: Page) -> list[str]:
    """Return what axe finds: WCAG 2.2 A and AA, and its good practices."""
    # Through the debugger, as an extension would: our policy lets no script in.
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{item['id']}: {item['help']}: {node['html'][:160]}" for item in found["violations"] for node in item["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_whole_at_every_width_and_usable_by_everybody(
    visited: Site, chromium: Browser, scheme: str
) -> None:
    context = await logged_in(chromium, visited, color_scheme=scheme)
    wrong: list[str] = []
    for path in PAGES:
        async with visit(context) as seen:
            for width in WIDTHS if scheme == "light" else WIDTHS[-1:]:
                await seen.page.set_viewport_size({"width": width, "height": 900})
                if width in (WIDTHS[0], 1440) and seen.page.url == "about:blank":
                    answer = await seen.page.goto(f"{visited.address}{path}")
                    assert answer is not None
                    assert answer.status == 200, path
                wide = await seen.page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{path} at {width}: {wide} wide")
                cut = await seen.page.evaluate(CUT_OFF)
                wrong += [f"{path} at {width}: {text!r} is cut off" for text in cut]
                if width != 768:
                    wrong += [f"{path} at {width}: {said}" for said in await complaints(seen.page)]
                if SCREENSHOTS:
                    name = re.sub("[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
                    kept = Path(SCREENSHOTS, scheme, str(width), f"{name}.png")
                    await seen.page.screenshot(path=kept, full_page=True)
            wrong += [f"{path}: {said}" for said in seen.wrong]
    await context.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pictures_come_when_they_come_into_sight_and_nothing_jumps(
    visited: Site, chromium: Browser, scheme: str
) -> None:
    context = await logged_in(chromium, visited, color_scheme=scheme)
    wrong: list[str] = []
    for width in WIDTHS if scheme == "light" else WIDTHS[:1]:
        for path, count in WITH_PICTURES.items():
            async with visit(context) as seen:
                page = seen.page
                await page.set_viewport_size({"width": width, "height": 600})
                await page.goto(f"{visited.address}{path}")
                for fold in await page.locator("details.fold summary").all():
                    # What is folded is not asked for.
                    assert not await page.locator(PICTURES).evaluate(LOADED)
                    await fold.click()
                found = await page.locator(PICTURES).all()
                assert len(found) == count, path
                for image in found:
                    box = await image.bounding_box()
                    await image.scroll_into_view_if_needed()
                    handle = await image.element_handle()
                    await page.wait_for_function(LOADED, arg=handle, timeout=20_000)
                    after = await image.bounding_box()
                    assert box is not None
                    assert after is not None
                    if (round(box["width"], 1), round(box["height"], 1)) != (
                        round(after["width"], 1),
                        round(after["height"], 1),
                    ):
                        wrong.append(f"{path} at {width}: {box} became {after}")
                    if after["width"] < min(width, 420):
                        wrong.append(f"{path} at {width}: {after['width']} px are too few to read")
                    shown = await image.evaluate("(image) => image.currentSrc")
                    if f"theme={scheme}" not in shown:
                        wrong.append(f"{path} at {width}: {shown} in {scheme}")
                wide = await page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{path} at {width}: {wide} wide")
                wrong += [f"{path} at {width}: {said}" for said in seen.wrong]
    await context.close()
    assert wrong == []


async def test_a_picture_is_shown_by_itself_and_as_png(visited: Site, chromium: Browser) -> None:
    context = await logged_in(chromium, visited)
    async with visit(context) as seen:
        page = seen.page
        await page.goto(f"{visited.address}/sessions/1/picture.svg")
        styled = "getComputedStyle(document.querySelector('text')).fontFamily"
        assert "Roboto" in await page.evaluate(styled), "the policy lets the picture's own styles in"
        await page.goto(f"{visited.address}/sessions/1")
        await page.locator("figure", has_text="The evening at one glance").get_by_role("link").click()
        await page.wait_for_url("**/picture.png")
        assert await page.evaluate("document.images[0].naturalWidth") == 1280
        assert seen.wrong == []
    await context.close()


async def test_a_person_logs_in_follows_a_file_retries_it_and_watches_the_task(
    visited: Site, chromium: Browser
) -> None:
    context = await chromium.new_context(viewport={"width": 1280, "height": 900})
    async with visit(context) as seen:
        page = seen.page
        await page.goto(f"{visited.address}/sync")
        assert page.url == f"{visited.address}/login?next=%2Fsync"
        token = await visited.state.logins.make_link("cli:test")
        await page.goto(f"{visited.address}/login/link?token={token}")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Sync", exact=True).click()
        await page.get_by_role("link", name=POISON).click()
        assert await page.locator("h1").inner_text() == POISON
        await page.get_by_text("line 1: no header").wait_for()
        await page.get_by_role("link", name="Sync", exact=True).click()
        await page.get_by_role("button", name=f"Retry {POISON}").click()
        await page.wait_for_url("**/tasks/*")
        # The page learns of the end by itself.
        await page.get_by_role("heading", name="What came of it").wait_for(timeout=20_000)
        assert seen.wrong == []
        await page.goto(f"{visited.address}/destinations/nas")
        await page.get_by_role("button", name="Count live").click()
        await page.get_by_text("done").first.wait_for(timeout=20_000)
        await page.locator(".menu summary").click()
        await page.get_by_role("button", name="Log out", exact=True).click()
        await page.wait_for_url("**/login")
        await page.goto(f"{visited.address}/sync")
        assert "/login" in page.url
    await context.close()


async def test_a_backfill_is_followed_from_the_queue_to_its_end(
    played: Database, tmp_path: Path, chromium: Browser
) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    toml = f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{nas}"\n'
    async with open_site(played, tmp_path, toml=toml) as site:
        context = await logged_in(chromium, site)
        async with visit(context) as seen:
            page = seen.page
            await page.goto(f"{site.address}/destinations/nas")
            await page.get_by_role("button", name="Bring up to date").click()
            await page.wait_for_url("**/tasks/*")
            # Nobody works yet: the page was opened before anything happened.
            await page.get_by_text("waits for its turn").wait_for()
            assert await page.get_by_role("button", name="End it").count() == 1
            assert list(nas.rglob("*.txt")) == []
            where = page.url
            async with site.app.jobs.started(pick_up=True):
                await page.get_by_role("heading", name="What came of it").wait_for(timeout=20_000)
            assert page.url == where
            assert await page.get_by_role("button", name="End it").count() == 0
            files = len(list(nas.rglob("*.txt")))
            assert files > 0
            assert await page.locator("[data-count]").inner_text() == f"{files} of {files}"
            assert seen.wrong == []
        await context.close()


async def test_a_viewer_is_refused_what_is_not_his(visited: Site, chromium: Browser) -> None:
    context = await logged_in(chromium, visited, Role.VIEWER)
    async with visit(context) as seen:
        await seen.page.goto(f"{visited.address}/sync")
        assert await seen.page.get_by_role("button", name="Retry").count() == 0
        assert await seen.page.get_by_role("link", name="Tasks").count() == 0
        answer = await seen.page.goto(f"{visited.address}/tasks")
        assert answer is not None
        assert answer.status == 403
        assert await seen.page.locator("h1").inner_text() == "Not allowed"
    await context.close()


async def test_an_open_page_shows_what_came_in_meanwhile(visited: Site, chromium: Browser) -> None:
    from tests.stats.games import Person, at, import_all, play_match

    context = await logged_in(chromium, visited)
    async with visit(context) as seen:
        await seen.page.goto(f"{visited.address}/sessions")
        await asyncio.sleep(1)
        teams = [Person(1), Person(2)], [Person(3), Person(4)]
        await import_all(visited.app.database, play_match(at("2025-03-05T12:00"), "battery", *teams))
        await seen.page.get_by_text("battery").wait_for(timeout=20_000)
        assert seen.wrong == []
    await context.close()


async def test_everything_works_without_scripts(visited: Site, chromium: Browser) -> None:
    context = await logged_in(chromium, visited, java_script_enabled=False)
    async with visit(context) as seen:
        page = seen.page
        await page.goto(f"{visited.address}/leaderboard")
        await page.get_by_label("By").select_option("kills")
        await page.get_by_role("button", name="Show").click()
        assert "metric=kills" in page.url
        await page.get_by_role("searchbox", name="Find a player").fill("dor")
        await page.get_by_role("button", name="Search").click()
        assert await page.locator("h1").inner_text() == "dora"
        await page.goto(f"{visited.address}/sync")
        await page.get_by_role("button", name=f"Retry {POISON}").click()
        await page.wait_for_url("**/tasks/*")
        await page.get_by_text("done").first.wait_for(timeout=20_000)
    await context.close()


async def test_a_keyboard_reaches_the_content_first(visited: Site, chromium: Browser) -> None:
    context = await logged_in(chromium, visited)
    async with visit(context) as seen:
        await seen.page.goto(f"{visited.address}/")
        await seen.page.keyboard.press("Tab")
        assert await seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await seen.page.keyboard.press("Enter")
        assert await seen.page.evaluate("document.activeElement.id") == "main"
    await context.close()


async def test_no_other_page_can_frame_ours(visited: Site, chromium: Browser) -> None:
    context = await logged_in(chromium, visited)
    async with visit(context) as seen:
        await seen.page.set_content(f'<iframe src="{visited.address}/sync"></iframe>')
        await asyncio.sleep(0.5)
        frame = seen.page.frames[-1]
        assert await frame.locator("#main").count() == 0
        assert any("frame-ancestors" in said or "X-Frame-Options" in said for said in seen.wrong), seen.wrong
    await context.close()
