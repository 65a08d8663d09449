"""Where pictures are drawn: a few processes that start when one is asked for, and end when nobody asks any more.

The typesetting takes a tenth of a second of a core, and what it needs (matplotlib) takes 80 MiB: neither belongs into
the process that answers Discord. A drawing process gets texts and lengths, nothing else: no database, no settings, no
environment. It dies with us, at the deadline, and after a hundred pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Final

import bot
from bot.cards.frames import FRAME, HEAD, Status
from bot.cards.picture import Card, CardError, CardOptions, Picture

DEADLINE: Final = 20.0
"""Seconds for one picture, a fresh process's start among them."""

IDLE: Final = 180.0
"""Seconds without a picture after which the processes end."""

PICTURES_PER_PROCESS: Final = 100
"""After so many a process is replaced: what the typesetter keeps in memory grows with every text."""

CACHE_BYTES: Final = 8 * 2**20
"""Memory for pictures that may be asked for again: some thirty of them."""

LARGEST: Final = 32 * 2**20
"""Bytes of a picture that are taken from a process."""

_PACKAGES: Final = Path(bot.__file__).resolve().parents[1]
_KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")


class _EndedError(Exception):
    """A drawing process is gone."""


class _Process:
    """One drawing process; it draws one picture at a time."""

    def __init__(
        self, process: asyncio.subprocess.Process, jobs: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        self._process = process
        self._jobs = jobs
        self._answers = answers
        self.pictures = 0

    @classmethod
    async def start(cls, folder: Path) -> _Process:
        """Start one and wait until it can draw.

        Raises:
            CardError: it cannot; the message says what is missing.
        """
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        # Found wherever this package lies; `-P` keeps the working folder out of the way.
        environment["PYTHONPATH"] = str(_PACKAGES)
        environment |= {"HOME": str(folder), "MPLCONFIGDIR": str(folder), "MPLBACKEND": "agg"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "bot.cards.drawing.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,  # Ctrl-C is for us
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process without the pipes that were asked for")
        self = cls(process, process.stdin, process.stdout)
        try:
            await self._answer()
        except BaseException:
            await self.end()
            raise
        return self

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def draw(self, job: bytes) -> tuple[bytes, int, int]:
        """Have a picture drawn; return its bytes, width and height.

        Raises:
            _EndedError: it died over it.
            CardError: it could not.
        """
        self.pictures += 1
        try:
            self._jobs.write(FRAME.pack(len(job)) + job)
            await self._jobs.drain()
        except ConnectionError:
            raise _EndedError from None
        return await self._answer()

    async def _answer(self) -> tuple[bytes, int, int]:
        try:
            status, width, height, size = HEAD.unpack(await self._answers.readexactly(HEAD.size))
            if size > LARGEST:
                raise _EndedError
            data = await self._answers.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _EndedError from None
        if status == Status.FAILED:
            raise CardError(f"the picture could not be drawn: {data.decode(errors='replace')}; please report it")
        return data, width, height

    async def end(self) -> None:
        """End it at once; it has nothing to lose."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._jobs.close()
        with contextlib.suppress(ConnectionError):
            await self._jobs.wait_closed()

    async def ending(self) -> str:
        """Say how it ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()
        code = self._process.returncode
        return "" if code is None else f" by signal {-code}" if code < 0 else f" with exit code {code}"


class Studio:
    """Draws cards, and remembers the latest pictures.

    Args:
        processes: how many draw at the same time.
        deadline: seconds for one picture.
        idle: seconds without a picture after which the processes end.
        pictures_per_process: after which a process is replaced.
        cache_bytes: memory for finished pictures.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        deadline: float = DEADLINE,
        idle: float = IDLE,
        pictures_per_process: int = PICTURES_PER_PROCESS,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._free: list[_Process] = []
        self._places = asyncio.Semaphore(processes)
        self._deadline = deadline
        self._idle = idle
        self._pictures_per_process = pictures_per_process
        self._cache = _Cache(cache_bytes)
        self._running: dict[str, asyncio.Task[Picture]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._folder: Path | None = None
        self._closed = False
        self.drawn = 0

    @property
    def processes(self) -> int:
        """How many processes wait for something to draw."""
        return len(self._free)

    async def draw(self, card: Card, options: CardOptions, *, most_waiting: int | None = None) -> Picture:
        """Return the picture of a card; the same one again comes from memory.

        Args:
            card: what stands on it.
            options: how it is drawn.
            most_waiting: give up at once where so many others are being drawn, or wait for it; None waits.

        Raises:
            CardError: it could not be drawn, or not in time.
        """
        key = mark_of(card, options)
        if (known := self._cache.get(key)) is not None:
            return known
        task = self._running.get(key)
        if task is None:
            if self._closed:
                raise CardError("no more pictures are drawn: the bot is stopping")
            if most_waiting is not None and len(self._running) >= most_waiting:
                raise CardError(f"{len(self._running)} other pictures wait to be drawn; try again in a moment")
            task = asyncio.create_task(self._draw(key, card, options))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # Who stops waiting must not take the picture away from others who wait for it.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise CardError("no more pictures are drawn: the bot is stopping") from None
            raise

    async def warm(self) -> None:
        """Start a process ahead of the first picture.

        Raises:
            CardError: it cannot be started.
        """
        async with self._places:
            if not self._closed and not self._free:
                self._put_back(await self._start())
                self._rest()

    async def close(self) -> None:
        """End every process; a picture in the making is given up."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end(self._free)
        await asyncio.gather(*self._endings)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _draw(self, key: str, card: Card, options: CardOptions) -> Picture:
        job = pickle.dumps((card, options.theme, options.image, options.scale, options.least_height))
        async with self._places:
            data, width, height = await self._on_a_process(job)
        picture = Picture(options.image, data, card.alt_text, width, height, f"{card.name}.{options.image.value}")
        self._cache.put(key, picture)
        self.drawn += 1
        return picture

    async def _on_a_process(self, job: bytes) -> tuple[bytes, int, int]:
        if self._timer is not None:
            self._timer.cancel()
        process: _Process | None = None
        try:
            async with asyncio.timeout(self._deadline):
                process = await self._take()
                drawn = await process.draw(job)
        except CardError:
            if process is not None:
                self._put_back(process)
            raise
        except TimeoutError:
            await self._end([process] if process else [])
            raise CardError(
                f"the picture was not ready after {self._deadline:.0f} s and was given up; try again when the machine "
                "has less to do"
            ) from None
        except _EndedError:
            how = "" if process is None else await process.ending()
            await self._end([process] if process else [])
            raise CardError(f"the drawing process ended{how}; the next picture gets a new one") from None
        except BaseException:
            await self._end([process] if process else [])
            raise
        finally:
            self._rest()
        self._put_back(process)
        return drawn

    async def _take(self) -> _Process:
        while self._free:
            process = self._free.pop()
            if process.alive:
                return process
            await process.end()
        return await self._start()

    async def _start(self) -> _Process:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="etlegacy-cards-"))
        try:
            return await _Process.start(self._folder)
        except _EndedError:
            raise CardError("the drawing process does not start; is matplotlib installed? (`make install`)") from None
        except OSError as error:
            raise CardError(f"the drawing process does not start: {error.strerror or error}") from error

    def _put_back(self, process: _Process) -> None:
        if process.pictures >= self._pictures_per_process:
            self._later_end([process])
        else:
            self._free.append(process)

    def _rest(self) -> None:
        """Let the processes end unless somebody asks again in time."""
        if self._timer is not None:
            self._timer.cancel()
        if self._closed:
            return
        self._timer = asyncio.get_running_loop().call_later(self._idle, self._nobody_asks)

    def _nobody_asks(self) -> None:
        free, self._free = self._free, []
        self._later_end(free)

    def _later_end(self, processes: list[_Process]) -> None:
        task = asyncio.create_task(self._end(processes))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    @staticmethod
    async def _end(processes: list[_Process]) -> None:
        while processes:
            await processes.pop().end()


def mark_of(card: Card, options: CardOptions) -> str:
    """Return what a picture depends on, as one hash: a card is all texts and numbers."""
    drawn = (card, options.theme.value, options.image.value, options.scale, options.least_height)
    return hashlib.sha256(repr(drawn).encode("utf-8", "surrogatepass")).hexdigest()


class _Cache:
    """The latest pictures, as many as fit into so many bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._pictures: OrderedDict[str, Picture] = OrderedDict()

    def get(self, key: str) -> Picture | None:
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
        return picture

    def put(self, key: str, picture: Picture) -> None:
        if key in self._pictures or len(picture.data) > self._size:
            return
        self._pictures[key] = picture
        self._taken += len(picture.data)
        while self._taken > self._size:
            _, oldest = self._pictures.popitem(last=False)
            self._taken -= len(oldest.data)
