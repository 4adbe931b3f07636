"""What is logged of an unexpected error: what and where, not its text."""

import logging

import pytest

from functions.shared.logs import log_unexpected

SECRET = "what the caller sent"
logger = logging.getLogger("test")


def failing(depth: int) -> None:
    if depth:
        failing(depth - 1)
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(SECRET) from error


def test_the_kind_and_the_last_places_are_logged_innermost_first(caplog: pytest.LogCaptureFixture) -> None:
    try:
        failing(10)
    except ValueError as error:
        log_unexpected(logger, error)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("test", "ERROR")
    kind, places = record.getMessage().split(" at ")
    assert kind == "unexpected ValueError"
    lines = [place.rpartition(":") for place in places.split(" < ")]
    assert len(lines) == 5
    assert all(path.endswith("test_logs.py") for path, _, _ in lines)
    assert int(lines[0][2]) > int(lines[1][2])


def test_its_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    try:
        failing(0)
    except ValueError as error:
        log_unexpected(logger, error)
    assert SECRET not in caplog.text


def test_an_error_that_was_not_raised_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    log_unexpected(logger, ValueError(SECRET))
    assert caplog.records[0].getMessage() == "unexpected ValueError at "
