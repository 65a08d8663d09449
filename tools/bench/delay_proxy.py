"""A TCP proxy that makes a near server far: a fixed delay each way, and faults of the line on demand.

The delay does not limit the bandwidth: any amount of data may be on the way. On the command line:

    python -m tools.bench.delay_proxy --to 127.0.0.1:22 --listen 2222 --round-trip 40
"""

import argparse
import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["DelayProxy", "LineFaults"]

_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class LineFaults:
    """What goes wrong on the line. May be changed while the proxy runs.

    Attributes:
        drop_after: end the connection in order (FIN) after this many bytes from the server, per connection.
        reset_after: the same with a reset (RST).
        bandwidth: bytes per second from the server, per connection; None for no limit.
        blackhole: nothing goes through any more, and nobody is told.
        refuse: new connections are reset at once.
    """

    drop_after: int | None = None
    reset_after: int | None = None
    bandwidth: float | None = None
    blackhole: bool = False
    refuse: bool = False


class DelayProxy:
    """Listens on 127.0.0.1 and passes everything on to `host`:`port` and back.

    Args:
        host: where to.
        port: where to.
        one_way: seconds that everything takes in each direction; a round trip takes twice that.
        listen: port to listen on; 0 takes a free one.
    """

    def __init__(self, host: str, port: int, *, one_way: float = 0.0, listen: int = 0) -> None:
        self.host = host
        self.target_port = port
        self.port = listen
        self.one_way = one_way
        self.faults = LineFaults()
        self.connections = 0
        self.bytes_from_server = 0
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _End(self, None), "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()
        await self._empty.wait()

    def drop(self) -> None:
        """Reset every connection."""
        for end in tuple(self._ends):
            end.reset()


class _End(asyncio.Protocol):
    """One end of a connection: hands what it receives to the other end, later."""

    def __init__(self, proxy: DelayProxy, other: "_End | None") -> None:
        self._proxy = proxy
        self._other = other
        self._from_server = other is not None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._on_the_way: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._line_free_at = 0.0
        self._received = 0
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport))
        self._transport = transport
        self._proxy._ends.add(self)
        self._proxy._empty.clear()
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._from_server:
            if self._proxy.faults.refuse:
                self.reset()
                return
            self._proxy.connections += 1
            transport.pause_reading()
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, self._other = await self._loop.create_connection(
                lambda: _End(self._proxy, self), self._proxy.host, self._proxy.target_port
            )
        except OSError:
            self.reset()
        else:
            if self._transport is None or self._transport.is_closing():
                self._other.reset()
            else:
                self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        faults = self._proxy.faults
        if faults.blackhole:
            return
        due = self._loop.time() + self._proxy.one_way
        if self._from_server:
            end_after = faults.drop_after if faults.drop_after is not None else faults.reset_after
            if end_after is not None:
                data = data[: max(0, end_after - self._received)]
            self._received += len(data)
            self._proxy.bytes_from_server += len(data)
            if faults.bandwidth is not None:
                self._line_free_at = max(self._line_free_at, self._loop.time()) + len(data) / faults.bandwidth
                due = self._line_free_at + self._proxy.one_way
            if end_after is not None and self._received >= end_after:
                self._pass_on(data, due)
                self._pass_on(b"", due)
                return
        self._pass_on(data, due)

    def eof_received(self) -> bool:
        self._pass_on(b"", self._loop.time() + self._proxy.one_way)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy._ends.discard(self)
        if not self._proxy._ends:
            self._proxy._empty.set()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._timer is not None and self._other is None:
            self._timer.cancel()
        if self._other is not None and not self._proxy.faults.blackhole:
            if exc is not None:
                self._other.reset()
            else:
                self._pass_on(b"", self._loop.time() + self._proxy.one_way)

    def reset(self) -> None:
        """End this end at once, with a reset."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()

    def _pass_on(self, data: bytes, due: float) -> None:
        if due <= self._loop.time() and not self._on_the_way:
            self._deliver(data)
            return
        self._on_the_way.append((due, data))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._on_the_way and self._on_the_way[0][0] <= now:
            self._deliver(self._on_the_way.popleft()[1])
        if self._on_the_way and self._timer is None:
            self._timer = self._loop.call_at(self._on_the_way[0][0], self._arrive)

    def _deliver(self, data: bytes) -> None:
        other = self._other
        if other is None or other._transport is None or other._transport.is_closing():
            return
        if data:
            other._transport.write(data)
        elif self._from_server and self._proxy.faults.reset_after is not None:
            other.reset()
        else:
            other._transport.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Make a near server far.")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT")
    parser.add_argument("--round-trip", type=float, default=40.0, metavar="MS")
    options = parser.parse_args()
    host, _, port = options.to.rpartition(":")
    async with DelayProxy(host, int(port), one_way=options.round_trip / 2000, listen=options.listen) as proxy:
        print(proxy.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
