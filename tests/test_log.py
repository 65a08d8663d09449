"""Logging: readable, or JSON, and never a secret."""

from __future__ import annotations

import json

import pytest
import structlog

from bot.log import HIDDEN, Scrubber, configure_logging


def test_a_secret_is_hidden_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json", ["hunter2hunter2"])
    log = structlog.get_logger()
    try:
        raise ValueError("login with hunter2hunter2 refused")
    except ValueError:
        log.exception(
            "failed for hunter2hunter2", details={"a": ["x hunter2hunter2"]}, error=ValueError("hunter2hunter2")
        )
    text = capsys.readouterr().err
    assert "hunter2hunter2" not in text
    record = json.loads(text)
    assert record["event"] == f"failed for {HIDDEN}"
    assert record["details"] == {"a": [f"x {HIDDEN}"]}
    assert "Traceback" in record["exception"]


def test_what_is_no_secret_stays_as_it_is() -> None:
    scrub = Scrubber(["secretword"]).scrub
    for value in (1, 2.5, None, True, "text", ["a", 1], ("b",), {"k": "v"}):
        assert scrub(value) == value


def test_words_too_short_to_be_secrets_are_left_alone() -> None:
    assert Scrubber(["a", ""]).scrub("banana") == "banana"


def test_less_than_the_level_is_not_logged_and_stdout_stays_for_answers(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "console")
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "loud" in captured.err
    assert "quiet" not in captured.err
