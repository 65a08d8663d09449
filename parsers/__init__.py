"""Reading ET:Legacy round-stats files: bytes in, plain values out. No I/O, no clock, no database."""

from __future__ import annotations

from parsers import metrics
from parsers.awards import covers_both_rounds, parse_awards_file
from parsers.colors import strip_colors
from parsers.derive import (
    Attack,
    MapResult,
    derive_round,
    is_aborted_round_1,
    is_aborted_round_2,
    is_bot,
    map_result,
    player_as_written,
    player_key,
)
from parsers.errors import ParseError
from parsers.model import (
    Award,
    AwardsFile,
    Basis,
    DurationSource,
    FileKind,
    FileName,
    Header,
    PlayerLine,
    PlayerRound,
    RejectedLine,
    Round,
    RoundFile,
    RoundFlag,
    Versus,
    WeaponStats,
)
from parsers.names import is_stats_file_name, parse_file_name
from parsers.record import player_record
from parsers.round_file import LAYOUTS, MAX_FILE_BYTES, clean_name, parse_round_file
from parsers.version import PARSER_VERSION
from parsers.weapons import ACCURACY_BITS, WEAPONS, Weapon

__all__ = [
    "ACCURACY_BITS",
    "LAYOUTS",
    "MAX_FILE_BYTES",
    "PARSER_VERSION",
    "WEAPONS",
    "Attack",
    "Award",
    "AwardsFile",
    "Basis",
    "DurationSource",
    "FileKind",
    "FileName",
    "Header",
    "MapResult",
    "ParseError",
    "PlayerLine",
    "PlayerRound",
    "RejectedLine",
    "Round",
    "RoundFile",
    "RoundFlag",
    "Versus",
    "Weapon",
    "WeaponStats",
    "clean_name",
    "covers_both_rounds",
    "derive_round",
    "is_aborted_round_1",
    "is_aborted_round_2",
    "is_bot",
    "is_stats_file_name",
    "map_result",
    "metrics",
    "parse_awards_file",
    "parse_file_name",
    "parse_round_file",
    "player_as_written",
    "player_key",
    "player_record",
    "strip_colors",
]
