"""SFTP version 3 for reading, with as many requests in flight as the way to the server can hold.

asyncssh brings the encrypted channel; this module speaks the few messages a stats folder needs over it. asyncssh's own
client would wait for three answers per file, and for one per hundred names. The protocol lets a client send ahead:
requests for one file are carried out in the order they were sent (draft-ietf-secsh-filexfer-02, section 3), so the
reads, a look at the attributes and the close leave together as soon as the handle is known, and any number of directory
reads can be on the way at once.

Everything that arrives is hostile until it is decoded: sizes are capped before memory is taken, and an answer that does
not fit its question ends the session. Nothing in here writes to a server: the messages for it do not exist.
"""

import asyncio
import stat
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import asyncssh

__all__ = [
    "MAX_READ",
    "Attributes",
    "Name",
    "SessionEnded",
    "SessionLost",
    "SessionStuck",
    "SessionViolation",
    "SftpRefusal",
    "SftpSession",
    "Status",
    "printable",
]

_T = TypeVar("_T")

MAX_READ: Final = 16 * 1024
"""Bytes asked for in one read: what every server answers in full, whatever its packet limit (draft, section 3)."""

_MAX_PACKET: Final = 1024 * 1024
"""Longest answer accepted. A hundred names of the longest kind are about 65 KB."""

_ROUND_TRIPS_KEPT: Final = 8

_INIT, _VERSION = 1, 2
_OPEN, _CLOSE, _READ, _FSTAT, _OPENDIR, _READDIR, _REALPATH, _STAT = 3, 4, 5, 8, 11, 12, 16, 17
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_EXTENDED, _EXTENDED_REPLY = 200, 201

_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000
_USUAL_FLAGS: Final = _HAS_SIZE | _HAS_OWNER | _HAS_MODE | _HAS_TIMES

_u32 = struct.Struct(">I").unpack_from
_usual_attributes = struct.Struct(">QIIIII").unpack_from
_header = struct.Struct(">IBI").pack
_range = struct.Struct(">QI").pack


class Status:
    """Result codes of SFTP version 3 that are told apart here."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4


class SftpRefusal(Exception):  # noqa: N818 - the server said no to one request; the session goes on
    """The server answered one request with a status other than success.

    Attributes:
        code: SFTP version 3 status code.
        reason: what the server wrote beside it, printable and short.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{reason} (status {code})")


class SessionLost(Exception):  # noqa: N818 - a state, said the way the reader says it
    """The channel ended: dropped, reset, closed by the server or by us."""


class SessionEnded(SessionLost):
    """The server ended the session in an orderly way."""


class SessionStuck(SessionLost):
    """Requests are waiting and no answer has come for the time allowed.

    Attributes:
        subject: what the oldest unanswered request was about (a path), or "" when it was about nothing in particular.
    """

    def __init__(self, subject: str, seconds: float) -> None:
        self.subject = subject
        super().__init__(f"no answer for {seconds:g} s")


class SessionViolation(SessionLost):
    """The server sent what the protocol does not allow."""


class Attributes(NamedTuple):
    """Attributes of one file. Each is None where the server left it out."""

    size: int | None
    """Bytes."""
    mode: int | None
    """Type and permission bits as in `stat.st_mode`."""
    mtime: int | None
    """Seconds since 1970, UTC."""

    @property
    def is_regular(self) -> bool:
        """Whether this is a plain file: not a symlink, folder, FIFO, socket or device."""
        return self.mode is not None and stat.S_ISREG(self.mode)


class Name(NamedTuple):
    """One entry of a folder, as the server sent it."""

    name: bytes
    attributes: Attributes


class _Answer(NamedTuple):
    kind: int
    body: memoryview


def printable(raw: bytes | str, limit: int = 120) -> str:
    """Return text from outside, safe to show: unprintable characters escaped, cut to about `limit` characters."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


class SftpSession(asyncssh.SSHClientSession[bytes]):
    """One SFTP session. Requests return a future at once; they may all be in flight together.

    The futures hold the raw answer and never an exception, so one that nobody waits for leaves no noise. The methods
    `await_handle`, `await_data`, ... turn an answer into its value, or raise `SftpRefusal` (for this request alone) or
    `SessionLost` (for all of them).
    """

    def __init__(self, answer_timeout: float) -> None:
        self._answer_timeout = answer_timeout
        self._loop = asyncio.get_running_loop()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._partial = b""
        self._outgoing: list[bytes] = []
        self._next_id = 0
        self._waiting: dict[int, tuple[asyncio.Future[_Answer | None], float, str]] = {}
        self._alone: int | None = None
        self._last_answer = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._version: asyncio.Future[bool] = self._loop.create_future()
        self._round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS_KEPT)
        self._extensions: dict[bytes, bytes] = {}
        self.failure: SessionLost | None = None
        self.max_open_handles: int | None = None
        """Files the server lets us hold open at once, where it says so."""

    # -- what asyncssh calls -------------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Decode the answers that are complete; keep the rest for the next call."""
        if datatype is not None or self.failure is not None:
            return  # what a login script prints to stderr is no concern of ours
        if self._partial:
            data = self._partial + data
        view = memoryview(data)
        start, end = 0, len(data)
        try:
            while end - start >= 4:
                (length,) = _u32(data, start)
                if not 1 <= length <= _MAX_PACKET:
                    raise SessionViolation(self._not_sftp(length, data[start : start + 24]))
                if end - start - 4 < length:
                    break
                self._packet(view[start + 4 : start + 4 + length])
                start += 4 + length
        except SessionViolation as violation:
            self.fail(violation)
        except (struct.error, IndexError, ValueError):
            self.fail(SessionViolation("an answer ends before its own fields do"))
        else:
            self._partial = data[start:]

    def eof_received(self) -> bool:
        """The server sends no more: the session is over."""
        self.fail(SessionEnded("the server ended the SFTP session"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: whoever waits is told."""
        self.fail(SessionLost(printable(str(exc)) if exc else "the connection was closed"))

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Agree on the version, learn the server's limits and take a first round trip time.

        Raises:
            SessionLost: the channel ended, the server is stuck or does not speak SFTP version 3.
        """
        began = self._loop.time()
        if self._channel is None:
            raise SessionLost("the channel never opened")
        self._channel.write(struct.pack(">IBI", 5, _INIT, 3))
        self._last_answer = began
        self._arm()
        if not await self._version:
            raise self._lost()
        self._round_trips.append(self._loop.time() - began)
        if self._extensions.get(b"limits@openssh.com") == b"1":
            answer = await self._send(_EXTENDED, _string(b"limits@openssh.com"), "")
            if answer is not None and answer.kind == _EXTENDED_REPLY and len(answer.body) >= 32:
                self.max_open_handles = struct.unpack_from(">QQQQ", answer.body)[3] or None
        else:
            await self._send(_REALPATH, _string(b"."), "")
        if self.failure is not None:
            raise self._lost()

    @property
    def round_trip(self) -> float:
        """Seconds from a request to its answer when nothing else is in flight: the least of the last few seen."""
        return min(self._round_trips, default=0.0)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._waiting)

    def fail(self, failure: SessionLost) -> None:
        """End the session: every request that waits, and every later one, gets `failure`."""
        if self.failure is not None:
            return
        self.failure = failure
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._partial = b""
        self._outgoing.clear()
        waiting, self._waiting = self._waiting, {}
        for future, _, _ in waiting.values():
            if not future.done():
                future.set_result(None)
        if not self._version.done():
            self._version.set_result(False)
        if self._channel is not None:
            self._channel.abort()

    # -- requests ------------------------------------------------------------------------------------------------------

    def open(self, path: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask to open a file for reading; the answer is a handle."""
        return self._send(_OPEN, _string(path) + b"\0\0\0\x01\0\0\0\0", subject)

    def read(self, handle: bytes, offset: int, length: int, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask for up to `length` bytes from `offset`; the answer is data, or the end of the file."""
        return self._send(_READ, _string(handle) + _range(offset, length), subject)

    def fstat(self, handle: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask for the attributes of an open file."""
        return self._send(_FSTAT, _string(handle), subject)

    def close(self, handle: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Give a handle back. Its answer holds nothing worth waiting for."""
        return self._send(_CLOSE, _string(handle), subject)

    def stat(self, path: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask for the attributes of what a path leads to."""
        return self._send(_STAT, _string(path), subject)

    def opendir(self, path: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask to read a folder; the answer is a handle."""
        return self._send(_OPENDIR, _string(path), subject)

    def readdir(self, handle: bytes, subject: str = "") -> asyncio.Future[_Answer | None]:
        """Ask for the next names of a folder; the answer is some names, or the end."""
        return self._send(_READDIR, _string(handle), subject)

    def give_back(self, future: asyncio.Future[_Answer | None]) -> None:
        """Close the handle that an open or opendir nobody waits for any more was or will be answered with."""
        if future.cancel() or future.cancelled():
            return  # it is closed when it comes
        answer = future.result()
        if answer is not None and answer.kind == _HANDLE:
            self.close(bytes(self._decode(_first_string, answer.body)[0]))

    # -- answers -------------------------------------------------------------------------------------------------------

    async def await_handle(self, future: asyncio.Future[_Answer | None]) -> bytes:
        """Return the handle an open or opendir was answered with."""
        try:
            answer = await future
        except asyncio.CancelledError:
            self.give_back(future)
            raise
        handle, _ = self._decode(_first_string, self._expect(answer, _HANDLE))
        if not 1 <= len(handle) <= 256:
            raise self._violated("a file handle of an impossible length")
        return bytes(handle)

    async def await_data(self, future: asyncio.Future[_Answer | None], asked: int) -> bytes:
        """Return the bytes a read of `asked` bytes was answered with: fewer at the end of the file, none after it."""
        answer = await future
        if self._is_end(answer):
            return b""
        data, _ = self._decode(_first_string, self._expect(answer, _DATA))
        if len(data) > asked:
            raise self._violated(f"{len(data)} bytes in answer to a read of {asked}")
        return bytes(data)

    async def await_attributes(self, future: asyncio.Future[_Answer | None]) -> Attributes:
        """Return the attributes a stat or fstat was answered with."""
        attributes, _ = self._decode(_first_attributes, self._expect(await future, _ATTRS))
        return attributes

    async def await_names(self, future: asyncio.Future[_Answer | None]) -> list[Name] | None:
        """Return the names a readdir was answered with, or None at the end of the folder."""
        answer = await future
        if self._is_end(answer):
            return None
        return self._decode(_names, self._expect(answer, _NAME))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _send(self, kind: int, payload: bytes, subject: str) -> asyncio.Future[_Answer | None]:
        future: asyncio.Future[_Answer | None] = self._loop.create_future()
        if self.failure is not None:
            future.set_result(None)
            return future
        now = self._loop.time()
        request_id = self._next_id = (self._next_id + 1) & 0xFFFFFFFF
        if self._waiting:
            self._alone = None
        else:
            self._alone = request_id
            self._last_answer = now
        self._waiting[request_id] = (future, now, subject)
        self._arm()
        # What is asked within one turn of the loop leaves as one piece: one encryption, one system call, many requests.
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(_header(len(payload) + 5, kind, request_id) + payload)
        return future

    def _flush(self) -> None:
        if self._outgoing and self._channel is not None:
            requests = b"".join(self._outgoing)
            self._outgoing.clear()
            try:
                self._channel.write(requests)
            except OSError as error:  # asyncssh: the channel is closing
                self.fail(SessionLost(printable(str(error))))

    def _packet(self, packet: memoryview) -> None:
        kind = packet[0]
        if not self._version.done():
            self._start_answer(kind, packet)
            return
        (request_id,) = _u32(packet, 1)
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            raise SessionViolation("an answer to a question nobody asked")
        future, sent, _ = waiting
        self._last_answer = now = self._loop.time()
        if self._alone == request_id:
            self._round_trips.append(now - sent)
        answer = _Answer(kind, packet[5:])
        if not future.done():
            future.set_result(answer)
        elif kind == _HANDLE:
            # Whoever asked was cancelled: give back what the server holds open for nobody.
            self.close(bytes(_take_string(answer.body, 0)[0]))

    def _start_answer(self, kind: int, body: memoryview) -> None:
        if kind != _VERSION:
            raise SessionViolation(self._not_sftp(len(body), bytes(body[:24])))
        (version,) = _u32(body, 1)
        if version != 3:
            raise SessionViolation(f"SFTP version {version} where version 3 was asked for")
        at = 5
        while at < len(body):
            name, at = _take_string(body, at)
            value, at = _take_string(body, at)
            self._extensions[bytes(name)] = bytes(value)
        self._version.set_result(True)

    def _not_sftp(self, length: int, seen: bytes) -> str:
        if not self._version.done():
            return (
                f"what came is not SFTP but {printable(seen)!r}; a login script that prints text is the usual cause"
                if seen[:4].isascii() and seen[:4].decode("ascii", "replace").isprintable()
                else "what came is not SFTP"
            )
        return f"an answer of {length} bytes"

    def _expect(self, answer: _Answer | None, kind: int) -> memoryview:
        if answer is None:
            raise self._lost()
        if answer.kind == kind:
            return answer.body
        if answer.kind == _STATUS:
            code, reason = self._decode(_status, answer.body)
            if code != Status.OK:
                raise SftpRefusal(code, reason)
        raise self._violated(f"an answer of kind {answer.kind} where {kind} was due")

    def _is_end(self, answer: _Answer | None) -> bool:
        return answer is not None and answer.kind == _STATUS and self._decode(_status, answer.body)[0] == Status.EOF

    def _decode(self, decoder: Callable[[memoryview], _T], body: memoryview) -> _T:
        try:
            return decoder(body)
        except (struct.error, IndexError, ValueError):
            raise self._violated("an answer ends before its own fields do") from None

    def _violated(self, what: str) -> SessionLost:
        self.fail(SessionViolation(what))
        return self._lost()

    def _lost(self) -> SessionLost:
        # A fresh one each time: a single exception raised in many tasks would gather all their tracebacks.
        failure = self.failure or SessionLost("the session is closed")
        if isinstance(failure, SessionStuck):
            return SessionStuck(failure.subject, self._answer_timeout)
        return type(failure)(*failure.args)

    def _arm(self) -> None:
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_timeout, self._check_progress)

    def _check_progress(self) -> None:
        # One timer for all requests: the server is stuck when not one has been answered for the whole time allowed.
        self._watch = None
        if not self._waiting and self._version.done():
            return
        left = self._last_answer + self._answer_timeout - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._check_progress)
            return
        subject = next(iter(self._waiting.values()))[2] if self._waiting else ""
        self.fail(SessionStuck(subject, self._answer_timeout))


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _take_string(body: memoryview, at: int) -> tuple[memoryview, int]:
    (length,) = _u32(body, at)
    end = at + 4 + length
    if end > len(body):
        raise ValueError("string longer than its packet")
    return body[at + 4 : end], end


def _first_string(body: memoryview) -> tuple[memoryview, int]:
    return _take_string(body, 0)


def _first_attributes(body: memoryview) -> tuple[Attributes, int]:
    return _attributes(body, 0)


def _status(body: memoryview) -> tuple[int, str]:
    (code,) = _u32(body, 0)
    reason, _ = _take_string(body, 4) if len(body) >= 8 else (memoryview(b""), 0)  # early servers send the code alone
    return code, printable(bytes(reason[:200])) or "no reason given"


def _attributes(body: memoryview, at: int) -> tuple[Attributes, int]:
    (flags,) = _u32(body, at)
    at += 4
    if flags == _USUAL_FLAGS:
        size, _, _, mode, _, mtime = _usual_attributes(body, at)
        return Attributes(size, mode, mtime), at + 28
    size = mode = mtime = None
    if flags & _HAS_SIZE:
        (size,) = struct.unpack_from(">Q", body, at)
        at += 8
    if flags & _HAS_OWNER:
        at += 8
    if flags & _HAS_MODE:
        (mode,) = _u32(body, at)
        at += 4
    if flags & _HAS_TIMES:
        (mtime,) = _u32(body, at + 4)
        at += 8
    if flags & _HAS_MORE:
        (pairs,) = _u32(body, at)
        at += 4
        for _ in range(pairs):  # each takes at least 8 bytes, so the packet's end stops a lie about the count
            _, at = _take_string(body, at)
            _, at = _take_string(body, at)
    if at > len(body):
        raise ValueError("attributes longer than their packet")
    return Attributes(size, mode, mtime), at


def _names(body: memoryview) -> list[Name]:
    (count,) = _u32(body, 0)
    at = 4
    names: list[Name] = []
    for _ in range(count):
        name, at = _take_string(body, at)
        _, at = _take_string(body, at)  # the line `ls -l` would show: text for people, of no fixed form
        attributes, at = _attributes(body, at)
        names.append(Name(bytes(name), attributes))
    return names
