"""What went wrong over SFTP, said for the admin: what happened, why, and what to do next."""

from bot.ingest.game_server_errors import (
    FolderMissing,
    GameServerError,
    PermissionRefused,
    ProtocolViolation,
    RequestRefused,
    ServerTimeout,
    SftpNotOffered,
    Unreachable,
)
from bot.ingest.sftp_session import SessionLost, SessionStuck, SessionViolation, SftpRefusal, Status, printable
from bot.ingest.ssh_login import ServerAddress


def no_sftp(address: ServerAddress, why: str) -> SftpNotOffered:
    """Say that the login works and no SFTP is behind it."""
    return SftpNotOffered(
        f"{address} lets {printable(address.user)} in but offers no SFTP",
        why,
        "Switch the sftp subsystem on in the server's sshd_config, and see that no command is forced on the user",
    )


def explained(address: ServerAddress, lost: SessionLost) -> GameServerError:
    """Say what the end of a session means."""
    why = printable(str(lost), 300)
    if isinstance(lost, SessionStuck):
        about = f" about {printable(lost.subject)}" if lost.subject else ""
        return ServerTimeout(f"{address} stopped answering{about}", why, "Look at the server's load and its network")
    if isinstance(lost, SessionViolation):
        return ProtocolViolation(
            f"{address} does not keep to the SFTP protocol", why, "Check what really listens on this port"
        )
    return Unreachable(
        f"The connection to {address} was lost",
        why,
        "It is opened again at the next poll; look at the network if this happens often",
    )


def folder_refused(address: ServerAddress, refusal: SftpRefusal) -> GameServerError:
    """Say what the server's refusal to look into the stats folder means."""
    if refusal.code == Status.NO_SUCH_FILE:
        return folder_missing(address, "there is no such folder")
    if refusal.code == Status.PERMISSION_DENIED:
        return PermissionRefused(
            f"{printable(address.folder)} on {address} may not be read by {printable(address.user)}",
            refusal.reason,
            "Give this user read and execute permission on the folder and those above it",
        )
    return RequestRefused(
        f"{address} cannot read {printable(address.folder)}", refusal.reason, "Look at the server's own log"
    )


def folder_missing(address: ServerAddress, why: str) -> FolderMissing:
    """Say that there is no stats folder where it should be."""
    return FolderMissing(
        f"The stats folder {printable(address.folder)} is not on {address}",
        why,
        "Check the folder in the settings; a path without a leading / is taken from the login folder",
    )
