"""Silence is failure: what was not declared, and what was declared and did not happen."""

from __future__ import annotations

import pytest

from tests.standins.discord import Call, Ping, Violation
from tests.standins.discord.record import Fault, Record


def call(status: int, code: int = 0, template: str = "/x/{id}", method: str = "GET", *, injected: bool = False) -> Call:
    return Call(method, "/x/1", template, {}, status, code, injected=injected)


def test_all_is_well() -> None:
    record = Record()
    record.calls += [call(200), call(204), call(502, injected=True), call(429, injected=True)]
    record.verify()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500])
def test_an_error_has_to_be_declared(status: int) -> None:
    record = Record()
    record.calls.append(call(status, 10008))
    with pytest.raises(Violation, match=f"undeclared: GET /x/{{id}} -> {status} 10008"):
        record.verify()
    record.expect_error(status, 10008, None, 1)
    record.verify()


@pytest.mark.parametrize(
    ("status", "code", "route", "fits"),
    [
        (404, None, None, True),
        (None, 10008, None, True),
        (404, 10008, "/x/{id}", True),
        (404, 10008, "GET /x/{id}", True),
        (403, None, None, False),
        (None, 10003, None, False),
        (404, 10008, "/y", False),
        (404, 10008, "POST /x/{id}", False),
    ],
)
def test_a_declaration_says_which(status: int | None, code: int | None, route: str | None, fits: bool) -> None:
    record = Record()
    record.calls.append(call(404, 10008))
    record.expect_error(status, code, route, 1)
    if fits:
        record.verify()
    else:
        with pytest.raises(Violation, match=r"(?s)undeclared.*declared but came 0 of 1 times"):
            record.verify()


def test_a_declaration_says_how_often() -> None:
    record = Record()
    record.expect_error(404, None, None, 2)
    for number, fine in [(1, False), (2, True), (3, False)]:
        record.calls.append(call(404))
        assert len(record.calls) == number
        if fine:
            record.verify()
        else:
            with pytest.raises(Violation):
                record.verify()


def test_a_declaration_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="which status or which code"):
        Record().expect_error(None, None, None, 1)


def test_faults_and_their_declarations() -> None:
    record = Record()
    record.faults.append(Fault("unanswered", "command 'go' of alice"))
    with pytest.raises(Violation, match="unanswered: command 'go' of alice"):
        record.verify()
    record.expect_fault("unanswered")
    record.verify()
    record.expect_fault("thinking")
    with pytest.raises(Violation, match="declared but did not happen: thinking"):
        record.verify()


def test_pings_and_their_declarations() -> None:
    record = Record()
    record.pings.append(Ping(1, 2, "<@3> <@&4> @here", frozenset({3}), frozenset({4}), everyone=True))
    record.expect_ping([3, "everyone"])
    with pytest.raises(Violation, match="ping of 4 in channel 2: '<@3> <@&4> @here'"):
        record.verify()
    record.expect_ping([4])
    record.verify()
    record.expect_ping([3])
    with pytest.raises(Violation, match="declared but was not pinged: 3"):
        record.verify()


def test_everything_is_told_at_once() -> None:
    record = Record()
    record.calls += [call(403, 50013), call(404, 10062)]
    record.faults.append(Fault("thinking", "command 'go' of alice"))
    with pytest.raises(Violation) as raised:
        record.verify()
    assert str(raised.value).count("\n- ") == 3
