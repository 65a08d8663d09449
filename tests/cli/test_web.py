"""web key and web login-link as a person types them, and what they open in the running bot."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from bot.app import opened
from bot.cli.common import ExitCode
from bot.config import Settings
from bot.web.serve import served
from tests.cli.test_run import Desk
from tools.simulate.backlog import write_backlog


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """A person with six rounds, and a port for the pages."""
    folder = tmp_path / "desk"
    folder.mkdir()
    write_backlog(folder / "old", 3, 6, last_evening_end=datetime(2025, 3, 4, 23, 30))
    made = Desk(folder, {"WEB_PORT": str(free_port())})
    assert (await made.type("import", "old")).code == ExitCode.OK
    return made


async def test_keys_are_made_listed_and_ended_and_none_is_shown_twice(desk: Desk) -> None:
    made = await desk.type("web", "key", "add", "grafana", "--scope", "sync", "--scope", "games", "--days", "30")
    assert made.code == ExitCode.OK
    key = made.out.strip()
    assert re.fullmatch(r"etl_[\w-]{43}", key)
    listed = await desk.type("web", "key", "list", "--json")
    (record,) = json.loads(listed.out)
    assert (record["name"], record["scopes"], record["revoked_at"]) == ("grafana", ["games", "sync"], None)
    assert record["expires_at"] == record["created_at"] + 30 * 86400
    assert key not in listed.out
    assert (await desk.type("web", "key", "revoke", "1")).code == ExitCode.OK
    again = await desk.type("web", "key", "revoke", "1")
    assert again.code == ExitCode.PROBLEM
    assert "no key 1" in again.err
    assert "revoked" in (await desk.type("web", "key", "list")).out


@pytest.mark.parametrize("words", [("x", "--scope", "root"), (" ",), ("x" * 61,)])
async def test_a_key_that_cannot_be_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    done = await desk.type("web", "key", "add", *words)
    assert done.code == ExitCode.USAGE
    assert json.loads((await desk.type("web", "key", "list", "--json")).out) == []


async def test_a_link_and_a_key_of_another_process_open_the_running_pages(desk: Desk) -> None:
    port = int(desk.env["WEB_PORT"])
    link, made = await asyncio.gather(desk.type("web", "login-link"), desk.type("web", "key", "add", "x"))
    address, _, token = link.out.strip().partition("/login/link?token=")
    assert address == f"http://127.0.0.1:{port}"
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{desk.folder / 'etlegacy_production.db'}",
        local_stats_path=desk.folder / "local_stats",
        web_port=port,
    )
    async with (
        opened(settings) as app,
        served(app) as at,
        httpx2.AsyncClient(base_url=address, headers={"Origin": address}) as browser,
    ):
        assert at == address
        assert (await browser.post("/login/link", data={"token": token})).status_code == 303
        assert (await browser.get("/tasks")).status_code == 200
        browser.cookies.clear()
        answer = await browser.get("/api/sessions", headers={"Authorization": f"Bearer {made.out.strip()}"})
        assert answer.status_code == 200
        # A second bot on the same port goes on without pages, and says so.
        async with opened(settings) as other, served(other) as taken:
            assert taken is None


async def test_without_pages_there_is_no_link(desk: Desk) -> None:
    desk.env["WEB_PORT"] = "0"
    done = await desk.type("web", "login-link")
    assert done.code == ExitCode.CONFIG
    assert "WEB_PORT is 0" in done.err
