"""The matrix, the funnel's neighbours and what viewers are told: never better than it is, never more than is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.health.colour import Colour, Reason, Verdict
from bot.health.overview import DestinationView
from bot.mirror.runs import Cause
from bot.web.access import ALL_SCOPES, VIEWER_SCOPES, Identity
from bot.web.places import HIDDEN_ERROR, Cell, _cell, drift_of, for_eyes, matrix, overview
from tests.stats.games import import_all
from tests.web.site import open_site, two_evenings

ADMIN = Identity("web:discord:1", "Ann", ALL_SCOPES)
VIEWER = Identity("web:discord:2", "Vic", VIEWER_SCOPES)


def view(colour: Colour, *, stale: bool = False, untracked: int = 0) -> DestinationView:
    return DestinationView("nas", "directory", Verdict(colour), stale=stale, untracked=untracked)


@pytest.mark.parametrize(
    ("states", "destination", "colour"),
    [
        ({"verified": 5}, view(Colour.GREEN), Colour.GREEN),
        ({"verified": 4, "pending": 1}, view(Colour.GREEN), Colour.GREEN),
        ({"verified": 4, "pending": 1}, view(Colour.YELLOW), Colour.YELLOW),
        ({"verified": 4, "missing": 1}, view(Colour.RED), Colour.RED),
        ({"verified": 5}, view(Colour.RED), Colour.GREEN),  # another server's files are what is wrong there
        ({"verified": 5}, view(Colour.RED, stale=True), Colour.RED),
        ({"verified": 5}, view(Colour.YELLOW, stale=True), Colour.YELLOW),
        ({"verified": 5}, view(Colour.UNKNOWN), Colour.UNKNOWN),
        ({"verified": 4, "failed": 1}, view(Colour.GREY), Colour.GREY),
    ],
)
def test_a_cell_is_never_better_than_what_is_known(
    states: dict[str, int], destination: DestinationView, colour: Colour
) -> None:
    assert _cell(states, 5, destination).colour is colour


async def test_every_server_has_its_own_numbers_at_every_destination(played: Database, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    toml = f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{nas}"\n'
    await import_all(played, two_evenings()[:2], server="second")
    async with open_site(played, tmp_path, toml=toml) as site:
        copier = site.app.mirrors.copiers["nas"]
        await copier.cycle()
        (nas / "second" / "2025-03-03-211003-supply-round-1.txt").write_bytes(b"other bytes")
        await copier.cycle()
        await import_all(played, two_evenings()[2:3], server="second")
        found = await overview(site.state)
        async with site.app.database.read() as connection:
            cells = await matrix(connection, found)
    assert cells["main", "nas"] == Cell(cells["main", "nas"].colour, 8, 8, 0, 0)
    assert cells["second", "nas"] == Cell(Colour.RED, 1, 3, 1, 1)


async def test_drift_adds_up_the_last_comparison_of_every_destination(played: Database, tmp_path: Path) -> None:
    toml = ""
    for name in ("nas", "usb"):
        (tmp_path / name).mkdir()
        toml += f'[[destinations]]\nname = "{name}"\nkind = "directory"\npath = "{tmp_path / name}"\n'
    async with open_site(played, tmp_path, toml=toml) as site, site.app.jobs.started(pick_up=True):

        async def compare(name: str) -> None:
            site.clock.now += 3600
            job = await site.app.actions.submit("mirror.reconcile", {"destination": name}, "cli:test")
            await site.app.jobs.wait(job.id, 30)

        began = int(site.clock())
        for name in ("nas", "usb"):
            await site.app.mirrors.copiers[name].cycle()
            (tmp_path / name / "main" / "holiday.jpg").write_bytes(b"not ours")
            await compare(name)
        (tmp_path / "nas" / "main" / "holiday.jpg").unlink()
        await compare("nas")
        (foreign,) = await drift_of(site.state, ["nas", "usb"], began)
    assert foreign.name == Cause.FOREIGN.value
    assert [(at - began, value) for at, value in foreign.points] == [(3600, 1.0), (7200, 2.0), (10800, 1.0)]


def test_a_viewer_sees_that_something_is_wrong_and_an_admin_what() -> None:
    reason = Reason("unreachable", Colour.RED, "not reached: sftp://et@10.0.0.1/home/et refused")
    record = {
        "error": "10.0.0.1 refused",
        "reasons": [{"code": reason.code, "text": reason.text}, {"code": "parked", "text": "1 file waits for you"}],
        "nested": [{"error": None}, {"error": "secret"}],
    }
    assert for_eyes(ADMIN, record) == record
    assert for_eyes(VIEWER, record) == {
        "error": HIDDEN_ERROR,
        "reasons": [{"code": "unreachable", "text": "not reached"}, {"code": "parked", "text": "1 file waits for you"}],
        "nested": [{"error": None}, {"error": HIDDEN_ERROR}],
    }
