"""The benchmarks themselves: ratios, targets, table, history, and each comparison once with a handful of files."""

import asyncio
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.standins.objectstores import rclone_program
from tests.standins.sshd import sshd_or_skip
from tools.bench import fetching, importing, mirroring, steady, web
from tools.bench.__main__ import Group, Options, comparisons
from tools.bench.environment import Environment, absent, run, tool, worker
from tools.bench.material import Material
from tools.bench.measure import (
    MEMORY,
    SECONDS,
    Comparison,
    Contender,
    Measure,
    MeasureError,
    Outcome,
    Result,
    Sample,
    Target,
    compare,
    judge,
    ratio,
)
from tools.bench.report import HISTORY, amount, append_history, busy, machine, print_outcome, record, summary, versions

FILES = 20


def result(name: str, *seconds: float | None) -> Result:
    return Result(name, [None if value is None else {"seconds": value} for value in seconds])


def scripted(*seconds: float) -> Measure:
    left = iter(seconds)

    async def measure() -> Sample:
        return {"seconds": next(left), "memory": 50.0}

    return measure


async def failing() -> Sample:
    raise MeasureError("it fell over")


def shown(outcome: Outcome) -> str:
    out = io.StringIO()
    print_outcome(outcome, Console(file=out, width=160))
    return out.getvalue()


# ---------------------------------------------------------------------- ratios and targets


def test_a_ratio_is_the_median_of_the_ratios_of_each_round_of_runs() -> None:
    # The machine got ten times slower for the second round: the ratio does not mind.
    found = ratio(result("theirs", 2.0, 20.0, 3.0), result("ours", 1.0, 10.0, 1.0), "seconds")
    assert found is not None
    assert (found.median, found.least, found.most) == (2.0, 2.0, 3.0)


def test_rounds_that_one_of_them_lacks_do_not_count() -> None:
    found = ratio(result("theirs", 8.0, None, 4.0), result("ours", 2.0, 1.0), "seconds")
    assert found is not None
    assert found.median == 4.0
    assert ratio(result("theirs", None), result("ours", 1.0), "seconds") is None
    assert ratio(result("theirs", 1.0), result("ours", 0.0), "seconds") is None
    assert ratio(result("theirs", 1.0), result("ours", 1.0), "memory") is None


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("", most=2.0), 2.0, True),
        (Target("", most=1.9), 2.0, False),
        (Target("", most=1.9, when=False), 2.0, None),
        (Target("", metric="memory", most=1.0), None, None),
        (Target("", most=0.5, against=("slow",)), 0.5, True),
        (Target("", most=0.4, against=("slow",)), 0.5, False),
        (Target("", least=2.0, against=("slow",)), 2.0, True),
        (Target("", least=2.1, against=("slow",)), 2.0, False),
        (Target("", least=1.6, against=("slow", "quick")), 1.5, False),
        (Target("", least=1.4, against=("slow", "absent")), 2.0, True),
        (Target("", least=1.4, against=("absent",)), None, None),
    ],
)
def test_targets(target: Target, value: float | None, met: bool | None) -> None:
    results = {
        "slow": result("slow", 4.0, 4.0),
        "quick": result("quick", 3.0, 3.0),
        "absent": result("absent", None, None),
    }
    verdict = judge(target, result("ours", 2.0, 2.0), results)
    assert (verdict.value, verdict.met) == (value, met)


async def test_contenders_take_turns() -> None:
    order: list[str] = []

    def noting(name: str) -> Measure:
        async def measure() -> Sample:
            order.append(name)
            return {"seconds": 1.0}

        return measure

    comparison = Comparison("key", "title", [Contender(name, noting(name)) for name in ("ours", "theirs")])
    progress: list[tuple[str, int, int]] = []
    await compare(comparison, 2, lambda *what: progress.append(what))
    assert order == ["ours", "theirs", "ours", "theirs"]
    assert progress == [("ours", 1, 2), ("theirs", 1, 2), ("ours", 2, 2), ("theirs", 2, 2)]


async def test_a_comparison_can_ask_for_fewer_runs() -> None:
    outcome = await compare(Comparison("key", "title", [Contender("ours", scripted(1, 2, 3))], runs=2), 5)
    assert outcome.ours.values("seconds") == [1, 2]


async def test_another_tool_that_fails_is_left_out_with_the_reason_and_ours_is_not() -> None:
    theirs = [Contender("theirs", failing), Contender("absent", scripted(), "absent is not installed")]
    targets = (Target("faster", least=2, against=("theirs", "absent")),)
    outcome = await compare(
        Comparison("key", "title", [Contender("ours", scripted(1, 1)), *theirs], targets=targets), 2
    )
    assert outcome.results["theirs"].skipped == "failed: it fell over"
    assert outcome.verdicts[0].met is None
    text = shown(outcome)
    assert "skipped: failed: it fell over" in text
    assert "skipped: absent is not installed" in text
    assert "target faster (not judged here)" in text
    with pytest.raises(MeasureError):
        await compare(Comparison("key", "title", [Contender("ours", failing)]), 1)


# ---------------------------------------------------------------------- table and history


async def measured() -> Outcome:
    contenders = [Contender("ours", scripted(0.5, 0.7, 0.6)), Contender("theirs", scripted(1.0, 1.4, 1.2))]
    targets = (Target("twice as fast", least=2, against=("theirs",)), Target("in no time", most=0.001))
    comparison = Comparison("key", "What is done", contenders, (SECONDS, MEMORY), targets, note="Mind the note.")
    return await compare(comparison, 3)


async def test_the_table_shows_median_spread_ratio_and_verdicts() -> None:
    text = shown(await measured())
    for part in (
        "What is done",
        "0.60 s",
        "0.50 s to 0.70 s",
        "2.00",
        "50 MiB",
        "Mind the note.",
        "target twice as fast: 2 met",
        "target in no time: 0.6 MISSED",
    ):
        assert part in text, part
    assert summary([await measured()]) == "1 of 2 targets met, 1 missed, 0 not judged\n  missed: key: in no time"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (123.4, "123.4 s"), (1.234, "1.23 s"), (0.0123, "12.3 ms"), (0.000123, "123 µs")],
)
def test_amounts_of_time(value: float | None, text: str) -> None:
    assert amount(value, SECONDS) == text
    assert amount(1234.5, MEMORY) == "1,234 MiB"


async def test_every_run_is_appended_to_the_history(tmp_path: Path) -> None:
    outcome = await measured()
    for number in (1, 2):
        began = datetime(2025, 11, 20, number, tzinfo=UTC)
        path = append_history(tmp_path / "new", [outcome], began=began, options={"runs": 3}, load_before=0.5)
    assert path == tmp_path / "new" / HISTORY
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["date"] for line in lines] == ["2025-11-20T01:00:00+00:00", "2025-11-20T02:00:00+00:00"]
    line = lines[0]
    assert line["options"] == {"runs": 3}
    assert line["machine"]["cores"] >= 1
    assert line["machine"]["load_before"] == 0.5
    assert {"python", "sqlite", "asyncssh"} <= line["versions"].keys()
    assert line["rows"] == [record(outcome)]
    row = line["rows"][0]
    assert row["contenders"]["theirs"]["ratio_to_ours"] == 2.0
    assert row["contenders"]["ours"]["median"] == {"memory": 50.0, "seconds": 0.6}
    assert [run["seconds"] for run in row["contenders"]["ours"]["runs"]] == [0.5, 0.7, 0.6]
    assert row["targets"][1] == {"text": "in no time", "value": 0.6, "met": False}


def test_a_busy_machine_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert busy(2.0) is None
    assert "load 2.1 on 4 cores" in str(busy(2.1))


def test_the_machine_has_no_name() -> None:
    assert {"cpu", "cores", "memory_mib", "system"} == machine().keys()
    assert "rclone" not in versions() or absent("rclone") is None


# ---------------------------------------------------------------------- running things


def test_material_is_made_once(tmp_path: Path) -> None:
    material = Material(tmp_path)
    folder = material.plain(3, 10)
    names = sorted(path.name for path in folder.iterdir())
    assert [path.stat().st_size for path in folder.iterdir()] == [10, 10, 10]
    (folder / names[0]).unlink()
    assert sorted(path.name for path in material.plain(3, 10).iterdir()) == names[1:]
    (tmp_path / f"{folder.name}.complete").unlink()
    assert sorted(path.name for path in material.plain(3, 10).iterdir()) == names
    assert len(list(material.rounds(5).iterdir())) == 5


async def test_tools_that_are_absent_fail_or_hang_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert absent("no-such-program") == "no-such-program is not installed"
    assert absent("sh") is None
    assert {"seconds", "cpu", "whole"} == (await tool("sh", "-c", "cat > /dev/null", stdin=b"text")).keys()
    with pytest.raises(MeasureError, match="No such file"):
        await tool("no-such-program")
    with pytest.raises(MeasureError, match=r"^out of luck$"):
        await tool("sh", "-c", "echo first >&2; echo out of luck >&2; exit 3")
    with pytest.raises(MeasureError, match="code 3"):
        await tool("sh", "-c", "exit 3")
    monkeypatch.setattr("tools.bench.environment._LONGEST_RUN", 0.2)
    with pytest.raises(MeasureError, match=r"not done after 0\.2 s"):
        await run(("sleep", "60"))


async def test_a_worker_that_fails_says_why() -> None:
    with pytest.raises(MeasureError, match="KeyError"):
        await worker("no_such_task")


def test_the_command_line_refuses_what_it_does_not_know() -> None:
    import typer

    from tools.bench.__main__ import main

    app = typer.Typer()
    app.command()(main)
    refused = CliRunner().invoke(app, ["--only", "parse,nonsense"])
    assert refused.exit_code == 2
    assert "nonsense" in refused.output


# ---------------------------------------------------------------------- each comparison, once


async def once(all_of_them: Sequence[Comparison]) -> dict[str, Outcome]:
    outcomes = {comparison.key: await compare(comparison, 1) for comparison in all_of_them}
    for outcome in outcomes.values():
        assert outcome.ours.values(outcome.comparison.metrics[0].key), outcome.comparison.key
        for name, result in outcome.results.items():
            assert result.skipped is None or "not installed" in result.skipped, f"{name}: {result.skipped}"
            assert (result.skipped is not None) == ("skipped" in shown_row(outcome, name)), name
        for verdict in outcome.verdicts:
            assert verdict.value is not None or any(r.skipped for r in outcome.results.values()), verdict
    return outcomes


def shown_row(outcome: Outcome, name: str) -> str:
    return next(line for line in shown(outcome).splitlines() if line.startswith(f"│ {name} "))


async def test_fetching_near(tmp_path: Path) -> None:
    sshd_or_skip()
    async with Environment(tmp_path) as environment:
        outcomes = await once([await fetching.near(environment, 4)])
    ours = outcomes["fetch-near"].ours.samples[0]
    assert ours is not None
    assert ours["files"] == 4
    assert ours["memory"] > 10
    assert [path.name for path in tmp_path.iterdir()] == ["material"], "the rest is cleared away"


async def test_fetching_and_listing_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sshd_or_skip()
    monkeypatch.setattr("tools.bench.environment.FAR", 4.0)
    async with Environment(tmp_path) as environment:
        all_of_them = [await fetching.far(environment, 3, whole=False), await fetching.names(environment, FILES)]
        outcomes = await once(all_of_them)
    listed = outcomes["list-far"].ours.samples[0]
    assert listed is not None
    assert listed["files"] == FILES


async def test_tools_that_are_not_installed_are_skipped_visibly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd_or_skip()
    async with Environment(tmp_path) as environment:
        await environment.far()
        monkeypatch.setattr("tools.bench.environment.shutil.which", lambda _program: None)
        outcome = await compare(await fetching.names(environment, 3), 1)
    assert outcome.results["lftp"].skipped == "lftp is not installed"
    assert "skipped: lftp is not installed" in shown(outcome)


async def test_without_an_sshd_nothing_is_fetched_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("tests.standins.sshd.shutil.which", lambda *_, **__: None)
    options = Options(only=(Group.FETCH, Group.POLL, Group.IDLE), runs=1, files=3, names=3)
    async with Environment(tmp_path) as environment:
        for comparison in await comparisons(environment, options):
            assert "skipped: needs OpenSSH's sshd" in shown(await compare(comparison, 1))


async def test_parsing_and_importing(tmp_path: Path) -> None:
    async with Environment(tmp_path) as environment:
        all_of_them = [importing.parse(environment, FILES), *await importing.imports(environment, FILES, whole=False)]
        if await environment.postgres() is not None:
            all_of_them = [one for one in all_of_them if one.key != "import-postgres"]
        outcomes = await once(all_of_them)
    for key in ("import-sqlite", "import-postgres"):
        if key in outcomes:
            ours, floor = (one.samples[0] for one in outcomes[key].results.values())
            assert ours is not None
            assert floor is not None
            assert ours["files"] == FILES
            assert floor["rows"] > 10 * FILES
    growth = outcomes["import-growth"].ours.samples[0]
    assert growth is not None
    assert growth["files"] == 3 * FILES


async def test_a_whole_backlog(tmp_path: Path) -> None:
    sshd_or_skip()
    async with Environment(tmp_path) as environment:
        outcomes = await once([await importing.backlog(environment, FILES)])
    ours = outcomes["backlog"].ours.samples[0]
    assert ours is not None
    assert ours["files"] == FILES


async def test_polls_start_and_idling(tmp_path: Path) -> None:
    sshd_or_skip()
    async with Environment(tmp_path) as environment:
        all_of_them = [*await steady.polls(environment, [FILES]), steady.start()]
        outcomes = await once([*all_of_them, await steady.idle(environment, FILES, 0.5)])
    poll = outcomes[f"poll-{FILES}"].ours.samples[0]
    assert poll is not None
    assert poll["files"] == FILES
    assert poll["cold_queries"] == 1
    assert poll["warm_queries"] == 0


async def test_copies_in_sync_and_uploaded(tmp_path: Path) -> None:
    async with Environment(tmp_path) as environment:
        outcomes = await once([make(environment, "moto", 4) for make in (mirroring.in_sync, mirroring.upload)])
    for key in ("in-sync-moto", "upload-moto"):
        for name, result in outcomes[key].results.items():
            if name.startswith(("ours", "bare")):
                (sample,) = result.samples
                assert sample is not None, result.skipped
                # A bare listing shows the probe's object as well.
                assert sample["files"] == (5 if name.startswith("bare") else 4)
                assert sample["whole"] > sample["seconds"]


async def test_five_destinations_get_five_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rclone_program()
    monkeypatch.setattr("tools.bench.environment.FAR", 4.0)
    async with Environment(tmp_path) as environment:
        outcomes = await once([mirroring.several(environment, 2)])
    samples = [result.samples[0] for result in outcomes["five-destinations"].results.values()]
    assert [sample and sample["files"] for sample in samples] == [10, 2]


def test_a_target_may_be_about_another_contender_than_the_first() -> None:
    results = {name: result(name, value) for name, value in (("ours", 9.0), ("our other way", 1.0), ("theirs", 2.0))}
    target = Target("faster than theirs", most=1, against=("theirs",), contender="our other way")
    assert judge(target, results["ours"], results).value == 0.5


async def test_a_process_that_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="it ended"):
        await asyncio.wait_for(steady._run({"SSH_HOST": "only a host"}, tmp_path, 0.1), 30)


async def test_pages_over_a_database_and_over_one_with_many_more_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_ASKED", 2)
    async with Environment(tmp_path) as environment:
        for many in (None, 1000):
            comparison = web._pages(environment, FILES, many, "Web pages", 0.1, judged=False)
            outcomes = await once([comparison])
            (sample,) = outcomes[comparison.key].ours.samples
            assert sample is not None
            assert sample["pages"] == 26
            assert 0 < sample["seconds"] <= sample["slowest_page"]
        kept = {path.name for path in environment.material.folder.glob("web-*.db")}
    assert kept == {"web-20-once.db", "web-20-1000.db"}


async def test_a_database_is_multiplied_into_one_that_holds_together(tmp_path: Path) -> None:
    from sqlalchemy import func, select, text

    from bot.db.engine import Database
    from bot.db.schema import player_lifetimes, player_rounds, player_totals, player_weapons, rounds, sessions
    from bot.stats.rollups import is_current
    from tools.bench.many_rounds import multiply

    url = f"sqlite+aiosqlite:///{tmp_path / 'many.db'}"
    async with Environment(tmp_path) as environment:
        await worker("import_archive", url=url, archive=str(environment.material.rounds(FILES)))
    database = Database(url)
    tables = (rounds, sessions, player_rounds, player_weapons)

    async def counted() -> list[int]:
        async with database.read() as connection:
            queries = [select(func.count()).select_from(table) for table in tables]
            return [(await connection.execute(query)).scalar_one() for query in queries]

    try:
        before = await counted()
        assert await multiply(database, 6 * before[2]) == 6 * before[2]
        assert await counted() == [6 * number for number in before]
        async with database.read() as connection:
            assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []
            assert await is_current(connection)
            lines = select(func.sum(player_rounds.c.kills)).join(rounds, rounds.c.id == player_rounds.c.round_id)
            kills = (await connection.execute(lines.where(rounds.c.excluded.is_(None)))).scalar_one()
            for kept in (player_totals, player_lifetimes):
                assert (await connection.execute(select(func.sum(kept.c.kills)))).scalar_one() == kills
    finally:
        await database.close()
