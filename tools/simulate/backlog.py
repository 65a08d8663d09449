"""A folder full of round-stats files, as a server that has run for months leaves it behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path

from tools.simulate.evenings import HOST_NAME, play_evenings
from tools.simulate.hazards import DEFAULT_HAZARDS, Hazards
from tools.simulate.truth import PlayedFile, PlayedRound, RoundTruth

_STAMP = "%Y-%m-%d-%H%M%S"
_STAMP_LENGTH = 17
_ARBITRARY_EVENING = date(2024, 1, 1)


def moved_name(name: str, by: timedelta) -> str:
    """A file's name with its stamp moved."""
    stamp = datetime.strptime(name[:_STAMP_LENGTH], _STAMP) + by  # noqa: DTZ007 - server local time has no zone
    return f"{stamp:{_STAMP}}{name[_STAMP_LENGTH:]}"


def moved(played: PlayedRound, by: timedelta) -> PlayedRound:
    """The same round played at another time. The bytes stay: only names and times of files tell when it was."""
    truth = played.truth
    if truth.round_1 is not None or truth.twin_of is not None:
        truth = replace(
            truth,
            round_1=truth.round_1 and moved_name(truth.round_1, by),
            twin_of=truth.twin_of and moved_name(truth.twin_of, by),
        )
    beside = tuple(PlayedFile(moved_name(file.name, by), file.data, file.written_at + by) for file in played.beside)
    return PlayedRound(moved_name(played.name, by), played.data, played.written_at + by, truth, beside)


def write_file(folder: Path, name: str, data: bytes, written_at: datetime, zone: tzinfo | None) -> None:
    """Write one file whose modification time is `written_at` (naive) in the server's zone; None is this machine's."""
    path = folder / name
    path.write_bytes(data)
    moment = written_at.replace(tzinfo=zone).timestamp()
    os.utime(path, (moment, moment))


def write_played(folder: Path, played: PlayedRound, zone: tzinfo | None = None) -> None:
    """Write a round's file and those that lie beside it."""
    write_file(folder, played.name, played.data, played.written_at, zone)
    for file in played.beside:
        write_file(folder, file.name, file.data, file.written_at, zone)


def _whole_evenings(evenings: Iterator[PlayedRound], rounds: int) -> list[PlayedRound]:
    """Round after round until there are enough and the evening is over."""
    played: list[PlayedRound] = []
    for one in evenings:
        if len(played) >= rounds and one.truth.evening != played[-1].truth.evening:
            break
        played.append(one)
    return played


def _from_here_on(played: list[PlayedRound], rounds: int) -> list[PlayedRound]:
    """The last `rounds` of what was played, counted from 1 again; what lies before never was in the folder."""
    cut = len(played) - rounds
    kept = played[cut:]
    gone: dict[str, RoundTruth] = {one.name: one.truth for one in played[:cut]}
    first_match = kept[0].truth.match - 1
    first_evening = next((one.truth.evening for one in kept if one.truth.evening), 1) - 1
    result = []
    for one in kept:
        truth = replace(
            one.truth,
            match=one.truth.match - first_match,
            evening=one.truth.evening and one.truth.evening - first_evening,
        )
        if truth.round_1 in gone:
            lost = gone[truth.round_1 or ""]
            truth = replace(truth, round_1=None, round_1_lost=lost, match_result=None)
        result.append(replace(one, truth=truth))
    return result


def play_backlog(
    seed: int,
    rounds: int,
    *,
    last_evening_end: datetime,
    layout: int | None = 38,
    newline: str = "\r\n",
    milliseconds: bool = False,
    players_per_side: tuple[int, int] = (3, 6),
    hazards: Hazards = DEFAULT_HAZARDS,
    host_name: str = HOST_NAME,
) -> list[PlayedRound]:
    """Exactly so many rounds, the last of which was written at `last_evening_end` (naive server local time).

    The last evening is whole; the first may begin in its middle. Everything else is as in `play_evenings`, only that
    no file is written twice (`Hazards.twin`).
    """
    if rounds < 1:
        return []
    once = replace(hazards, twin=0.0)

    def play(first_evening: date) -> list[PlayedRound]:
        return _whole_evenings(
            play_evenings(
                seed,
                first_evening=first_evening,
                layout=layout,
                newline=newline,
                milliseconds=milliseconds,
                players_per_side=players_per_side,
                hazards=once,
                host_name=host_name,
            ),
            rounds,
        )

    first_evening = _ARBITRARY_EVENING
    played = play(first_evening)
    if layout is None:
        # Which layout an evening has depends on its date, so play again with the dates about right.
        first_evening += timedelta(days=round((last_evening_end - played[-1].written_at) / timedelta(days=1)))
        played = play(first_evening)
    by = last_evening_end.replace(microsecond=0) - played[-1].written_at
    return [moved(one, by) for one in _from_here_on(played, rounds)]


def write_backlog(
    folder: Path,
    seed: int,
    rounds: int,
    *,
    last_evening_end: datetime,
    zone: tzinfo | None = None,
    layout: int | None = 38,
    newline: str = "\r\n",
    milliseconds: bool = False,
    players_per_side: tuple[int, int] = (3, 6),
    hazards: Hazards = DEFAULT_HAZARDS,
    host_name: str = HOST_NAME,
) -> list[PlayedRound]:
    """Write what `play_backlog` plays into `folder`, each file with the modification time of its evening.

    `zone` is the server's time zone, None this machine's. Besides the rounds' files there are those beside them
    (awards, scoreboard dumps); the returned list has one entry for each round's file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    backlog = play_backlog(
        seed,
        rounds,
        last_evening_end=last_evening_end,
        layout=layout,
        newline=newline,
        milliseconds=milliseconds,
        players_per_side=players_per_side,
        hazards=hazards,
        host_name=host_name,
    )
    for played in backlog:
        write_played(folder, played, zone)
    return backlog
