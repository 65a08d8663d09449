"""What can be wrong with a game server, said for the admin who has to mend it.

Every error carries what happened, why, and what to do next:

    GameServerError
     ├─ HostKeyUnknown        no key is pinned for this server
     ├─ HostKeyChanged        the server offers another key than the pinned one
     ├─ KnownHostsUnreadable  the file of pinned keys cannot be read
     ├─ LoginRefused          the server does not take our key or password, or we have none to offer
     ├─ SftpNotOffered        the login works, but there is no SFTP behind it
     ├─ Unreachable           name not found, connection refused, no route, connection lost
     ├─ ServerTimeout         the server does not answer in the time allowed
     ├─ FolderMissing         the stats folder does not exist, or is not a folder
     ├─ PermissionRefused     the stats folder may not be read
     ├─ FolderTooLarge        more names than we agreed to take
     ├─ RequestRefused        the server failed at something it does not explain
     └─ ProtocolViolation     the server sent what no honest SFTP server sends
"""

# ruff: noqa: N818 - they are named for what is the matter, as the admin reads it

from typing import ClassVar

__all__ = [
    "FolderMissing",
    "FolderTooLarge",
    "GameServerError",
    "HostKeyChanged",
    "HostKeyUnknown",
    "KnownHostsUnreadable",
    "LoginRefused",
    "PermissionRefused",
    "ProtocolViolation",
    "RequestRefused",
    "ServerTimeout",
    "SftpNotOffered",
    "Unreachable",
]


class GameServerError(Exception):
    """Something is wrong with a game server, said for the admin who has to mend it.

    Attributes:
        code: a stable word for this kind of error, for states, metrics and tests.
        what: what happened, naming the server.
        why: what the server or the system said.
        next_step: what to do about it.
    """

    code: ClassVar[str] = "game_server"

    def __init__(self, what: str, why: str, next_step: str) -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(f"{what}: {why}. {next_step}")


class HostKeyUnknown(GameServerError):
    """No key is pinned for this server.

    Attributes:
        offered: SHA256 fingerprint of the key the server offers.
    """

    code = "host_key_unknown"

    def __init__(self, what: str, why: str, next_step: str, *, offered: str) -> None:
        self.offered = offered
        super().__init__(what, why, next_step)


class HostKeyChanged(GameServerError):
    """The server offers another key than the pinned one: a new machine, or somebody in between.

    Attributes:
        pinned: SHA256 fingerprints of the pinned keys.
        offered: SHA256 fingerprint of the key the server offers now.
    """

    code = "host_key_changed"

    def __init__(self, what: str, why: str, next_step: str, *, pinned: tuple[str, ...], offered: str) -> None:
        self.pinned = pinned
        self.offered = offered
        super().__init__(what, why, next_step)


class KnownHostsUnreadable(GameServerError):
    """The file of pinned host keys cannot be read."""

    code = "known_hosts_unreadable"


class LoginRefused(GameServerError):
    """The server does not take our key or password, or there is none to offer."""

    code = "login_refused"


class SftpNotOffered(GameServerError):
    """The login works, but the server offers no SFTP."""

    code = "sftp_not_offered"


class Unreachable(GameServerError):
    """No connection, or it was lost: name not found, refused, no route, reset."""

    code = "unreachable"


class ServerTimeout(GameServerError):
    """The server does not answer in the time allowed."""

    code = "timeout"


class FolderMissing(GameServerError):
    """The stats folder does not exist, or is not a folder."""

    code = "folder_missing"


class PermissionRefused(GameServerError):
    """The stats folder may not be read by our user."""

    code = "permission_refused"


class FolderTooLarge(GameServerError):
    """The folder has more names than we agreed to take, or never stops naming them."""

    code = "folder_too_large"


class RequestRefused(GameServerError):
    """The server failed at something without a reason we know."""

    code = "request_refused"


class ProtocolViolation(GameServerError):
    """The server sent what no honest SFTP server sends."""

    code = "protocol_violation"
