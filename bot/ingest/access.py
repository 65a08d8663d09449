"""From a game server's settings to the way in."""

from __future__ import annotations

import os

from bot.config import GameServerSettings, Settings
from bot.ingest.game_server import GameServer
from bot.ingest.ssh_login import ServerAddress
from parsers import MAX_FILE_BYTES, is_stats_file_name


def game_server(settings: Settings, server: GameServerSettings) -> GameServer:
    """Return the SFTP side of a configured game server; nothing is connected yet."""
    address = ServerAddress(
        host=server.host,
        port=server.port,
        user=server.user,
        folder=server.folder,
        known_hosts=settings.ssh_known_hosts,
        key_path=server.key_path,
        password=server.password,
        use_agent=server.key_path is None and server.password is None and "SSH_AUTH_SOCK" in os.environ,
    )
    return GameServer(address, name_filter=is_stats_file_name, max_file_bytes=MAX_FILE_BYTES)
