"""The drawing process: reads cards from its standard input and writes pictures to its standard output."""

from __future__ import annotations

import os
import pickle
import sys
from typing import BinaryIO

from bot.cards.frames import FRAME, HEAD, Status


def _send(out: BinaryIO, status: Status, data: bytes, width: int = 0, height: int = 0) -> None:
    out.write(HEAD.pack(status, width, height, len(data)) + data)
    out.flush()


def _reason(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}"[:300].encode("utf-8", "replace")


def serve(jobs: BinaryIO, out: BinaryIO) -> None:
    """Say that it can draw, then draw one job after the other; return at the end of the input."""
    try:
        from bot.cards.drawing import glyphs
        from bot.cards.drawing.painter import paint

        glyphs.families()
    except Exception as error:
        _send(out, Status.FAILED, _reason(error))
        return
    _send(out, Status.DRAWN, b"")
    while len(head := jobs.read(FRAME.size)) == FRAME.size:
        (size,) = FRAME.unpack(head)
        try:
            card, *options = pickle.loads(jobs.read(size))  # noqa: S301 - the bot itself wrote it
            data, width, height = paint(card, *options)
        except Exception as error:
            _send(out, Status.FAILED, _reason(error))
        else:
            _send(out, Status.DRAWN, data, width, height)


def main() -> None:
    """Serve on standard input and output; whatever else writes to the output goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
