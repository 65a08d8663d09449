"""One file's history: what every place knows of it, in the order of time."""

from __future__ import annotations

from bot.health.replay import ignore_files
from bot.health.timeline import file_history
from parsers import PARSER_VERSION
from tests.health.clinic import MORNING, Clinic, named_time


def names_of(house: Clinic) -> list[str]:
    return sorted(path.name for path in house.games.glob("*.txt"))


async def test_imported_file_tells_everything(house: Clinic) -> None:
    second = next(name for name in names_of(house)[2:] if name.endswith("-round-2.txt"))
    first = names_of(house)[names_of(house).index(second) - 1]
    async with house.poller() as poller:
        history = await file_history(poller, second)
    assert history.known
    assert history.on_server == f"{(house.games / second).stat().st_size} bytes"
    assert history.archive == "ok"
    assert history.database == "ok"
    assert history.parser == f"{PARSER_VERSION} (current)"
    assert history.round is not None
    assert history.round["number"] == 2
    assert history.match is not None
    assert (history.match["other_round"], history.match["status"]) == (first, "complete")
    assert history.session is not None
    assert history.session["started_at"] < history.session["ended_at"]
    assert [(event.at, event.what.split(":")[0]) for event in history.events] == [
        (named_time(second), "written on the game server, by its clock"),
        (named_time(second), "round 2 of " + second[18:].removesuffix("-round-2.txt").lower() + " ended"),
        (MORNING, "first seen"),
        (MORNING, "fetched"),
        (MORNING, f"imported with parser {PARSER_VERSION}"),
    ]


async def test_file_that_was_changed_went_and_was_deleted_here(house: Clinic) -> None:
    name = names_of(house)[6]
    earlier = (house.games / name).read_bytes()
    house.clock.now += 3600
    house.put(name, earlier.replace(b"\r\n", b"\n"), at=MORNING + 100)
    await house.poll()
    house.clock.now += 3600
    (house.games / name).unlink()
    await house.poll()
    (house.attic / name).unlink()
    async with house.poller() as poller:
        history = await file_history(poller, name)
    assert history.archive == "missing"
    assert history.database == "ok"
    assert history.on_server == "not listed"
    ((_, replaced_at),) = history.earlier
    assert replaced_at == MORNING + 3600
    assert [event.what.split(":")[0].split(" (")[0] for event in history.events if event.at > MORNING] == [
        "fetched",
        f"imported with parser {PARSER_VERSION}",
        "an earlier content was replaced",
        "not listed by the game server any more",
    ]


async def test_failed_file_and_what_a_person_did_about_it(house: Clinic) -> None:
    name = "2025-10-01-120000-supply-round-1.txt"
    house.put(name, b"no stats\n")
    await house.poll()
    async with house.poller() as poller:
        history = await file_history(poller, name)
        assert history.ledger is not None
        assert history.ledger.state.value == "failed"
        assert history.events[-1].what == "next try after 1 try"
        assert history.events[-1].at == MORNING + 60
        house.clock.now += 5
        await ignore_files(poller, [name], "nonsense", actor="cli:anna")
        await house.server.stop()
        history = await file_history(poller, name)
    assert history.on_server.startswith("unknown: ")
    assert history.events[-1].what == "files.ignore by cli:anna"


async def test_file_that_only_lies_in_the_archive(house: Clinic) -> None:
    name = "2025-10-02-120000-supply-round-1.txt"
    async with house.poller() as poller:
        assert not (await file_history(poller, name)).known
        (house.attic / name).write_bytes(b"x\n")
        history = await file_history(poller, name)
    assert history.known
    assert history.archive.startswith("unproven")
    assert history.database == "none"
