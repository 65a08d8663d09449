"""The reader held against what really happened: thousands of simulated rounds, every number, every layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from parsers.awards import parse_awards_file
from parsers.derive import (
    derive_round,
    is_aborted_round_1,
    is_aborted_round_2,
    map_result,
    player_key,
)
from parsers.model import Basis, DurationSource, PlayerRound, Round, RoundFile, RoundFlag
from parsers.names import is_stats_file_name, parse_file_name
from parsers.round_file import parse_round_file
from tools.simulate.evenings import play_evenings
from tools.simulate.hazards import Hazards
from tools.simulate.truth import PlayedRound, PlayerTruth, RoundKind, RoundTruth

ROUNDS = 500
STYLES = {
    "33": (33, False, "\r\n"),
    "36": (36, False, "\r\n"),
    "37": (37, False, "\n"),
    "38": (38, False, "\r\n"),
    "38 with milliseconds": (38, True, "\n"),
}
TROUBLE = {"some": Hazards(), "much": Hazards.hostile()}
NOT_IN_THE_FILE = {"clock_seconds", "alive_percent", "reconnected", "weapons"}
EXACT = sorted(set(PlayerTruth.__slots__) - NOT_IN_THE_FILE)
UNBALANCED = {RoundFlag.KILLS_UNBALANCED, RoundFlag.DAMAGE_UNBALANCED, RoundFlag.TEAM_DAMAGE_UNBALANCED}
RECONNECTED = {"reconnect_inside", "reconnect_between"}
RUNNING = (
    "kills",
    "deaths",
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "team_kills",
    "team_gibs",
    "time_played",
)


@dataclass
class Read:
    """A simulated round, its file as read, and the round 1 that its match has."""

    played: PlayedRound
    file: RoundFile
    round_1: RoundFile | None

    @property
    def truth(self) -> RoundTruth:
        return self.played.truth


def read_all(style: str, trouble: str, seed: int = 31) -> Iterator[Read]:
    layout, milliseconds, newline = STYLES[style]
    files: dict[str, RoundFile] = {}
    for played in play_evenings(
        seed + layout,
        rounds=ROUNDS,
        first_evening=date(2025, 1, 5),
        layout=layout,
        newline=newline,
        milliseconds=milliseconds,
        hazards=TROUBLE[trouble],
    ):
        file = parse_round_file(played.data, played.name)
        files[played.name] = file
        if played.truth.kind is not RoundKind.TWIN:
            yield Read(played, file, files[played.truth.round_1] if played.truth.round_1 else None)


def derive(read: Read) -> Round:
    if read.truth.kind is RoundKind.ABORTED and read.truth.number == 2:
        return derive_round(read.file, read.round_1, number=2)
    return derive_round(read.file, read.round_1)


def alive_tolerance(read: Read, truth: PlayerTruth) -> float:
    """How far a derived alive % may be off: the file rounds each percentage, and both its clocks by up to 3 s."""
    line = next(line for line in read.file.players if player_key(line) == key_of(truth))
    own, ours = truth.alive_percent, 6 * line.time_played_tenths
    if truth.basis != "differential" or read.round_1 is None:
        return 0.051
    earlier = next(line for line in read.round_1.players if player_key(line) == key_of(truth))
    rounding = 0.05 * (ours + 6 * earlier.time_played_tenths)
    clocks = 3 * (abs(line.alive_percent - own) + abs(earlier.alive_percent - own))
    return (rounding + clocks) / truth.time_played + 0.05


def key_of(truth: PlayerTruth) -> str:
    return f"{truth.guid}:{truth.name}" if truth.is_bot else truth.guid


def weapons(player: PlayerRound | PlayerTruth) -> dict[int, tuple[int, ...]]:
    return {bit: tuple(row) for bit, row in player.weapons.items() if any(row)}


def check_player(read: Read, player: PlayerRound, truth: PlayerTruth) -> None:
    found = {name: getattr(player, name) for name in EXACT}
    assert found == {name: getattr(truth, name) for name in EXACT}, read.played.name
    assert weapons(player) == weapons(truth), read.played.name
    assert player.alive_percent is not None
    assert abs(player.alive_percent - truth.alive_percent) <= alive_tolerance(read, truth), read.played.name


every_style = pytest.mark.parametrize("style", STYLES)
every_trouble = pytest.mark.parametrize("trouble", TROUBLE)


@every_style
@every_trouble
def test_every_number_is_the_true_one(style: str, trouble: str) -> None:
    for read in read_all(style, trouble):
        truth, derived = read.truth, derive(read)
        assert read.file.complete
        assert not read.file.rejected
        assert derived.number == truth.number, read.played.name
        assert derived.header.map_name == truth.map_name
        assert derived.header.defender == truth.defender
        assert derived.attackers_completed is truth.attackers_completed, read.played.name
        if truth.round_1_lost is not None:
            continue
        assert tuple(sorted(derived.not_played)) == truth.not_played, read.played.name
        players = {player_key(player): player for player in derived.players}
        assert players.keys() == truth.players.keys(), read.played.name
        for key, player in players.items():
            check_player(read, player, truth.players[key])


@every_style
@every_trouble
def test_every_round_has_its_length_and_its_flags(style: str, trouble: str) -> None:
    for read in read_all(style, trouble):
        truth, derived = read.truth, derive(read)
        assert (RoundFlag.ABORTED in derived.flags) == (truth.kind is RoundKind.ABORTED), read.played.name
        if not truth.players or truth.round_1_lost is not None:
            continue
        assert derived.seconds is not None
        # Milliseconds may round up; the players' clocks go in steps of 6 s.
        tolerance = {DurationSource.MILLISECONDS: 1, DurationSource.PLAYERS_CLOCK: 6}
        allowed = tolerance.get(derived.seconds_from or DurationSource.FULL_HOLD, 0)
        assert abs(derived.seconds - truth.seconds) <= allowed, read.played.name
        assert bool(derived.flags & UNBALANCED) != truth.balanced(), read.played.name
        if truth.kind is RoundKind.ROUND and abs(truth.time_limit - truth.seconds) not in range(1, 16):
            assert (RoundFlag.EARLY_END in derived.flags) == truth.early_end, read.played.name


@every_trouble
def test_every_match_goes_to_the_right_side(trouble: str) -> None:
    finished = 0
    for read in read_all("38", trouble):
        if read.truth.number == 2 and read.round_1 is not None:
            result = map_result(derive_round(read.round_1), derive(read))
            assert (result and result.value) == (read.truth.match_result and read.truth.match_result.value)
            finished += result is not None
    assert finished > 100


def test_an_orphan_round_2_stays_both_rounds_together() -> None:
    orphans = 0
    for read in read_all("38", "much"):
        lost = read.truth.round_1_lost
        if lost is None:
            continue
        orphans += 1
        derived = derive_round(read.file)
        cumulative = {player_key(p): p for p in derived.players if p.basis is Basis.CUMULATIVE}
        assert (RoundFlag.NO_ROUND_1 in derived.flags) == bool(cumulative), read.played.name
        for key, truth in read.truth.players.items():
            if truth.basis == "fresh" and key not in cumulative:
                continue
            if truth.basis == "differential" and key in cumulative:
                for name in RUNNING:
                    total = getattr(lost.players[key], name) + getattr(truth, name)
                    assert getattr(cumulative[key], name) == total, (read.played.name, key, name)
    assert orphans > 5


def test_an_aborted_round_is_known_by_its_file() -> None:
    aborted = {1: 0, 2: 0}
    for style in STYLES:
        before: RoundFile | None = None
        for read in read_all(style, "much"):
            truth = read.truth
            assert is_aborted_round_1(read.file) == (truth.kind is RoundKind.ABORTED and truth.number == 1)
            if before is not None and truth.kind is not RoundKind.ABORTED:
                assert not is_aborted_round_2(read.file, before), read.played.name
            if truth.kind is RoundKind.ABORTED:
                aborted[truth.number] += 1
                if truth.number == 2 and read.round_1 is not None and not truth.hazards & RECONNECTED:
                    assert is_aborted_round_2(read.file, read.round_1), read.played.name
            before = read.file
    assert min(aborted.values()) > 10


def test_other_files_are_told_by_their_names() -> None:
    awards = dumps = 0
    for read in read_all("38", "much"):
        assert parse_file_name(read.played.name).stamp == read.played.written_at
        for file in read.played.beside:
            if file.name.endswith("-endstats.txt"):
                awards += 1
                parsed = parse_awards_file(file.data, file.name)
                titles = {line.split("\t")[0] for line in file.data.decode().splitlines()}
                assert parsed.awards or not read.truth.players
                assert {award.title for award in parsed.awards} <= titles
                assert not parsed.rejected
            else:
                dumps += 1
                assert not is_stats_file_name(file.name)
    assert awards > 50
    assert dumps > 20
