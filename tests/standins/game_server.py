"""Addresses of the stand-in servers, as the bot's settings would give them."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.ingest.fetching import Fetched, FetchFailed
from bot.ingest.game_server import GameServer
from bot.ingest.remote_file import RemoteFile
from bot.ingest.ssh_login import ServerAddress
from tests.standins.sshd import OpenSshServer
from tools.simulate.sftp_server import SimulatedSftpServer

__all__ = ["PASSWORD", "USER", "address_of", "fetch_all", "is_stats_file", "server_at"]

USER = "et"
PASSWORD = "hunter2-canary"


def is_stats_file(name: str) -> bool:
    """Wider than the real rule, so that the listing's own care is seen."""
    return name.endswith(".txt")


def address_of(server: SimulatedSftpServer | OpenSshServer, folder: Path, **changes: Any) -> ServerAddress:
    """Return the way into `server`. `folder` is the stats folder on disk; changes are put over it."""
    given: dict[str, Any]
    if isinstance(server, SimulatedSftpServer):
        known_hosts = server.root.parent / f"known_hosts-{server.port}"
        known_hosts.write_text(server.known_hosts_line)
        shown = "/" + folder.relative_to(server.root).as_posix()
        given = {"user": USER, "folder": shown, "known_hosts": known_hosts, "password": SecretStr(PASSWORD)}
    else:
        given = {
            "user": server.user,
            "folder": str(folder),
            "known_hosts": server.known_hosts,
            "key_path": server.client_key,
        }
    return ServerAddress(**{"host": server.host, "port": server.port, "connect_timeout": 30.0, **given, **changes})


def server_at(address: ServerAddress, **changes: Any) -> GameServer:
    """Return a game server that takes every .txt for a stats file."""
    return GameServer(address, **{"name_filter": is_stats_file, **changes})


async def fetch_all(server: GameServer, files: list[RemoteFile]) -> tuple[dict[str, bytes], dict[str, FetchFailed]]:
    """Return what came, by name, and what did not."""
    came: dict[str, bytes] = {}
    failed: dict[str, FetchFailed] = {}
    async for outcome in server.fetch(files):
        assert outcome.file.name not in came.keys() | failed.keys()
        if isinstance(outcome, Fetched):
            came[outcome.file.name] = outcome.data
        else:
            failed[outcome.file.name] = outcome
    return came, failed
