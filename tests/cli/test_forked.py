"""A command that is forked says and does what a started one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.forked import run_command
from tests.cli.test_run import Desk


@pytest.mark.parametrize("words", ["--help", "status", "no-such-command", "check-config", "db upgrade", "maps"])
async def test_both_print_the_same_and_end_the_same(tmp_path: Path, words: str) -> None:
    ends: list[tuple[int | None, str, str]] = []
    for name in ("forked", "started"):
        (tmp_path / name).mkdir()
        desk = Desk(tmp_path / name, {"TZ": "Asia/Tokyo", "COLUMNS": "100"})
        if name == "forked":
            answer = await desk.type(*words.split())
            ends.append((answer.code, answer.out, answer.err))
        else:
            process = await desk.start(*words.split())
            out, err = await process.communicate()
            ends.append((process.returncode, out.decode(), err.decode().replace("started", "forked")))
    assert ends[0] == ends[1]
    assert sorted(path.name for path in (tmp_path / "forked").iterdir()) == sorted(
        path.name for path in (tmp_path / "started").iterdir()
    )


async def test_one_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    for name, more in (("a.db", {"DATABASE_URL": "sqlite:///a.db"}), ("etlegacy_production.db", {})):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        code, _, err = await run_command(["db", "upgrade"], folder, {"HOME": str(tmp_path), **more})
        assert (code, (folder / name).exists()) == (0, True), err


async def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="demo"):
        await run_command(["demo", "--every", "60"], tmp_path, {"HOME": str(tmp_path)}, patience=1)
