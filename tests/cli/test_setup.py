"""setup and check-config: the way in is tried, the host key pinned after a yes, secrets stay unseen."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from bot.cli.setup import machine_zone, zone_error
from bot.config import Settings
from bot.health import env_file
from bot.health.check_config import Check, Verdict, check_places
from tests.cli.test_health import PROJECT, Answer, bot
from tests.health.clinic import PASSWORD, USER, Clinic, clinic, play

TOKEN = "MTAwMDAwMDAwMDAwMDAwMDAwMA.Gcanary.canary-canary-canary-canary-canary"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Clinic]:
    names = play(tmp_path / "games", 4)
    async with clinic(tmp_path, [tmp_path / "games" / name for name in names]) as made:
        made.known_hosts.unlink()
        yield made


def bare(house: Clinic, **more: str) -> dict[str, str]:
    """An environment that sets nothing of the bot's, besides what is given."""
    keep = ("PATH", "HOME", "USER")
    return {name: value for name, value in house.environment.items() if name in keep} | more


def options(house: Clinic, *more: str) -> list[str]:
    where = ["--host", house.server.host, "--port", str(house.server.port), "--user", USER, "--folder", "/stats"]
    return [*where, "--zone", "UTC", *more]


async def setup(house: Clinic, *arguments: str, typed: str = "", **environment: str) -> Answer:
    answer = await bot(house, "setup", *arguments, typed=typed, environment=bare(house, **environment))
    assert TOKEN not in answer.out + answer.err
    return answer


def written(house: Clinic) -> dict[str, str | None]:
    return dotenv_values(house.root / ".env")


# ---------------------------------------------------------------------- setup


async def test_without_questions(house: Clinic) -> None:
    answer = await setup(house, *options(house, "--password", "--yes"), SSH_PASSWORD=PASSWORD, DISCORD_BOT_TOKEN=TOKEN)
    assert answer.code == 0, answer
    assert house.server.fingerprint in answer.out
    newest = max(path.name for path in house.games.iterdir())
    assert f"4 stats files; the newest is {newest}" in answer.out
    assert written(house) == {
        "SSH_HOST": house.server.host,
        "SSH_PORT": str(house.server.port),
        "SSH_USER": USER,
        "SSH_PASSWORD": PASSWORD,
        "REMOTE_STATS_PATH": "/stats",
        "SERVER_TIMEZONE": "UTC",
        "DISCORD_BOT_TOKEN": TOKEN,
    }
    assert (house.root / ".env").stat().st_mode & 0o777 == 0o600
    assert (house.root / "known_hosts").read_text() == house.server.known_hosts_line
    # What was written is enough to work with, and to run setup again.
    assert (await bot(house, "sync", environment=bare(house))).code == 0
    again = await setup(house, "--yes")
    assert again.code == 0
    assert house.server.fingerprint not in again.out


async def test_with_questions(house: Clinic) -> None:
    typed = [
        house.server.host,
        str(house.server.port),
        USER,
        "password",
        PASSWORD,
        "/stats",
        "Mars/Olympus",
        "UTC",
        TOKEN,
        "y",
    ]
    answer = await setup(house, typed="\n".join(typed) + "\n")
    assert answer.code == 0, answer
    assert "write it like Europe/Berlin or UTC" in answer.out
    assert written(house)["SSH_PASSWORD"] == PASSWORD
    assert written(house)["DISCORD_BOT_TOKEN"] == TOKEN
    # Every answer is offered again, secrets unseen.
    again = await setup(house, typed="\n" * 12)
    assert again.code == 0, again
    assert f"[{house.server.host}]" in again.out
    assert written(house)["SSH_PASSWORD"] == PASSWORD
    assert written(house)["DISCORD_BOT_TOKEN"] == TOKEN


async def test_password_is_not_shown_while_it_is_typed(house: Clinic) -> None:
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "setup",
        *options(house, "--password"),
        cwd=house.root,
        env=bare(house, PYTHONPATH=str(PROJECT), DISCORD_BOT_TOKEN=TOKEN),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = b""
    # The blank after each question is written once the echo is off, and what was typed before that is thrown away.
    answers = [(b"Password: ", PASSWORD), (b"(Enter keeps the one that is set): ", ""), (b"same? [y/N]: ", "y")]
    try:
        async with asyncio.timeout(60):
            while process.returncode is None:
                await asyncio.sleep(0.02)
                try:
                    seen += os.read(ours, 65536)
                except BlockingIOError:
                    pass
                except OSError:  # the other end is closed
                    break
                if answers and answers[0][0] in seen:
                    os.write(ours, answers.pop(0)[1].encode() + b"\n")
    finally:
        if process.returncode is None and answers:
            process.kill()
    assert await process.wait() == 0, seen
    os.close(ours)
    assert answers == []
    assert PASSWORD.encode() not in seen
    assert TOKEN.encode() not in seen
    assert written(house)["SSH_PASSWORD"] == PASSWORD


async def test_key_instead_of_the_password(house: Clinic) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(house.root / "id")
    (house.root / "id").chmod(0o600)
    house.server._authorized_keys.append(key.convert_to_public())
    (house.root / ".env").write_text(f"SSH_PASSWORD={PASSWORD}\n")
    answer = await setup(house, *options(house, "--key", "id", "--yes"))
    assert answer.code == 0, answer
    assert written(house)["SSH_KEY_PATH"] == str(house.root / "id")
    assert "SSH_PASSWORD" not in written(house)


async def test_host_key_is_not_pinned_without_a_yes(house: Clinic) -> None:
    typed = [house.server.host, str(house.server.port), USER, "password", PASSWORD, "/stats", "UTC", "", "n"]
    answer = await setup(house, typed="\n".join(typed) + "\n")
    assert answer.code == 4
    assert house.server.fingerprint in answer.out
    assert "nothing was pinned" in answer.err
    assert not (house.root / "known_hosts").exists()
    assert not (house.root / ".env").exists()
    other = await setup(
        house, *options(house, "--password", "--yes", "--fingerprint", "SHA256:somethingelse"), SSH_PASSWORD=PASSWORD
    )
    assert other.code == 4
    assert not (house.root / "known_hosts").exists()
    same = options(house, "--password", "--yes", "--fingerprint", house.server.fingerprint)
    assert (await setup(house, *same, SSH_PASSWORD=PASSWORD)).code == 0


async def test_changed_host_key_needs_more_than_a_yes(house: Clinic) -> None:
    ready = options(house, "--password", "--yes")
    assert (await setup(house, *ready, SSH_PASSWORD=PASSWORD)).code == 0
    before, old = (house.root / "known_hosts").read_text(), house.server.fingerprint
    house.server.change_host_key()
    answer = await setup(house, "--yes")
    assert answer.code == 4
    assert old in answer.out
    assert house.server.fingerprint in answer.out
    assert "--accept-new-host-key" in answer.err
    typed = await setup(house, typed="\n" * 8 + "y\n")  # "y" is not the word that is asked for
    assert typed.code == 4
    assert (house.root / "known_hosts").read_text() == before
    typed = await setup(house, typed="\n" * 8 + "yes\n")
    assert typed.code == 0, typed
    assert (house.root / "known_hosts").read_text() == house.server.known_hosts_line
    house.server.change_host_key()
    assert (await setup(house, "--yes", "--accept-new-host-key")).code == 0
    assert (house.root / "known_hosts").read_text() == house.server.known_hosts_line


async def test_refused_login_writes_nothing(house: Clinic) -> None:
    answer = await setup(house, *options(house, "--password", "--yes"), SSH_PASSWORD="wrong-canary")
    assert answer.code == 4
    assert "refused the login" in answer.err
    assert "wrong-canary" not in answer.out + answer.err
    assert not (house.root / ".env").exists()
    # A person may answer anew. The host key was agreed to before.
    typed = [house.server.host, str(house.server.port), USER, "password", "wrong", "/stats", "UTC", ""]
    anew = ["y", "", "", "", "", PASSWORD, "", "", ""]
    answer = await setup(house, typed="\n".join([*typed, *anew]) + "\n")
    assert answer.code == 0, answer
    assert written(house)["SSH_PASSWORD"] == PASSWORD


async def test_folder_without_stats_files_is_noticed(house: Clinic) -> None:
    (house.server.root / "other").mkdir()
    (house.server.root / "other" / "holiday.jpg").write_bytes(b"")
    answer = await setup(house, *options(house, "--password", "--yes", "--folder", "/other"), SSH_PASSWORD=PASSWORD)
    assert answer.code == 1
    assert "There are no stats files in /other: 1 other names" in answer.out
    assert "holiday.jpg" in answer.out
    missing = await setup(house, *options(house, "--password", "--yes", "--folder", "/no"), SSH_PASSWORD=PASSWORD)
    assert missing.code == 4
    assert "is not on" in missing.err


async def test_wrong_zone_is_noticed(house: Clinic) -> None:
    answer = await setup(
        house, *options(house, "--password", "--yes", "--zone", "Europe/Ljubljana"), SSH_PASSWORD=PASSWORD
    )
    assert answer.code == 0
    assert "-2 h off" in answer.out
    fits = await setup(house, "--yes", "--zone", "UTC")
    assert "off" not in fits.out


async def test_missing_answers_without_questions(house: Clinic) -> None:
    answer = await setup(house, "--yes")
    assert answer.code == 3
    assert "SSH_HOST: write a host name" in answer.err
    answer = await setup(house, *options(house, "--password", "--yes"))
    assert answer.code == 3
    assert "SSH_PASSWORD is missing" in answer.err
    assert (await setup(house, *options(house, "--password", "--agent", "--yes"))).code == 2
    assert (await setup(house, *options(house, "--key", "nowhere", "--yes"))).code == 3


async def test_not_connecting_asks_nobody(house: Clinic) -> None:
    await house.server.stop()
    answer = await setup(house, *options(house, "--password", "--yes", "--no-connect"), SSH_PASSWORD=PASSWORD)
    assert answer.code == 0
    assert written(house)["SSH_HOST"] == house.server.host


async def test_environment_that_says_otherwise_is_told(house: Clinic) -> None:
    ready = options(house, "--password", "--yes", "--no-connect")
    answer = await setup(house, *ready, SSH_PASSWORD=PASSWORD, SSH_USER="somebody")
    assert "The environment sets SSH_USER otherwise" in answer.out


# ---------------------------------------------------------------------- .env


def test_other_lines_of_the_file_stay() -> None:
    before = """\
# my bot
export SSH_HOST = 'old.example.org' # moved in May
UNKNOWN=keep me

  # the other one
ssh_port=2222
SSH_PASSWORD="one
two"
FILLER_MAPS=
SSH_PASSWORD=three
"""
    after = env_file.changed(
        before, {"SSH_HOST": "new.example.org", "SSH_PORT": "22", "SSH_PASSWORD": None, "SSH_USER": "it's #1"}
    )
    assert (
        after
        == """\
# my bot
SSH_HOST=new.example.org
UNKNOWN=keep me

  # the other one
SSH_PORT=22
FILLER_MAPS=
SSH_USER='it\\'s #1'
"""
    )
    assert env_file.changed("A=1\nB=1\nA=2\n", {"A": "3"}) == "A=3\nB=1\n"
    assert env_file.changed("A=1", {"B": "2"}) == "A=1\nB=2\n"
    assert env_file.changed("", {"B": None}) == ""


_VALUES = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=40)


@given(_VALUES)
@example("${HOME}")
@example("$${{}}${A:-b}")
@example("a\\'b\\\\")
@example(" # not a comment ")
def test_every_value_is_read_back_as_it_was(value: str) -> None:
    text = env_file.changed("BEFORE=1\n", {"SECRET": value, "AFTER": "2"})
    expected = {"BEFORE": "1", "SECRET": value, "AFTER": "2"}
    assert dotenv_values(stream=io.StringIO(text)) == expected
    # Setting it again changes nothing, and neither does what stands around it.
    assert env_file.changed(text, {"SECRET": value}) == text


def test_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    real = tmp_path / "real.env"
    real.write_text("KEEP=1\n")
    real.chmod(0o644)
    (tmp_path / ".env").symlink_to(real)
    env_file.write_values(tmp_path / ".env", {"SSH_PASSWORD": "x y"})
    assert (tmp_path / ".env").is_symlink()
    assert real.read_text() == "KEEP=1\nSSH_PASSWORD='x y'\n"
    assert real.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="control characters"):
        env_file.write_values(real, {"SSH_PASSWORD": "two\nlines"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "real.env"]


# ---------------------------------------------------------------------- .env.example


def test_example_holds_every_setting_with_its_default(tmp_path: Path) -> None:
    """Written by `python -m bot setup --example > .env.example`."""
    text = (PROJECT / ".env.example").read_text()
    assert text == env_file.example()
    lines = re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", text, re.MULTILINE)
    names = [name for name, _ in lines]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)
    for name, info in Settings.model_fields.items():
        assert info.description, f"{name} needs an explanation"
    # Filled in or not, the file gives the defaults.
    (tmp_path / "commented.env").write_text(text)
    (tmp_path / "filled.env").write_text(re.sub(r"^# ([A-Z_]+=)", r"\1", text, flags=re.MULTILINE))
    defaults = Settings(_env_file=None)
    assert Settings(_env_file=tmp_path / "commented.env") == defaults
    assert Settings(_env_file=tmp_path / "filled.env") == defaults


# ---------------------------------------------------------------------- check-config


async def check(house: Clinic, *arguments: str, **environment: str) -> Answer:
    answer = await bot(house, "check-config", *arguments, environment=bare(house, **environment))
    assert TOKEN not in answer.out + answer.err
    return answer


def finding(answer: Answer, name: str) -> dict[str, str]:
    found: list[dict[str, str]] = [item for item in answer.json["checks"] if item["name"] == name]
    assert len(found) == 1, answer.out
    return found[0]


async def test_check_tells_where_each_value_comes_from(house: Clinic) -> None:
    ready = options(house, "--password", "--yes")
    assert (await setup(house, *ready, SSH_PASSWORD=PASSWORD, DISCORD_BOT_TOKEN=TOKEN)).code == 0
    answer = await check(house, "--json", "--connect", LOG_LEVEL="debug")
    assert answer.code == 0
    assert answer.json["right"] is True
    assert finding(answer, "LOG_LEVEL") | {"finding": ""} == {
        "area": "setting",
        "name": "LOG_LEVEL",
        "value": "debug",
        "origin": "environment",
        "verdict": "right",
        "finding": "",
        "do": "",
    }
    assert finding(answer, "SSH_USER")["origin"] == ".env"
    assert finding(answer, "SSH_CHECK_INTERVAL")["origin"] == "default"
    for name in ("SSH_PASSWORD", "DISCORD_BOT_TOKEN"):
        assert (finding(answer, name)["value"], finding(answer, name)["origin"]) == ("***", ".env")
    assert house.server.fingerprint in finding(answer, "host key of main")["finding"]
    assert "4 stats files" in finding(answer, "game server main")["finding"]
    assert "form of a bot token" in finding(answer, "Discord")["finding"]
    assert not (house.root / "etlegacy_production.db").exists()
    assert "everything is right" in (await check(house)).out


async def test_check_says_what_is_wrong_and_what_to_do(house: Clinic) -> None:
    (house.root / ".env").write_text(
        f"SSH_HOST=et.example.org\nSSH_PORT=70000\nSERVER_TIMEZONE=Mars\nSSH_PASSWORT={PASSWORD}\n"
        f"DISCORD_BOT_TOKEN={TOKEN}\nDATABASE_URL=mysql://anna:{PASSWORD}@host/db\n"
    )
    (house.root / ".env").chmod(0o644)
    answer = await check(house, "--json")
    assert answer.code == 3
    assert "70000" in finding(answer, "SSH_PORT")["value"]
    assert finding(answer, "SERVER_TIMEZONE")["verdict"] == "wrong"
    assert "IANA" in finding(answer, "SERVER_TIMEZONE")["finding"]
    assert finding(answer, "DATABASE_URL")["verdict"] == "wrong"
    assert finding(answer, "SSH_PASSWORT")["do"] == "SSH_PASSWORD?"
    assert finding(answer, "rights")["do"] == "chmod 600 .env"
    shown = await check(house)
    assert shown.code == 3
    assert "WRONG  SSH_PORT" in shown.out
    for url in (f"postgresql://anna:{PASSWORD}@host:port/db", f"postgresql://anna:{PASSWORD}/db"):
        (house.root / ".env").write_text(f"DATABASE_URL={url}\n")
        refused = await check(house, "--json")  # which sees that the password is not in it
        assert refused.code == 3
        assert finding(refused, "DATABASE_URL")["value"] in ("***", "")
    (house.root / ".env").write_text(f"SSH_HOST=et.example.org\nDISCORD_BOT_TOKEN={TOKEN}\n")
    whole = await check(house, "--json", SSH_PORT="22", SERVER_TIMEZONE="UTC", DATABASE_URL="sqlite:///x.db")
    assert "SSH_HOST, SSH_USER and REMOTE_STATS_PATH together" in whole.out


async def place(settings: Settings, name: str, **environment: str) -> Check:
    (found,) = [item for item in await check_places(settings, environment) if item.name == name]
    return found


async def test_check_looks_at_the_way_in(house: Clinic) -> None:
    base = house.settings.model_copy(update={"ssh_password": None})
    found = await place(base, "login to main")
    assert found.verdict is Verdict.WRONG
    assert "no ssh-agent" in found.finding
    assert (await place(base, "login to main", SSH_AUTH_SOCK="/tmp/agent")).verdict is Verdict.RIGHT

    def with_key(name: str) -> Settings:
        return base.model_copy(update={"ssh_key_path": Path(name)})

    key = asyncssh.generate_private_key("ssh-ed25519")
    mine = house.root / "mine"
    key.write_private_key(mine)
    mine.chmod(0o600)
    assert (await place(with_key(str(mine)), "login to main")).verdict is Verdict.RIGHT
    mine.chmod(0o644)
    assert (await place(with_key(str(mine)), "login to main")).do == f"chmod 600 {mine}"
    key.write_private_key(house.root / "locked", "pkcs8-pem", passphrase="canary-passphrase")
    words = ("-q", "-t", "ed25519", "-N", "canary-passphrase", "-f", str(house.root / "locked2"))
    keygen = await asyncio.create_subprocess_exec("ssh-keygen", *words)
    assert await keygen.wait() == 0
    for locked in ("locked", "locked2"):
        assert "passphrase" in (await place(with_key(str(house.root / locked)), "login to main")).finding
    assert "~ is not known" in (await place(with_key("~/nowhere"), "login to main")).do
    (house.root / "text").write_text("hello")
    assert "no private key" in (await place(with_key(str(house.root / "text")), "login to main")).finding

    assert "none is pinned" in (await place(base, "host key of main")).finding
    house.known_hosts.write_text(house.server.known_hosts_line)
    assert house.server.fingerprint in (await place(base, "host key of main")).finding


async def test_check_looks_at_archive_and_database(house: Clinic) -> None:
    base = house.settings
    assert (await place(base, "archive")).finding == "is made with the first file"
    assert (await place(base, "database")).finding == "is made at the first start"
    assert not house.database_path.exists()
    (house.root / "a-file").write_text("")
    wrong = base.model_copy(update={"local_stats_path": house.root / "a-file"})
    assert (await place(wrong, "archive")).verdict is Verdict.WRONG
    for path, said in (("no/such/folder/x.db", "cannot be made there"), ("a-text.db", "not a database")):
        (house.root / "a-text.db").write_bytes(b"this is no database, whatever it is called" * 100)
        url = f"sqlite+aiosqlite:///{house.root / path}"
        found = await place(base.model_copy(update={"database_url": url}), "database")
        assert found.verdict is Verdict.WRONG
        assert said in found.finding
    house.known_hosts.write_text(house.server.known_hosts_line)
    await house.poll()
    assert "reachable" in (await place(base, "database")).finding
    assert (await place(base, "archive")).finding == "can be written"


async def test_exit_codes_of_the_check_say_where_to_look(house: Clinic) -> None:
    house.known_hosts.write_text(house.server.known_hosts_line)
    fine = {name: value for name, value in house.environment.items() if name.isupper() and "_" in name}
    assert (await check(house, "--connect", **fine)).code == 0
    wrong = fine | {"DATABASE_URL": f"postgresql://anna:{PASSWORD}@127.0.0.1:1/stats"}
    answer = await check(house, "--json", **wrong)
    assert answer.code == 5
    assert "anna:***@" in finding(answer, "DATABASE_URL")["value"]
    (house.root / "a-file").write_text("")
    assert (await check(house, **fine | {"LOCAL_STATS_PATH": "a-file"})).code == 6
    await house.server.stop()
    answer = await check(house, "--json", "--connect", **fine)
    assert answer.code == 4
    assert "refused" in finding(answer, "game server main")["finding"]


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ('[web]\nhost = "0.0.0.0"\n', "web", "set public_url"),
        ("[web]\nlogin = true\n", "web", "LOGIN"),
        ('[web]\nmetrics_token_env = "NOBODY_SET_IT"\n', "web", "names NOBODY_SET_IT, which is not set"),
        ('[schedule]\nverify_schedule = "at noon"\n', "schedule", "VERIFY_SCHEDULE"),
        ("[schedule]\ninspect_interval = -1\n", "schedule", "INSPECT_INTERVAL"),
        ("[health]\ngrace = -1\n", "alerts", "[health]"),
        ("[alerts]\nbell = true\n", "alerts", "[alerts]"),
        ("[[web]]\n", "web", "with one bracket"),
    ],
)
async def test_check_looks_at_every_table(house: Clinic, table: str, name: str, said: str) -> None:
    house.known_hosts.write_text(house.server.known_hosts_line)
    fine = {key: value for key, value in house.environment.items() if key.isupper() and "_" in key}
    (house.root / "more.toml").write_text("")
    assert (await check(house, **fine | {"CONFIG_FILE": "more.toml"})).code == 0
    (house.root / "more.toml").write_text(table)
    answer = await check(house, "--json", **fine | {"CONFIG_FILE": "more.toml"})
    assert answer.code == 3
    found = finding(answer, name)
    assert found["verdict"] == "wrong"
    assert said in found["finding"]
    assert found["do"]


async def test_check_says_once_that_the_file_cannot_be_read(house: Clinic) -> None:
    house.known_hosts.write_text(house.server.known_hosts_line)
    fine = {key: value for key, value in house.environment.items() if key.isupper() and "_" in key}
    answer = await check(house, "--json", **fine | {"CONFIG_FILE": "none.toml"})
    assert answer.code == 3
    assert [item["name"] for item in answer.json["checks"] if item["verdict"] == "wrong"] == ["CONFIG_FILE"]


def test_zone_of_the_machine_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Ljubljana")
    assert machine_zone() == "Europe/Ljubljana"
    monkeypatch.setenv("TZ", "no such zone")
    from zoneinfo import ZoneInfo

    assert ZoneInfo(machine_zone())


def test_times_of_a_copied_folder_say_nothing_of_the_zone() -> None:
    from datetime import UTC, datetime

    from bot.ingest.listing import Listing
    from bot.ingest.remote_file import RemoteFile
    from tests.health.clinic import named_time

    names = [f"2025-10-0{day}-200000-supply-round-1.txt" for day in range(1, 7)]

    def listing(*times: int) -> Listing:
        files = [RemoteFile(name, 1, time) for name, time in zip(names, times, strict=True)]
        return Listing(files, [], 0, 0, [], 0, True, datetime.now(UTC))

    true = [named_time(name) for name in names]
    assert zone_error(listing(*true), "UTC") == 0
    assert zone_error(listing(*true), "Europe/Ljubljana") == -2
    assert zone_error(listing(*true), "Asia/Kolkata") == -5.5
    assert zone_error(listing(*[true[-1] + 5000] * 6), "UTC") == 0
