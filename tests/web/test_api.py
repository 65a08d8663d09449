"""What the API answers: pages, marks, exports, tasks, numbers for Prometheus; the same on both kinds of database."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.community.keys import Scope
from bot.db.engine import Database
from bot.web.access import Role
from bot.web.live import LOOK_EVERY
from tests.stats.games import import_all
from tests.web.site import Site, open_site, two_evenings

NAS = '[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{}"\n'


@pytest.mark.parametrize("path", ["/api/sessions", "/api/matches", "/api/rounds", "/api/players", "/api/sync/files"])
async def test_pages_show_everything_once_whatever_their_size(site: Site, path: str) -> None:
    async with await site.program(Scope.ADMIN) as program:
        whole = (await program.get(path, params={"limit": 200})).json()
        assert whole["next_cursor"] is None
        read: list[Any] = []
        cursor: str | None = None
        while True:
            asked = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
            page = (await program.get(path, params=asked)).json()
            read += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert read == whole["items"]
    assert len(read) > 1


async def test_what_comes_in_between_two_pages_is_neither_skipped_nor_shown_twice(site: Site) -> None:
    async with await site.program(Scope.ADMIN) as program:
        first = (await program.get("/api/matches", params={"limit": 2})).json()
        newer = [file for file in two_evenings() if "supply" in file.name][-2:]
        await import_all(site.app.database, newer, server="second")
        rest = (await program.get("/api/matches", params={"limit": 50, "cursor": first["next_cursor"]})).json()
    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert len(ids) == len(set(ids))
    assert {1, 2, 3, 4} <= set(ids)


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WyJhIiwgMV0", "WzEsIDIsIDNd", "e30", "WzEuNSwgMl0", "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMCwgMV0"]
)
async def test_a_cursor_that_is_none_is_a_mistake_of_the_asker(site: Site, cursor: str) -> None:
    async with await site.program(Scope.GAMES) as program:
        answer = await program.get("/api/sessions", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("the cursor is none of ours")


async def test_who_has_the_answer_already_gets_nothing_again(site: Site) -> None:
    async with await site.program(Scope.GAMES) as program:
        first = await program.get("/api/sessions/last")
        again = await program.get("/api/sessions/last", headers={"If-None-Match": first.headers["etag"]})
        other = await program.get("/api/sessions/2025-03-03", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


async def test_several_that_fit_are_offered(site: Site) -> None:
    async with await site.program(Scope.GAMES) as program:
        answer = await program.get("/api/players/r")
    assert answer.status_code == 409
    assert {choice["player"]["name"] for choice in answer.json()["choices"]} == {"bert", "carl", "fritz", "dora"}


async def test_the_numbers_are_those_of_the_services(site: Site) -> None:
    async with await site.program(Scope.GAMES) as program:
        player = (await program.get("/api/players/bert")).json()
        board = (await program.get("/api/leaderboards/kills")).json()
        match = (await program.get("/api/matches/2025-03-03-211003-supply")).json()
    assert player["totals"]["rounds"] == 8
    assert player["totals"]["kills"] == 8 * 9
    assert board["entries"][0]["player"]["name"] == "dora"
    assert board["entries"][0]["value"] == 8 * 12
    assert match["match"]["why"] == "the first attack succeeded, the second was held"


# ---------------------------------------------------------------------- exports


async def test_the_exports_hold_every_round_of_every_player_and_agree(site: Site) -> None:
    import pyarrow.parquet as pq

    async with await site.program(Scope.GAMES) as program:
        text = (await program.get("/api/export/player-rounds.csv")).text
        data = (await program.get("/api/export/player-rounds.parquet")).content
        of_one_map = (await program.get("/api/export/player-rounds.csv", params={"map": "radar"})).text
    rows = list(csv.DictReader(io.StringIO(text)))
    table = pq.read_table(io.BytesIO(data)).to_pylist()
    assert len(rows) == len(table) == 8 * 6
    assert [row["file"] for row in rows] == [row["file"] for row in table]
    assert sum(int(row["kills"]) for row in rows) == sum(row["kills"] for row in table) == 8 * (4 + 9 + 4 + 12 + 4 + 4)
    assert {row["map"] for row in csv.DictReader(io.StringIO(of_one_map))} == {"radar"}


async def test_a_name_is_no_formula(site: Site) -> None:
    from tests.stats.games import Person, at, play_match

    evil = [Person(21, '=HYPERLINK("http://evil")'), Person(22, "@SUM(A1)"), Person(23, "-2+3")]
    await import_all(site.app.database, play_match(at("2025-03-05T12:00"), "supply", evil, [Person(n) for n in (1, 2)]))
    async with await site.program(Scope.GAMES) as program:
        text = (await program.get("/api/export/player-rounds.csv")).text
    names = {row["name"] for row in csv.DictReader(io.StringIO(text))}
    assert {'\'=HYPERLINK("http://evil")', "'@SUM(A1)", "'-2+3"} <= names


async def test_without_pyarrow_the_reason_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with await site.program(Scope.GAMES) as program:
        answer = await program.get("/api/export/player-rounds.parquet")
    assert answer.status_code == 501
    assert "pip install 'etlegacy-stats-bot[parquet]'" in answer.json()["detail"]


# ---------------------------------------------------------------------- places and tasks


async def test_places_buckets_and_failed_files_say_basis_and_age(played: Database, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    async with open_site(played, tmp_path, toml=NAS.format(nas)) as site:
        await site.app.mirrors.copiers["nas"].cycle()
        (nas / "main" / "2025-03-03-211003-supply-round-1.txt").write_bytes(b"other bytes")
        await site.app.mirrors.copiers["nas"].cycle()
        async with await site.program(Scope.ADMIN) as program:
            status = (await program.get("/api/status")).json()
            buckets = (await program.get("/api/buckets/status")).json()
            bucket = (await program.get("/api/buckets/nas/status")).json()
            failed = (await program.get("/api/sync/failed-files")).json()
            absent = await program.get("/api/buckets/aws-s3/status")
    (destination,) = status["destinations"]
    assert destination["ledger"]["basis"] == "ledger"
    assert destination["listing"]["as_of"] == int(site.clock())
    assert destination["colour"] == "red"
    assert bucket == buckets[0]
    assert (bucket["basis"], bucket["objects"], bucket["connection"]) == ("listing", 8, "ok")
    assert [(copy["name"], copy["state"]) for copy in failed["copies"]] == [
        ("2025-03-03-211003-supply-round-1.txt", "differs")
    ]
    assert absent.status_code == 404
    assert "there are: nas" in absent.json()["detail"]


async def test_a_task_is_taken_on_watched_and_ends(played: Database, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    async with open_site(played, tmp_path, toml=NAS.format(nas)) as site, site.app.jobs.started(pick_up=True):
        program = await site.program(Scope.ADMIN)
        async with program:
            taken = await program.post("/api/admin/backfill", json={"destination": "nas"})
            assert taken.status_code == 202
            answer = taken.json()
            seen: list[dict[str, Any]] = []
            async with program.stream("GET", answer["events_url"]) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data:"):
                        seen.append(json.loads(line.removeprefix("data:")))
            assert seen[-1]["state"] == "done"
            assert seen[-1]["progress"] == {"done": 8, "total": 8, "stage": seen[-1]["progress"]["stage"]}
            status = (await program.get(answer["status_url"])).json()
            assert status["result"]["destinations"][0]["uploaded"] == 8
            assert (await program.get(f"/api/admin/poll/status/{answer['task_id']}")).status_code == 404
            site.clock.now += 60
            compared = (await program.post("/api/admin/sync-storage-stats")).json()
            await site.app.jobs.wait(compared["task_id"], 20)
            report = (await program.get(compared["status_url"])).json()
            assert report["state"] == "done"
            listed = (await program.get("/api/tasks")).json()
            assert [task["kind"] for task in listed["items"]] == ["mirror.reconcile", "mirror.backfill"]
            ended = await program.delete(f"/api/tasks/{answer['task_id']}")
            assert ended.status_code == 409
    assert len(list(nas.rglob("*.txt"))) == 8


@pytest.mark.parametrize(
    ("path", "arguments", "why"),
    [
        ("poll", {}, "no game server is set up"),
        ("backfill", {"destination": "moon"}, "no destination is set up"),
        ("verify", {"percent": 0}, "percent"),
        ("retry", {"nmaes": ["x"]}, "nmaes"),
    ],
)
async def test_a_task_that_cannot_be_says_why(site: Site, path: str, arguments: dict[str, Any], why: str) -> None:
    async with await site.program(Scope.ADMIN) as program:
        answer = await program.post(f"/api/admin/{path}", json=arguments)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


async def test_a_change_is_told_to_who_listens(site: Site) -> None:
    async with await site.program(Scope.GAMES) as program, program.stream("GET", "/api/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: changed"
        # The stream's first look is what later ones are compared with.
        for number, file in enumerate(two_evenings()[:3]):
            await import_all(site.app.database, [file], server=f"server{number}")
            await asyncio.sleep(LOOK_EVERY / 2)
        async for line in lines:
            if line.startswith("data:") and (names := json.loads(line.removeprefix("data:"))):
                break
    assert {"games", "files"} <= set(names)


# ---------------------------------------------------------------------- who watches


async def test_metrics_are_well_formed_and_name_no_person_and_no_file(site: Site) -> None:
    async with site.visitor() as visitor:
        answer = await visitor.get("/metrics")
    assert answer.status_code == 200
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    for name in (
        "etl_sync_source_up",
        "etl_sync_source_last_success_timestamp_seconds",
        "etl_sync_files",
        "etl_sync_import",
        "etl_sync_job_queue_depth",
    ):
        assert name in families
    imported = [s for s in families["etl_sync_files"].samples if s.labels == {"server": "main", "state": "imported"}]
    assert [sample.value for sample in imported] == [8]
    for secret in ("anna", "dora", ".txt", "0000000B", str(site.app.settings.local_stats_path)):
        assert secret not in answer.text


async def test_metrics_behind_a_proxy_take_the_token(
    played: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_TOKEN_OF_THE_TEST", "a-long-token")
    web = {"public_url": "https://stats.example.org", "metrics_token_env": "METRICS_TOKEN_OF_THE_TEST"}
    async with open_site(played, tmp_path, web=web) as site, site.visitor() as visitor:
        assert (await visitor.get("/metrics")).status_code == 401
        for shown, status in (("Bearer wrong", 401), ("Basic a-long-token", 401), ("Bearer a-long-token", 200)):
            assert (await visitor.get("/metrics", headers={"Authorization": shown})).status_code == status


async def test_it_is_alive_and_ready_until_the_database_is_not(site: Site) -> None:
    async with site.visitor() as visitor:
        assert (await visitor.get("/healthz")).text == "ok\n"
        assert (await visitor.get("/readyz")).json() == {"ready": True}
        async with site.app.database.write() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        answer = await visitor.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False


# ---------------------------------------------------------------------- what may be seen


FORBIDDEN = ("127.0.0.1", "main", "nas", "local_stats", ".txt", "anna", "dora", "directory", "canary")


@pytest.mark.parametrize("path", ["/api/status/public", "/status"])
async def test_anybody_learns_whether_it_works_and_nothing_else(played: Database, tmp_path: Path, path: str) -> None:
    nas = tmp_path / "nas-canary"
    async with open_site(played, tmp_path, toml=NAS.format(nas)) as site, site.visitor() as visitor:
        await site.app.mirrors.copiers["nas"].cycle()
        answer = await visitor.get(path)
    assert answer.status_code == 200
    if path == "/status":
        shown = answer.text[
            answer.text.index('<section class="narrow card status-card"') : answer.text.index("</section>")
        ]
    else:
        shown = answer.text
        assert set(answer.json()) == {
            "taken_at", "colour", "status", "need_you", "places", "listing_as_of", "newest_round_at",
        }  # fmt: skip
    for word in FORBIDDEN:
        assert word not in shown, word


async def test_a_viewer_is_told_that_something_failed_and_not_where_it_lies(played: Database, tmp_path: Path) -> None:
    nas = tmp_path / "nas-canary"
    async with open_site(played, tmp_path, toml=NAS.format(nas)) as site:
        await site.app.mirrors.copiers["nas"].cycle()
        viewer, admin = await site.browser(Role.VIEWER), await site.browser(user_key="discord:2")
        async with viewer, admin:
            for path in ("/api/status", "/api/buckets/status", "/sync", "/destinations/nas", "/api/sync/failed-files"):
                seen, whole = (await viewer.get(path)).text, (await admin.get(path)).text
                assert "nas-canary" not in seen, path
                if path != "/api/sync/failed-files":
                    assert "nas-canary" in whole, f"{path}: the canary is not where it was expected"
