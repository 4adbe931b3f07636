"""Tables for people, which lose nothing, and times as they are written."""

import sys

import pytest

from functions.keys import views
from tests.unit.keys.store import DAY_S, NOW, a_key

LONG = a_key(
    name="n" * 64,
    models=frozenset({"a-model-with-a-long-name", "another"}),
    expires_at=int(NOW) + 1,
    requests_per_minute=10**15,
    tokens_per_minute=10**15,
    budget_tokens=10**15,
)


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns, without colours."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


def test_in_a_pipe_each_row_is_a_line() -> None:
    head, row = views.render(views.keys_table([LONG], NOW)).splitlines()
    assert head.split() == ["ID", "NAME", "KEY", "STATUS", "RPM", "TPM", "BUDGET", "MODELS"]
    assert row.split("  ") == [
        *(LONG.id, LONG.name, LONG.hint, "until 2026-11-25"),
        *("1,000,000,000,000,000",) * 3,
        "a-model-with-a-long-name, another",
    ]


@pytest.mark.usefixtures("columns")
def test_on_a_narrow_terminal_names_are_folded_and_nothing_is_lost() -> None:
    lines = views.render(views.keys_table([LONG], NOW)).splitlines()
    assert "…" not in "".join(lines).replace(LONG.hint, "")
    assert "".join(lines).count("n") >= 64
    for whole in (LONG.id, LONG.hint, "until 2026-11-25", "1,000,000,000,000,000"):
        assert whole in lines[1]


@pytest.mark.usefixtures("columns")
def test_on_a_wide_enough_terminal_nothing_is_folded() -> None:
    lines = views.render(views.keys_table([a_key(), a_key(2, name="bob")], NOW)).splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.usefixtures("columns")
def test_long_details_are_folded_beside_their_name() -> None:
    names = frozenset(f"a-model-of-this-name-{number}" for number in range(10))
    lines = views.render(views.key_details(a_key(models=names), 0, [], NOW)).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("models"))
    assert lines[first + 1].startswith(" " * 10 + "a-model")
    assert all(len(line) <= 80 for line in lines)


def test_names_are_shown_as_they_are() -> None:
    table = views.keys_table([a_key(name="[bold]:duck: 日本[/bold]"), a_key(2, name="e\u0301")], NOW)
    lines = views.render(table).splitlines()
    assert "  [bold]:duck: 日本[/bold]  sk-" in lines[1]
    assert lines[2].startswith("key_0000000000000002  e\u0301" + " " * 23 + "  sk-")


def test_moments_are_written_in_utc() -> None:
    assert views.iso_time(NOW) == "2026-11-25T02:00:00Z"
    assert views.iso_day(NOW) == "2026-11-25"
    assert views.clock(NOW) == "2026-11-25 02:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (3560, "59 minutes"),
        (3599, "60 minutes"),
        (90 * DAY_S - 5, "90 days"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (36500 * DAY_S, "36,500 days"),
    ],
)
def test_lengths(seconds: int, text: str) -> None:
    assert views.length(seconds) == text
