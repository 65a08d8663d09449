"""alerts, status, and diagnose of destinations as a person types them: real processes, folders and a receiver."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from bot.cli.common import ExitCode
from tests.cli.test_run import Desk
from tests.health.receiver import Receiver, receiver
from tools.simulate.backlog import write_backlog

TOML = """
[[destinations]]
name = "nas"
kind = "directory"
path = "{root}/nas"

[[destinations]]
name = "usb"
kind = "directory"
path = "{root}/usb"

[health]
check_limit = 0

[alerts]
webhook_url_env = "ALERT_WEBHOOK"
webhook_format = "discord"
heartbeat_url_env = "HEARTBEAT"
"""
CANARY = "canary-webhook-secret"


@pytest.fixture
async def post_office() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
async def desk(tmp_path: Path, post_office: Receiver) -> Desk:
    """A person with ten rounds, two folders for copies, and a webhook."""
    folder = tmp_path / "desk"
    folder.mkdir()
    write_backlog(folder / "old", 3, 10, last_evening_end=datetime(2025, 3, 4, 23, 30))
    for name in ("nas", "usb"):
        (tmp_path / name).mkdir()
    (folder / "bot.toml").write_text(TOML.format(root=tmp_path))
    made = Desk(
        folder, {"CONFIG_FILE": "bot.toml", "ALERT_WEBHOOK": post_office.url, "HEARTBEAT": f"{post_office.url}-beat"}
    )
    assert (await made.type("import", "old")).code == ExitCode.OK
    assert (await made.type("mirror", "sync")).code == ExitCode.OK
    return made


def copies(desk: Desk, name: str = "nas") -> list[Path]:
    return sorted((desk.folder.parent / name / "main").glob("*.txt"))


async def test_a_test_message_goes_everywhere(desk: Desk, post_office: Receiver) -> None:
    done = await desk.type("alerts", "test", "--json")
    assert done.code == ExitCode.OK
    told = {item["notifier"]: item["ok"] for item in json.loads(done.out)["notifiers"]}
    assert told == {"log": True, "webhook": True, "heartbeat": True}
    assert [taken.path.rpartition("/")[2] for taken in post_office.taken] == [CANARY, f"{CANARY}-beat"]
    post_office.always = (404, {})
    failed = await desk.type("alerts", "test")
    assert failed.code == ExitCode.PROBLEM
    assert "webhook: it answered 404" in failed.out
    assert CANARY not in failed.out + failed.err


async def test_settings_that_are_wrong_are_said_without_the_address(desk: Desk) -> None:
    path = desk.folder / "bot.toml"
    good = path.read_text()
    desk.env["ALERT_WEBHOOK"] = f"http://example.org/{CANARY}"
    for text, code, words in (
        (good, ExitCode.CONFIG, "has to begin with https://"),
        (good.replace('"ALERT_WEBHOOK"', f'"https://x/{CANARY}"'), ExitCode.CONFIG, "the name of an environment"),
        (good.replace('"ALERT_WEBHOOK"', '"NOT_SET"'), ExitCode.CONFIG, "NOT_SET is not set"),
        (good.replace("[alerts]", "[[alerts]]"), ExitCode.CONFIG, "write alerts once"),
        (good.replace("check_limit = 0", "check_limit = -1"), ExitCode.CONFIG, "CHECK_LIMIT"),
        (good.replace("check_limit", "chek_limit"), ExitCode.CONFIG, "CHEK_LIMIT"),
    ):
        path.write_text(text)
        done = await desk.type("alerts", "test")
        assert (done.code, words in done.err) == (code, True), done.err
        assert CANARY not in done.out + done.err
    path.write_text(good)
    checked = await desk.type("check-config")
    assert checked.code == ExitCode.CONFIG
    assert "has to begin with https://" in checked.out
    assert CANARY not in checked.out + checked.err


async def test_muting(desk: Desk) -> None:
    assert (await desk.type("alerts", "list")).out == "no incident yet\n"
    assert (await desk.type("alerts", "mute", "destination:*", "--until", "2h")).code == ExitCode.OK
    listed = json.loads((await desk.type("alerts", "list", "--json")).out)
    assert [item["pattern"] for item in listed["mutes"]] == ["destination:*"]
    assert (await desk.type("alerts", "mute", "x", "--until", "2020-01-01T00:00")).code == ExitCode.USAGE
    assert (await desk.type("alerts", "mute", "x", "--until", "soon")).code == ExitCode.USAGE
    assert (await desk.type("alerts", "unmute", "destination:*")).code == ExitCode.OK
    assert (await desk.type("alerts", "unmute", "destination:*")).code == ExitCode.PROBLEM


async def test_incidents_are_listed_with_what_to_do(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / "etlegacy_production.db") as database:
        database.execute(
            "INSERT INTO incidents (key, live_key, state, colour, title, text, command, began_at, first_seen_at, "
            "last_seen_at, sightings, opened_at) VALUES ('destination:nas:auth', 'destination:nas:auth', 'open', "
            "'red', 'destination nas: not reached', 'not reached: no', 'python -m bot mirror sync nas', 1, 1, 1, 1, 1)"
        )
    database.close()
    done = await desk.type("alerts", "list")
    assert done.code == ExitCode.PROBLEM
    assert done.out.splitlines()[0].startswith("destination:nas:auth  OPEN  since 1970-01-01")
    assert "do: python -m bot mirror sync nas" in done.out


async def test_status_shows_every_place_with_its_reasons(desk: Desk) -> None:
    done = await desk.type("status")
    assert done.code == ExitCode.OK, done.out
    assert done.out.startswith("SYNC  ● ok")
    assert "10/10" in done.out
    record = json.loads((await desk.type("status", "--json")).out)
    assert (record["colour"], record["need_you"]) == ("green", 0)
    assert [place["ledger"]["stored"] for place in record["destinations"]] == [10, 10]
    copies(desk)[0].write_bytes(b"other bytes")
    await desk.type("mirror", "sync")
    done = await desk.type("status")
    assert done.code == ExitCode.PROBLEM
    assert "SYNC  ■ attention (1 of 2 needs you)" in done.out
    assert "1 file there with other bytes  -> python -m bot diagnose --destination nas" in done.out


async def test_the_printed_command_mends_it(desk: Desk) -> None:
    """Every command that the diagnosis prints is typed as it stands, until nothing is left to do."""
    first, second, *_ = copies(desk)
    first.unlink()
    second.write_bytes(b"other bytes")
    for _ in range(4):
        record = json.loads((await desk.type("diagnose", "--destination", "nas", "--json")).out)
        findings = record["destinations"][0]["findings"]
        assert record["servers"] == []
        commands = {finding["do"] for finding in findings if finding["severity"] == "problem"}
        if not commands:
            break
        for command in sorted(commands):
            assert command.startswith("python -m bot ")
            done = await desk.type(*command.split()[3:])
            assert done.code != ExitCode.USAGE, done.err
    # What was replaced is kept beside it: good to know, and nothing to do.
    assert [finding["severity"] for finding in findings] == ["ok"]
    assert (await desk.type("diagnose", "--destination", "nas")).code == ExitCode.OK
    assert [path.read_bytes() for path in copies(desk)] == [path.read_bytes() for path in copies(desk, "usb")]


async def test_two_destinations_are_compared(desk: Desk) -> None:
    lost = copies(desk, "usb")[0]
    lost.unlink()
    (desk.folder.parent / "nas" / "main" / "holiday.jpg").write_bytes(b"x")
    done = await desk.type("diagnose", "--compare", "nas", "usb")
    assert done.code == ExitCode.PROBLEM
    assert "nas       11 = 9 also in usb + 2 only in nas" in done.out
    assert "usb       9 = 9 also in nas" in done.out
    assert lost.name in done.out
    assert "do       python -m bot mirror sync usb" in done.out
    record = json.loads((await desk.type("diagnose", "--compare", "nas", "usb", "--json")).out)
    named = [name for finding in record["only_in_nas"] for name in finding["names"]]
    assert sorted(named) == sorted([f"main/{lost.name}", "main/holiday.jpg"])
    assert (await desk.type("diagnose", "--compare", "nas", "nas")).code == ExitCode.USAGE
    assert (await desk.type("diagnose", "--compare", "nas", "moon")).code == ExitCode.USAGE
    assert (await desk.type("diagnose", "--destination", "moon")).code == ExitCode.USAGE


async def test_a_destination_that_is_gone_is_stale_and_the_rest_is_told(desk: Desk) -> None:
    assert (await desk.type("reconcile", "run", "usb")).code == ExitCode.OK
    shutil.rmtree(desk.folder.parent / "usb")
    done = await desk.type("diagnose", "--json")
    assert done.code == ExitCode.PROBLEM
    record = json.loads(done.out)
    places = {place["destination"]: place for place in record["destinations"]}
    assert (places["nas"]["stale"], places["nas"]["status"]) == (False, "ok")
    assert (places["usb"]["stale"], places["usb"]["basis"]) == (True, "last run")
    assert places["usb"]["sums"]["usb: listed"]["total"] == 10
    assert [server["status"] for server in record["servers"]] != []
    last = json.loads((await desk.type("diagnose", "--destination", "usb", "--last", "--json")).out)
    assert last["destinations"][0]["stale"] is False


async def test_the_history_of_a_file_names_the_destinations(desk: Desk) -> None:
    name = copies(desk)[0].name
    done = await desk.type("diagnose", "--file", name)
    assert "  nas        present (" in done.out
    assert "usb: sent  (ledger)" in done.out
