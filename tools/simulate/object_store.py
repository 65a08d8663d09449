"""An S3 server on this machine for the demo: moto in a process of its own, gone at the end with all it holds."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

STARTS_WITHIN = 60.0


class SimulatedObjectStore:
    """One S3 server with one empty bucket. Takes any credentials, and honours conditional writes.

        async with SimulatedObjectStore(folder / "aws_s3.log", bucket="rounds") as store: ... store.endpoint

    Args:
        log: file that the server writes to.
        bucket: made at the start.
    """

    def __init__(self, log: Path, *, bucket: str) -> None:
        self.log = log
        self.bucket = bucket
        self.endpoint = ""
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the server and make the bucket.

        Raises:
            RuntimeError: it does not start; the message ends with what it said.
        """
        command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
        with self.log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                # Ctrl-C is for the demo, which still sends what it was sending.
                start_new_session=True,
            )
        try:
            self.endpoint = f"http://127.0.0.1:{await self._port(self._process)}"
            async with aiohttp.ClientSession() as session, session.put(f"{self.endpoint}/{self.bucket}") as answer:
                answer.raise_for_status()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server."""
        await self._end()

    async def _port(self, process: asyncio.subprocess.Process) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + STARTS_WITHIN
        while loop.time() < until and process.returncode is None:
            said = re.findall(r"http://127\.0\.0\.1:(\d+)", self.log.read_text(errors="replace"))
            if said:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", int(said[-1]))
                    writer.close()
                    await writer.wait_closed()
                    return int(said[-1])
            await asyncio.sleep(0.05)
        raise RuntimeError(f"the S3 server did not start: {self.log.read_text(errors='replace')[-1000:]}")

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                process.send_signal(sign)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5.0)
                return
