"""Certificates of a CA that only tests trust, and a connector that leads Discord's host names to the stand-in."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["HOSTS", "LoopbackResolver", "TestCertificates", "is_gateway"]

API_HOST = "discord.com"
GATEWAY_HOST = "gateway.discord.gg"
RESUME_HOST = "gateway-eu-1.discord.gg"
CDN_HOSTS = ("cdn.discordapp.com", "media.discordapp.net")
HOSTS = (API_HOST, GATEWAY_HOST, RESUME_HOST, *CDN_HOSTS)


def is_gateway(host: str) -> bool:
    """Say whether a host name is one of the gateway's."""
    return host.startswith("gateway") and host.endswith(".discord.gg")


class TestCertificates:
    """A CA, and the server's certificate for all of Discord's host names."""

    __test__ = False

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._certificate = self._authority.issue_cert(*HOSTS)

    def server_context(self) -> ssl.SSLContext:
        """Return what the server speaks TLS with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._certificate.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what trusts the server and nobody else."""
        context = ssl.create_default_context(cadata=self._authority.cert_pem.bytes().decode())
        context.check_hostname = True
        return context

    def write_authority(self, path: Path) -> None:
        """Write the CA's certificate to a file, for a process of its own that is to trust the server."""
        path.write_bytes(self._authority.cert_pem.bytes())


class LoopbackResolver(AbstractResolver):
    """Resolves Discord's host names to 127.0.0.1 and the stand-in's port, and no other name."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where the stand-in listens.

        Raises:
            OSError: the name is none of Discord's, so that a test which reaches for the network fails.
        """
        if host not in HOSTS:
            raise OSError(socket.EAI_NONAME, f"tests do not reach the network: {host}:{port}")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


def connector(port: int, context: ssl.SSLContext) -> aiohttp.TCPConnector:
    """Return what `discord.Client(connector=...)` takes. Must be called inside of the running loop."""
    return aiohttp.TCPConnector(resolver=LoopbackResolver(port), ssl=context, limit=0, use_dns_cache=False)
