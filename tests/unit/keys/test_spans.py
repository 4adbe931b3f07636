"""Times as people write them."""

import pytest

from functions.keys import spans
from tests.unit.keys.store import NOW

DAY = 86400


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW + 90 * DAY),
        ("12h", NOW + 12 * 3600),
        ("30m", NOW + 1800),
        ("2027-01-31", 1801353600),
        ("2027-01-31T12:30:00Z", 1801398600),
        ("2027-01-31T12:30:00+02:00", 1801391400),
        ("2027-01-31T12:30", 1801398600),
    ],
)
def test_a_time_ahead(text: str, moment: float) -> None:
    assert spans.after(text, NOW) == moment


@pytest.mark.parametrize("text", ["2026-11-01", "0d", "0m", "36501d", "999999999d", "9999-12-31"])
def test_a_time_that_is_not_ahead(text: str) -> None:
    with pytest.raises(ValueError, match="ahead of now and within 100 years, but got"):
        spans.after(text, NOW)


@pytest.mark.parametrize(
    "text",
    ["", "90", "d", "-1d", "1.5d", "90 d", "90D", "1w", "tomorrow", "2027-13-01", "٣d", "9" * 30 + "d", "\0"],
)
def test_no_time_at_all(text: str) -> None:
    for read in (spans.after, spans.before):
        with pytest.raises(ValueError, match="expected 90d, 12h, 30m or a date such as 2027-01-31, but got"):
            read(text, NOW)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_the_calendar(text: str) -> None:
    for read in (spans.after, spans.before):
        with pytest.raises(ValueError, match="but got"):
            read(text, NOW)


@pytest.mark.parametrize(
    ("text", "moment"), [("30d", NOW - 30 * DAY), ("2026-11-01", 1793491200), ("0m", NOW)]
)
def test_a_time_behind(text: str, moment: float) -> None:
    assert spans.before(text, NOW) == moment


@pytest.mark.parametrize("text", ["2027-01-31", "999999999d", "1969-12-31"])
def test_a_time_that_is_not_behind(text: str) -> None:
    with pytest.raises(ValueError, match="before now and after 1970, but got"):
        spans.before(text, NOW)


def test_moments_are_written_in_utc() -> None:
    assert spans.iso_time(NOW) == "2026-11-25T02:00:00Z"
    assert spans.iso_day(NOW) == "2026-11-25"
    assert spans.clock(NOW) == "2026-11-25 02:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (3560, "59 minutes"),
        (3599, "60 minutes"),
        (90 * DAY - 5, "90 days"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (36500 * DAY, "36,500 days"),
    ],
)
def test_lengths(seconds: int, text: str) -> None:
    assert spans.length(seconds) == text
