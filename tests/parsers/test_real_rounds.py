"""Every right number of the real rounds."""

from __future__ import annotations

import itertools

from parsers import (
    Basis,
    DurationSource,
    ParseError,
    Round,
    RoundFlag,
    derive_round,
    is_aborted_round_2,
    map_result,
    parse_round_file,
    player_as_written,
    player_record,
)
from parsers.model import PlayerRound
from tests.parsers.real_files import RealRounds

_UNBALANCED = {RoundFlag.KILLS_UNBALANCED, RoundFlag.DAMAGE_UNBALANCED, RoundFlag.TEAM_DAMAGE_UNBALANCED}


def by_guid(played: Round) -> dict[str, PlayerRound]:
    return {row.guid: row for row in played.players}


def test_every_number_of_every_match_is_right(real_rounds: RealRounds) -> None:
    matches = real_rounds.expected["matches"]
    assert len(matches) == 76
    rows = 0
    for match in matches:
        r1_file, r2_file = real_rounds.parsed(match["r1_file"]), real_rounds.parsed(match["r2_file"])
        r1, r2 = derive_round(r1_file), derive_round(r2_file, r1_file)
        assert map_result(r1, r2) == match["map_winner"], match["r2_file"]
        assert r1.header.map_name == r2.header.map_name == match["map"]
        first, second = by_guid(r1), by_guid(r2)
        as_written = {line.guid: player_as_written(line) for line in r2_file.players}
        assert first.keys() | as_written.keys() == {known["guid"] for known in match["players"]}
        for known in match["players"]:
            guid = known["guid"]
            rows += 1
            for rows_of, record in ((first, "r1"), (as_written, "r2_file"), (second, "r2")):
                row = rows_of.get(guid)
                assert (row and player_record(row)) == known[record], (match["r2_file"], guid, record)
            names = [rows_of[guid].name for rows_of in (as_written, first) if guid in rows_of]
            assert names[0] == known["name"]
            basis = second[guid].basis if guid in second else "not_played" if guid in r2.not_played else None
            assert basis == known["basis"], (match["r2_file"], guid)
    assert rows == 503


def test_every_result_and_duration_is_right(real_rounds: RealRounds) -> None:
    sources = {
        "attackers' time from the header": DurationSource.ATTACKERS_TIME,
        "full hold, whole time limit": DurationSource.FULL_HOLD,
        "players' clock (round ended early, e.g. surrender)": DurationSource.PLAYERS_CLOCK,
    }
    for match in real_rounds.expected["matches"]:
        for key in ("r1", "r2"):
            name, known = match[f"{key}_file"], match[key]
            played = derive_round(real_rounds.parsed(name), real_rounds.round_1(name))
            assert {
                "defender": played.header.defender,
                "winner": played.header.winner,
                "attackers_completed": played.attackers_completed,
                "seconds": played.seconds,
            } == {field: known[field] for field in ("defender", "winner", "attackers_completed", "seconds")}, name
            assert played.seconds_from is sources[known["seconds_from"]], name
            early = played.seconds_from is DurationSource.PLAYERS_CLOCK
            assert (RoundFlag.EARLY_END in played.flags) is early, name


def test_every_round_without_its_other_half_is_right(real_rounds: RealRounds) -> None:
    lone, orphans = real_rounds.expected["lone_round_1"], real_rounds.expected["orphan_round_2"]
    assert (len(lone), len(orphans)) == (6, 8)
    for name, records in (lone | orphans).items():
        played = derive_round(real_rounds.parsed(name))
        assert {guid: player_record(row) for guid, row in by_guid(played).items()} == records, name
        aborted = name == "2025-10-26-200001-etl_sp_delivery-round-2.txt"
        basis = Basis.CUMULATIVE if name in orphans and not aborted else Basis.SINGLE
        assert {row.basis for row in played.players} == {basis}, name
        assert (RoundFlag.NO_ROUND_1 in played.flags) is (basis is Basis.CUMULATIVE)
        assert (RoundFlag.ABORTED in played.flags) is aborted
        assert played.number == (1 if basis is Basis.SINGLE else 2)


def test_a_file_without_players_is_read_and_has_none(real_rounds: RealRounds) -> None:
    assert len(real_rounds.expected["rejected"]) == 1
    for name in real_rounds.expected["rejected"]:
        assert real_rounds.parsed(name).players == ()


def test_every_file_is_read_whole(real_rounds: RealRounds) -> None:
    assert len(real_rounds.names) == 167
    layouts = {33: 0, 36: 0, 37: 0, 38: 0}
    for name in real_rounds.names:
        file = real_rounds.parsed(name)
        assert file.complete
        assert file.rejected == ()
        if file.layout is not None:
            layouts[file.layout] += 1
        rounds = {line.rounds for line in file.players}
        assert len(rounds) <= 2
    assert all(layouts.values())


def test_every_round_balances_but_the_one_with_a_reconnect_inside(real_rounds: RealRounds) -> None:
    unbalanced = {}
    for name in real_rounds.names:
        played = derive_round(real_rounds.parsed(name), real_rounds.round_1(name))
        if flags := played.flags & _UNBALANCED:
            unbalanced[name] = flags
    assert unbalanced == {
        "2025-11-01-231128-etl_sp_delivery-round-1.txt": {RoundFlag.KILLS_UNBALANCED, RoundFlag.DAMAGE_UNBALANCED}
    }


def test_no_real_round_1_is_taken_for_an_aborted_round_2(real_rounds: RealRounds) -> None:
    # The names sort by time, so these are all the pairs that could ever be asked about, and their neighbours.
    files = [real_rounds.parsed(name) for name in real_rounds.names]
    ones = [file for file in files if file.header.round_number == 1]
    for earlier, later in itertools.pairwise(ones):
        assert not is_aborted_round_2(later, earlier)


def test_a_real_round_2_that_said_round_1_is_taken_for_an_aborted_one(real_rounds: RealRounds) -> None:
    for match in real_rounds.expected["matches"]:
        data = real_rounds.data[match["r2_file"]]
        first_line, _, rest = data.partition(b"\n")
        fields = first_line.split(b"\\")
        assert fields[3] == b"2"
        fields[3] = b"1"
        name = match["r2_file"].replace("round-2", "round-1")
        turned = parse_round_file(b"\\".join(fields) + b"\n" + rest, name)
        earlier = real_rounds.parsed(match["r1_file"])
        # One of them has a player who reconnected between the rounds: the others tell.
        assert is_aborted_round_2(turned, earlier), match["r2_file"]
        right = derive_round(real_rounds.parsed(match["r2_file"]), earlier)
        played = derive_round(turned, earlier, number=2)
        assert (played.players, played.not_played) == (right.players, right.not_played)
        assert RoundFlag.ABORTED in played.flags


def test_a_real_file_cut_anywhere_is_never_a_wrong_round_in_silence(real_rounds: RealRounds) -> None:
    names = ["2025-10-14-212214-etl_adlernest-round-1.txt", "2025-10-14-212521-etl_adlernest-round-2.txt"]
    for name in names:
        data = real_rounds.data[name]
        whole = real_rounds.parsed(name)
        for cut in range(len(data)):
            try:
                file = parse_round_file(data[:cut], name)
            except ParseError as error:
                if not error.truncated:
                    raise
                continue
            played = derive_round(file, real_rounds.round_1(name))
            if file.complete:
                assert data[cut - 1 : cut] == b"\n"
                assert file.players == whole.players[: len(file.players)]
                assert not file.players or played.flags & _UNBALANCED
            else:
                assert RoundFlag.INCOMPLETE_FILE in played.flags


def test_a_lost_line_shows_in_the_balance(real_rounds: RealRounds) -> None:
    """Cut exactly at an end of line, a file looks whole; what the missing players dealt and took gives it away."""
    unseen = []
    cuts = 0
    for name in real_rounds.names:
        data = real_rounds.data[name]
        line_ends = [place + 1 for place, byte in enumerate(data) if byte == 0x0A]
        for cut in line_ends[1:-1]:
            cuts += 1
            file = parse_round_file(data[:cut], name)
            played = derive_round(file, real_rounds.round_1(name))
            if not played.flags & _UNBALANCED:
                unseen.append((name, len(real_rounds.parsed(name).players) - len(file.players)))
    assert cuts > 900
    assert unseen == [
        # He killed as often as he died and dealt exactly what he took.
        ("2025-10-19-234505-erdenberg_t2-round-2.txt", 1),
        # He did not play the round, so its numbers are right without him.
        ("2025-10-23-221355-etl_sp_delivery-round-2.txt", 1),
    ]


def test_a_round_1_that_lost_lines_never_spoils_round_2_in_silence(real_rounds: RealRounds) -> None:
    for match in real_rounds.expected["matches"]:
        data = real_rounds.data[match["r1_file"]]
        r2_file = real_rounds.parsed(match["r2_file"])
        right = by_guid(derive_round(r2_file, real_rounds.parsed(match["r1_file"])))
        line_ends = [place + 1 for place, byte in enumerate(data) if byte == 0x0A]
        for cut in line_ends[1:-1]:
            played = derive_round(r2_file, parse_round_file(data[:cut], match["r1_file"]))
            for guid, row in by_guid(played).items():
                if row.basis is not Basis.CUMULATIVE:
                    assert row == right[guid], (match["r1_file"], cut, guid)
