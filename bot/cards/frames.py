"""How the bot and a drawing process talk: a job is its length and a pickle, an answer is a head and bytes."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

FRAME: Final = struct.Struct(">I")
"""Length of a job."""

HEAD: Final = struct.Struct(">BIII")
"""Of an answer: its status, width, height, length."""


class Status(IntEnum):
    """What an answer is."""

    DRAWN = 0
    FAILED = 1
