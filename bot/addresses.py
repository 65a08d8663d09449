"""Hosts in addresses that settings and requests name."""

from __future__ import annotations

import ipaddress


def is_local(host: str) -> bool:
    """Tell whether a host is this machine alone: `localhost` or a loopback address, also in brackets."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
