"""The command line where some host names lead to a port of this machine: `beside_discord PORT HOST,HOST COMMAND`.

So a bot that nothing is changed in comes to the stand-in Discord. It imports nothing of it, as that would be measured
as well. `SSL_CERT_FILE` has to name the authority that the stand-in's certificate is of.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection
from typing import Any


def lead(hosts: Collection[str], port: int) -> None:
    """Have host names lead to a port of this machine, for this process."""
    look_up: Any = socket.getaddrinfo

    def getaddrinfo(host: Any, service: Any, *more: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return look_up("127.0.0.1", port, *more, **named) if name in hosts else look_up(host, service, *more, **named)

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]


if __name__ == "__main__":
    taken, names = int(sys.argv.pop(1)), sys.argv.pop(1).split(",")
    lead(names, taken)
    from bot.__main__ import main

    main()
