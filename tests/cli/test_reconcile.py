"""reconcile, mirror inspect and mirror verify as their users type them: real processes, and a folder as destination."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli.common import ExitCode
from tests.cli.test_mirror import copies
from tests.cli.test_mirror import desk as desk  # the same desk: thirty rounds, one folder
from tests.cli.test_run import Desk


def nas(desk: Desk) -> Path:
    return desk.folder.parent / "nas"


async def compared(desk: Desk, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = await desk.type("reconcile", "run", *arguments, "--json")
    (record,) = json.loads(answer.out)["destinations"]
    return answer.code, record


async def test_compare_put_right_look_again_and_read_it_back(desk: Desk) -> None:
    assert (await desk.type("mirror", "sync")).code == ExitCode.OK
    files = len(copies(desk))
    agreed = await desk.type("reconcile", "run")
    assert agreed.code == ExitCode.OK
    assert f"tracked {files} files" in agreed.out
    assert ": match" in agreed.out
    assert f"listed {files} = {files} present" in agreed.out

    gone = copies(desk)[0]
    (nas(desk) / "main" / gone).unlink()
    (nas(desk) / "=cmd()").write_bytes(b"not ours")
    code, dry = await compared(desk, "nas", "--dry-run")
    assert (code, dry["id"], dry["repaired"], dry["match"]) == (ExitCode.PROBLEM, None, 1, False)
    code, done = await compared(desk, "nas")
    assert code == ExitCode.PROBLEM
    assert (done["tracked"]["objects"], done["real"]["objects"], done["repaired"]) == (files, files, 1)
    assert done["causes"] == {"foreign": 1, "unexplained": 1}
    assert {item["key"]: item["state"] for item in done["differences"]} == {
        f"main/{gone}": "missing",
        "=cmd()": "extra",
    }
    assert gone not in copies(desk), "a destination was changed"

    runs = json.loads((await desk.type("reconcile", "list", "--json")).out)["runs"]
    assert [item["id"] for item in runs] == [done["id"], done["id"] - 1]
    assert runs[0]["actor"].startswith("cli:")
    table = (await desk.type("reconcile", "list", "nas")).out
    assert str(done["id"]) in table

    shown = await desk.type("reconcile", "show", str(done["id"]))
    assert shown.code == ExitCode.OK
    assert "MISMATCH" in shown.out
    assert "→ python -m bot mirror sync nas" in shown.out
    rows = list(csv.DictReader(io.StringIO((await desk.type("reconcile", "show", str(done["id"]), "--csv")).out)))
    assert [row["key"] for row in rows] == ["'=cmd()", f"main/{gone}"]
    assert rows[1]["cause"] == "unexplained"
    assert rows[1]["rule"]

    status = await desk.type("mirror", "status")
    assert status.code == ExitCode.PROBLEM
    assert f"python -m bot reconcile show {done['id']}" in status.out

    (nas(desk) / "=cmd()").unlink()
    assert (await desk.type("mirror", "sync")).code == ExitCode.OK
    assert (await desk.type("reconcile", "run")).code == ExitCode.OK
    assert (await desk.type("mirror", "status")).code == ExitCode.OK


async def test_read_back_what_is_there(desk: Desk) -> None:
    await desk.type("mirror", "sync")
    files = len(copies(desk))
    part = json.loads((await desk.type("mirror", "verify", "nas", "--percent", "50", "--json")).out)
    (record,) = part["destinations"]
    assert record["read"] == -(-files // 2)
    assert record["coverage"]["never_read"] == files // 2
    whole = await desk.type("mirror", "verify", "--percent", "100")
    assert whole.code == ExitCode.OK
    assert f"{files} of {files} read back" in whole.out
    assert "every object re-read within 1 d" in whole.out
    path = nas(desk) / "main" / copies(desk)[0]
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    broken = await desk.type("mirror", "verify", "nas", "--percent", "100")
    assert broken.code == ExitCode.PROBLEM
    assert f"NOT THE SAME: main/{path.name}" in broken.out
    code, done = await compared(desk, "nas")
    assert (code, [item["state"] for item in done["differences"]]) == (ExitCode.PROBLEM, ["differs"])


async def test_look_at_what_is_there_and_what_it_costs(desk: Desk) -> None:
    text = (desk.folder / "bot.toml").read_text()
    (desk.folder / "bot.toml").write_text(text + 'price_per_gb_month = 10.0\ncurrency = "EUR"\n')
    first = json.loads((await desk.type("mirror", "inspect", "--json")).out)["destinations"][0]
    assert (first["connection"], first["objects"], first["cost_per_month"]["total"]) == ("ok", 0, 0.0)
    await desk.type("mirror", "sync")
    seen = json.loads((await desk.type("mirror", "inspect", "nas", "--json")).out)["destinations"][0]
    size = sum(path.stat().st_size for path in (nas(desk) / "main").iterdir())
    assert (seen["basis"], seen["objects"], seen["as_of"] is not None) == ("listing", 0, True), "the first listing"
    fresh = json.loads((await desk.type("mirror", "inspect", "--refresh", "--json")).out)["destinations"][0]
    assert (fresh["objects"], fresh["bytes"]) == (len(copies(desk)), size)
    assert fresh["prefixes"] == {"main": {"objects": len(copies(desk)), "bytes": size}}
    assert fresh["cost_per_month"]["currency"] == "EUR"
    assert fresh["cost_per_month"]["storage"] == pytest.approx(size / 1e8)

    (nas(desk) / ".etlegacy-stats-bot").unlink()
    failed = await desk.type("mirror", "inspect", "--refresh")
    assert failed.code == ExitCode.DESTINATION
    assert f"{len(copies(desk))} objects" in failed.out
    assert "STALE" in failed.out
    assert "it cannot be reached" in failed.out
    deep = await desk.type("mirror", "inspect", "--deep")
    assert deep.code == ExitCode.DESTINATION


async def test_one_that_cannot_be_reached_does_not_hold_up_the_others(desk: Desk) -> None:
    text = (desk.folder / "bot.toml").read_text()
    (desk.folder / "bot.toml").write_text(
        text + '\n[[destinations]]\nname = "gone"\nkind = "directory"\npath = "/nowhere/at/all"\n'
    )
    answer = await desk.type("reconcile", "run", "--json")
    assert answer.code == ExitCode.DESTINATION
    found = {record["destination"]: record for record in json.loads(answer.out)["destinations"]}
    assert (found["nas"]["ended"], found["gone"]["ended"]) == ("done", "failed")
    assert found["gone"]["error_code"] == "unavailable"
    assert found["gone"]["match"] is None
    assert (await desk.type("mirror", "verify", "gone")).code == ExitCode.DESTINATION
    inspected = await desk.type("mirror", "inspect", "gone")
    assert inspected.code == ExitCode.DESTINATION
    assert "never listed" in inspected.out


async def test_what_is_typed_wrong_is_said(desk: Desk) -> None:
    unknown = await desk.type("reconcile", "show", "77")
    assert unknown.code == ExitCode.USAGE
    assert "reconcile list" in unknown.err
    assert (await desk.type("reconcile", "run", "nowhere")).code == ExitCode.USAGE
    assert (await desk.type("mirror", "verify", "--percent", "0")).code == ExitCode.USAGE
