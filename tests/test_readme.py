"""Every command of the README is run, as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tools.simulate.backlog import write_backlog
from tools.simulate.sftp_server import SimulatedSftpServer

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
BOT = ".venv/bin/python -m bot"
FOREVER = f"{BOT} run"
ASKS = f"{BOT} setup"
"""Needs a person or options; tests/cli/test_setup.py types the answers."""
MAY_END_WITH_1 = {f"{BOT} diagnose", f"{BOT} files list --state failed"}
"""There is something to look at, or nothing to show."""
NOBODY_PLAYS = f"{BOT} server"
"""The simulated server hands out files; no game runs on it that could say who is online."""


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_of_the_readme_is_there_and_knows_what_to_do() -> None:
    named = [shlex.split(line)[1] for line in COMMANDS if line.startswith("make ")]
    assert {"demo", "test", "check", "bench", "install"} <= set(named) <= make_targets()
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_command_of_the_bot_is_in_the_readme_or_in_its_help() -> None:
    for line in COMMANDS:
        assert line.startswith(("make ", f"{BOT} ")), f"who runs {line!r}?"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder that looks like the project's to the commands: `.venv` is the one that runs this test."""
    folder = tmp_path / "desk"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    # The interpreter finds its packages by where it lies.
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder / ".venv" / "pyvenv.cfg")
    (folder / ".venv" / "lib").symlink_to(Path(sys.prefix) / "lib")
    return folder


@pytest.mark.timeout(300)
async def test_the_commands_do_what_the_readme_says_in_its_order(tmp_path: Path, desk: Path) -> None:
    root = tmp_path / "game"
    played = write_backlog(root / "stats", 3, 30, last_evening_end=datetime(2025, 3, 4, 23, 30))
    write_backlog(tmp_path / "old-bot" / "local_stats", 9, 10, last_evening_end=datetime(2024, 3, 4, 23, 30))
    somebody, other = [player.name for player in played[-1].truth.players.values()][:2]
    async with SimulatedSftpServer(root, users={"et": "secret-of-the-test"}) as server:
        (desk / "known_hosts").write_text(server.known_hosts_line)
        (desk / ".env").write_text(
            f"SSH_HOST={server.host}\nSSH_PORT={server.port}\nSSH_USER=et\nSSH_PASSWORD=secret-of-the-test\n"
            "REMOTE_STATS_PATH=stats\nSERVER_TIMEZONE=Europe/Berlin\nLOG_LEVEL=warning\n"
        )
        (desk / ".env").chmod(0o600)
        ran = 0
        commands = [line for line in COMMANDS if line.startswith(BOT) and line not in (FOREVER, ASKS)]
        # A person fetches before asking; `run`, which would, does not end by itself.
        for line in [f"{BOT} sync", *commands]:
            named = line.replace("player anna", f"player {shlex.quote(somebody)}")
            words = shlex.split(named.replace("anna bert", f"{shlex.quote(somebody)} {shlex.quote(other)}"))
            process = await asyncio.create_subprocess_exec(
                *words,
                cwd=desk,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "HOME": str(desk)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 60)
            allowed = (0, 1) if line in MAY_END_WITH_1 else (4,) if line == NOBODY_PLAYS else (0,)
            assert process.returncode in allowed, f"{line}\n{out.decode()}\n{err.decode()}"
            assert b"Traceback" not in err, line
            assert (out + err).strip() or "--output" in line, f"{line} said nothing"
            ran += 1
        assert ran > 8
        assert (desk / "rounds.jsonl").stat().st_size > 10_000


@pytest.mark.timeout(300)
async def test_the_demo_shows_the_backlog_last_night_the_diagnosis_and_new_rounds(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--rounds", "40", "--every", "1", "--live", "2"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "HOME": str(tmp_path), "SSH_HOST": "not.this.one"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    text = out.decode()
    assert process.returncode == 0, text + err.decode()
    assert "Traceback" not in err.decode()
    for sign in ("files fetched", "Last night", "Where every file is", "most damage:", "Everything is in demo-data"):
        assert sign in text, text
    assert len(list((tmp_path / "demo-data" / "local_stats").glob("*-round-?.txt"))) >= 42
