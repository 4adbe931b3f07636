"""What people type is read as they mean it, or refused with the forms that are."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.keys import forms
from functions.shared.key_text import new_key
from tests.unit.keys.store import DAY_S, NOW


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500", 500),
        ("10k", 10_000),
        ("10K", 10_000),
        ("1M", 1_000_000),
        ("1.5M", 1_500_000),
        ("2G", 2 * 10**9),
        ("2b", 2 * 10**9),
        ("1_000_000", 1_000_000),
        ("1,000,000", 1_000_000),
        ("1e6", 1_000_000),
        ("1e15", 10**15),
        ("0.5k", 500),
    ],
)
def test_a_count(text: str, number: int) -> None:
    assert forms.count(text) == number


@pytest.mark.parametrize(
    "text",
    ["1.000", "1,5M", "1,00", "1,000_000", "10 k", "1e16", "1.001k", "0.0001k", "k", "1kk", "-5", "1e-3"],
)
def test_no_count(text: str) -> None:
    """Where people write 1.000 for a thousand, it is not taken for one."""
    with pytest.raises(ValueError, match=r"such as 500, 20k, .* or 1e6, but got"):
        forms.count(text)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("1M", (1_000_000, None)),
        ("50k/day", (50_000, "day")),
        ("1M/week", (1_000_000, "week")),
        ("1M / month", (1_000_000, "month")),
    ],
)
def test_a_budget(text: str, budget: tuple[int, str | None]) -> None:
    assert forms.budget(text) == budget


@pytest.mark.parametrize("text", ["1M/", "1M/hour", "1M/m", "/day", "1M per month"])
def test_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="but got"):
        forms.budget(text)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
    ],
)
def test_a_time_zone(text: str, zone: str) -> None:
    assert forms.timezone(text) == zone


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Berlin", "Europe/Berlin, "),
        ("Europe/Berln", "Europe/Berlin or "),
        ("New York", "America/New_York, "),
        ("+02:00", "Europe/Berlin or UTC, "),
        ("../etc/passwd", "Europe/Berlin or UTC, "),
    ],
)
def test_no_time_zone(text: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"expected a time zone such as {near}.*but got '"):
        forms.timezone(text)


def test_a_span() -> None:
    assert forms.span("1w2d3h4m5s") == 9 * DAY_S + 3 * 3600 + 4 * 60 + 5
    for text in ("soon", "99999w"):
        with pytest.raises(ValueError, match=f"expected a span of time such as 90d, 2w or 1h30m, .*'{text}'"):
            forms.span(text)


@pytest.mark.parametrize("text", ["6mo", "1y", "3 months", "2 years"])
def test_months_and_years_are_no_span(text: str) -> None:
    for read in (forms.span, lambda text: forms.after(text, NOW)):
        with pytest.raises(ValueError, match="months and years differ in length, so give days, as in 365d"):
            read(text)


def test_periods_may_be_capitals() -> None:
    assert forms.budget("1M/Month") == (10**6, "month")


def test_models() -> None:
    assert forms.models("default, small") == ["default", "small"]
    assert forms.models("all") == forms.models("All") == []
    with pytest.raises(ValueError, match="or only the word all, but got 'small,all'"):
        forms.models("small,all")
    with pytest.raises(ValueError, match="to refuse the key altogether, disable it"):
        forms.models("none")


def test_notes_and_tags() -> None:
    assert forms.note("  of the web team ") == "of the web team"
    assert forms.note("") == forms.note("none") == ""
    assert forms.tag("team:web") == "team:web"
    with pytest.raises(ValueError, match="expected one tag, and --tag again"):
        forms.tag("a,b")
    with pytest.raises(ValueError, match="to remove one of a key, --untag"):
        forms.tag("none")
    for read in (forms.note, forms.tag):
        with pytest.raises(ValueError, match="what looks like a key"):
            read("sk-" + "a" * 49)
    with pytest.raises(ValueError, match=r"expected 1 to 200 printable characters, but got '.{61}'$"):
        forms.note("a" * 201)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW + 90 * DAY_S),
        ("12h", NOW + 12 * 3600),
        ("30m", NOW + 1800),
        ("1w", NOW + 7 * DAY_S),
        ("1h30m", NOW + 5400),
        ("2 weeks 1 day", NOW + 15 * DAY_S),
        ("90 days", NOW + 90 * DAY_S),
        ("2027-01-31", 1801353600),
        ("2027-01-31T12:30:00Z", 1801398600),
        ("2027-01-31T12:30:00+02:00", 1801391400),
        ("2027-01-31T12:30", 1801398600),
    ],
)
def test_a_time_in_the_future(text: str, moment: float) -> None:
    assert forms.after(text, NOW) == moment


@pytest.mark.parametrize("text", ["2026-11-01", "0d", "0m", "36501d", "999999999d", "9999-12-31"])
def test_a_time_that_is_not_in_the_future(text: str) -> None:
    with pytest.raises(ValueError, match="in the future, within 100 years, but got"):
        forms.after(text, NOW)


@pytest.mark.parametrize(
    "text",
    ["", "90", "d", "-1d", "1.5d", "90D", "30m1h", "tomorrow", "2027-13-01", "٣d", "9" * 30 + "d", "\0"],
)
def test_no_time_at_all(text: str) -> None:
    for read in (forms.after, forms.before):
        with pytest.raises(ValueError, match="90d, 2w or 1h30m, or a date such as 2027-01-31, but got"):
            read(text, NOW)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_the_calendar(text: str) -> None:
    for read in (forms.after, forms.before):
        with pytest.raises(ValueError, match="but got"):
            read(text, NOW)


@pytest.mark.parametrize(
    ("text", "moment"), [("30d", NOW - 30 * DAY_S), ("2026-11-01", 1793491200), ("0m", NOW)]
)
def test_a_time_in_the_past(text: str, moment: float) -> None:
    assert forms.before(text, NOW) == moment


@pytest.mark.parametrize("text", ["2027-01-31", "999999999d", "1969-12-31"])
def test_a_time_that_is_not_in_the_past(text: str) -> None:
    with pytest.raises(ValueError, match="in the past, after 1970, but got"):
        forms.before(text, NOW)


@given(
    st.sampled_from((forms.name, forms.note, forms.tag, forms.which)),
    st.text(max_size=5),
    st.sampled_from((" ", "=", ":", "(", "", "x", "'", "ö")),
    st.text(max_size=5),
)
def test_no_text_of_a_key_becomes_a_name_a_note_or_a_tag(
    read: Callable[[str], Any], before: str, mark: str, after: str
) -> None:
    key = new_key()
    with pytest.raises(ValueError, match="looks like") as refused:
        read(before.replace(",", "") + mark + key + after.replace(",", ""))
    assert key[3:] not in str(refused.value)
