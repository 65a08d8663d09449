"""Settings: what is taken, what is refused, and what is said then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import ConfigError, load_settings

SERVER = {"SSH_HOST": "game.example", "SSH_USER": "et", "REMOTE_STATS_PATH": "/srv/gamestats"}


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_everything_has_a_default() -> None:
    settings = load_settings()
    assert settings.servers() == []
    assert settings.database_url == "sqlite+aiosqlite:///etlegacy_production.db"


def test_one_server_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SERVER | {"SERVER_TIMEZONE": "Europe/Ljubljana", "SSH_PORT": "2222"})
    (server,) = load_settings().servers()
    assert (server.name, server.host, server.port, server.user) == ("main", "game.example", 2222, "et")
    assert server.archive == Path("local_stats")
    assert server.time_zone == "Europe/Ljubljana"


def test_an_env_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SSH_PORT=2222\nSERVER_NAME=fromfile\n")
    monkeypatch.setenv("SSH_PORT", "3333")
    settings = load_settings()
    assert (settings.ssh_port, settings.server_name) == (3333, "fromfile")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_database_urls_as_people_write_them(monkeypatch: pytest.MonkeyPatch, url: str, taken: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert load_settings().database_url == taken


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"DATABASE_URL": "mysql://x"}, r"DATABASE_URL: write it like sqlite:///"),
        ({"DATABASE_URL": "postgresql://anna:secret/db"}, r"DATABASE_URL: is no database URL"),
        ({"DATABASE_URL": "rounds.db"}, r"DATABASE_URL: write it like"),
        ({"SERVER_TIMEZONE": "Lubljana"}, r"SERVER_TIMEZONE: 'Lubljana' is no IANA time zone"),
        ({"SERVER_TIMEZONE": "/etc/passwd"}, r"SERVER_TIMEZONE: .* is no IANA time zone"),
        ({"SSH_PORT": "99999"}, r"SSH_PORT: .*65535"),
        ({"SSH_CHECK_INTERVAL": "1"}, r"SSH_CHECK_INTERVAL: .*5"),
        ({"SERVER_NAME": "../up"}, r"SERVER_NAME: use 1 to 32 of"),
        ({"LOG_LEVEL": "loud"}, r"LOG_LEVEL: .*'debug'"),
        ({"SSH_HOST": "game.example"}, r"missing: SSH_USER, REMOTE_STATS_PATH"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str
) -> None:
    set_all(monkeypatch, values)
    with pytest.raises(ConfigError, match=message):
        load_settings()


def test_messages_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"DATABASE_URL": "mysql://me:topsecretword@h/d", "DISCORD_BOT_TOKEN": "tokentokentoken"})
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "topsecretword" not in str(caught.value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:topsecretword/db")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "topsecretword" not in str(caught.value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:topsecretword@h/d")
    settings = load_settings()
    assert "tokentokentoken" not in repr(settings)
    assert "topsecretword" not in repr(settings)
    assert sorted(settings.secrets()) == ["tokentokentoken", "topsecretword"]


TWO = """
[[servers]]
name = "second"
host = "other.example"
user = "et"
folder = "/srv/gamestats"
time_zone = "Europe/Paris"
password_env = "SECOND_PASSWORD"

[[servers]]
name = "third"
host = "third.example"
user = "et"
folder = "stats"
key_path = "/keys/third"
"""


def test_more_servers_come_from_a_toml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "servers.toml").write_text(TWO)
    set_all(monkeypatch, SERVER | {"CONFIG_FILE": "servers.toml", "SECOND_PASSWORD": "anothersecret"})
    settings = load_settings()
    servers = {server.name: server for server in settings.servers()}
    assert list(servers) == ["main", "second", "third"]
    assert servers["second"].archive == Path("local_stats/second")
    assert servers["second"].password is not None
    assert servers["second"].password.get_secret_value() == "anothersecret"
    assert servers["third"].key_path == Path("/keys/third")
    assert "anothersecret" in settings.secrets()
    assert "anothersecret" not in repr(servers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[servers]\n", r"cannot be read as TOML"),
        ("[servers]\nname = 'x'\n", r"with two brackets"),
        ("[[server]]\n", r"unknown section server; known: \[\[servers\]\]"),
        ("[[servers]]\nname = 'x'\n", r"number 1: HOST: Field required; USER: .*FOLDER"),
        ("[[servers]]\nname = 'x'\nhost='h'\nuser='u'\nfolder='f'\nhots='h'\n", r"HOTS: Extra inputs"),
        (TWO.replace("third", "second"), r"two game servers are called second"),
    ],
)
def test_a_wrong_toml_file_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "servers.toml").write_text(text)
    monkeypatch.setenv("CONFIG_FILE", "servers.toml")
    with pytest.raises(ConfigError, match=message):
        load_settings().servers()


def test_a_missing_toml_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_FILE", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"there is no nowhere\.toml"):
        load_settings().servers()


def test_fewer_than_25_settings() -> None:
    from bot.config import Settings

    assert len(Settings.model_fields) < 25
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
