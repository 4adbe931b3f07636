"""What `usage` and `recount` report."""

import csv
import io
import json
import sys
from dataclasses import replace
from typing import Any

import click
import pytest

from functions.keys import usage_report
from functions.keys.group import Result
from functions.keys.spreadsheets import csv_lines
from functions.shared.usage import NONE
from tests.unit.keys.store import DAY_S, NOW, MemoryStore, a_key, a_record, invoke, printed

USED = MemoryStore({a_key().id: a_key(), a_key(2).id: a_key(2, name="bob")})
for record in (
    a_record(1, cached_tokens=5),
    a_record(2, model="large", prompt_tokens=1500),
    a_record(3, outcome="cut", started_at=int(NOW - DAY_S) * 1000),
    a_record(4, outcome="error", started_at=int(NOW - 2 * DAY_S) * 1000, completion_tokens=0),
    a_record(5, key_id=a_key(2).id, outcome="timeout"),
    a_record(6, key_id=NONE, model=NONE, outcome="refused", prompt_tokens=0, completion_tokens=0),
    a_record(7, started_at=int(NOW - 40 * DAY_S) * 1000),
):
    USED.put_usage(record)
LATER = NOW + 1


def test_usage_by_day() -> None:
    result = invoke(USED, "usage", "--by", "day", now=LATER)
    assert (
        printed(result)
        == """\
DAY         REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
2026-11-23         1   0    0      1        0        0      10       0           0
2026-11-24         1   0    1      0        0        0      10       0          20
2026-11-25         4   2    0      0        1        1   1,520       5          60
total              6   2    1      1        1        1   1,540       5          80"""
    )
    assert result.data["rows"][0] == {
        "day": "2026-11-23",
        "cost": 0.0,
        "requests": 1,
        "ok": 0,
        "cut": 0,
        "error": 1,
        "timeout": 0,
        "refused": 0,
        "prompt_tokens": 10,
        "cached_tokens": 0,
        "completion_tokens": 0,
    }
    assert result.data["since"] == "2026-10-26T00:00:00Z"
    assert result.data["until"] == "2026-11-25T02:00:01Z"
    assert (result.data["by"], result.data["key"]) == ("day", None)


def test_usage_of_one_key_by_model() -> None:
    result = invoke(USED, "usage", "alice", "--by", "model", now=LATER)
    assert (
        printed(result)
        == """\
MODEL  REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
large         1   1    0      0        0        0   1,500       0          20
tiny          3   1    1      1        0        0      30       5          40
total         4   2    1      1        0        0   1,530       5          60"""
    )
    assert result.data["key"] == a_key().id


def test_usage_by_key() -> None:
    result = invoke(USED, "usage", "--by", "key", now=LATER)
    assert (
        printed(result)
        == """\
KEY                         REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
(no key)                           1   0    0      0        0        1       0       0           0
alice key_0000000000000001         4   2    1      1        0        0   1,530       5          60
bob key_0000000000000002           1   0    0      0        1        0      10       0          20
total                              6   2    1      1        1        1   1,540       5          80"""
    )
    assert [(row["key"], row["name"]) for row in result.data["rows"]] == [
        (NONE, "(no key)"),
        (a_key().id, "alice"),
        (a_key(2).id, "bob"),
    ]
    assert result.data["total"]["requests"] == 6


def test_usage_of_one_row_has_no_total() -> None:
    assert len(printed(invoke(USED, "usage", "bob", "--by", "day", now=LATER)).splitlines()) == 2


def test_usage_is_of_whole_days_since() -> None:
    yesterday = invoke(USED, "usage", "alice", "--by", "day", "--since", "12h", now=LATER)
    assert [row["day"] for row in yesterday.data["rows"]] == ["2026-11-24", "2026-11-25"]
    assert invoke(USED, "usage", "alice", "--since", "50d", now=LATER).data["rows"][0]["day"] == "2026-10-16"


def test_usage_is_of_whole_days_until() -> None:
    def days(*arguments: str) -> list[str]:
        result = invoke(USED, "usage", "alice", *arguments, now=LATER)
        return [row["day"] for row in result.data["rows"]]

    assert days("--since", "2d", "--until", "1d") == ["2026-11-23", "2026-11-24"]
    assert days("--since", "2026-11-24", "--until", "2026-11-24") == ["2026-11-24"]
    assert days("--since", "2026-11-24", "--until", "2026-11-25") == ["2026-11-24", "2026-11-25"]
    data = invoke(USED, "usage", "--since", "2d", "--until", "1d", now=LATER).data
    assert (data["since"], data["until"]) == ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z")
    with pytest.raises(click.UsageError, match="no earlier than --since, 2026-11-24, but got 2026-11-23"):
        days("--since", "1d", "--until", "2d")


def test_usage_by_several() -> None:
    result = invoke(USED, "usage", "--by", "day,key", "--since", "1d", now=LATER)
    assert printed(result).splitlines()[:3] == [
        "DAY         KEY                         REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED"
        "  COMPLETION",
        "2026-11-24  alice key_0000000000000001         1   0    1      0        0        0      10       0"
        "          20",
        "2026-11-25  (no key)                           1   0    0      0        0        1       0       0"
        "           0",
    ]
    assert result.data["by"] == "day,key"
    models = invoke(USED, "usage", "--by", "model,day", "--since", "1d", now=LATER).data["rows"]
    assert [(row["model"], row["day"]) for row in models] == [
        ("-", "2026-11-25"),
        ("large", "2026-11-25"),
        ("tiny", "2026-11-24"),
        ("tiny", "2026-11-25"),
    ]


@pytest.mark.parametrize("wrong", ["week", "day,day", "", "day,", "days"])
def test_what_cannot_be_added_up(wrong: str) -> None:
    with pytest.raises(click.UsageError, match="expected day, model or key, or several of them"):
        invoke(USED, "usage", "--by", wrong, now=LATER)


def test_a_deleted_key_stays_in_the_report() -> None:
    store = MemoryStore({a_key().id: replace(a_key(), deleted_at=int(NOW))}, records=USED.records)
    result = invoke(store, "usage", "--by", "key", now=LATER)
    assert [row["name"] for row in result.data["rows"]] == ["(no key)", "alice (deleted)", None]
    assert "alice (deleted) key_0000000000000001 " in printed(result)
    assert "\nkey_0000000000000002 " in printed(result), "nothing of it is kept"


PRICED = MemoryStore({a_key().id: a_key()})
for number, cost in enumerate((1_500_000_000, 1_234_500, 123)):
    PRICED.put_usage(a_record(number, cost=cost, started_at=int((NOW - number * DAY_S) * 1000)))


def test_costs_are_shown_where_there_are_any() -> None:
    result = invoke(PRICED, "usage", now=LATER)
    shown = [line.split()[-1] for line in printed(result).splitlines()]
    assert shown == ["COST", "0.00", "0.001234", "1.50", "1.501235"]
    assert [row["cost"] for row in result.data["rows"]] == [1.23e-7, 0.0012345, 1.5]
    lines = printed(invoke(PRICED, "usage", "alice", "--records", now=LATER)).splitlines()
    assert [line.split()[-1] for line in lines] == ["COST", "1.50", "0.001234", "0.00"]


def test_the_other_model_of_a_hedged_request_is_shown_wherever_records_are() -> None:
    store = MemoryStore({a_key().id: a_key()})
    store.put_usage(a_record(1, model="cloud", hedge="gpu"))
    store.put_usage(a_record(2, started_at=int(NOW - DAY_S) * 1000))
    shown = {
        form: printed(invoke(store, "usage", "alice", "--records", *form, now=LATER))
        for form in ((), ("--csv",), ("--json",))
    }
    assert [line.split()[-1] for line in shown[()].splitlines()] == ["HEDGE", "gpu", "-"]
    rows = csv.DictReader(io.StringIO(shown[("--csv",)], newline=""))
    assert [each["hedge"] for each in rows] == ["", "gpu"]
    assert [each["hedge"] for each in json.loads(shown[("--json",)])["records"]] == [None, "gpu"]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")


@pytest.mark.usefixtures("terminal")
def test_days_have_bars_where_people_look(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(invoke(USED, "usage", "alice", now=LATER)).splitlines()
    assert lines[0] == "DAY         REQUESTS  OK  CUT  ERROR  PROMPT  CACHED  COMPLETION  TOKENS"
    assert lines[1] == "2026-11-23         1   0    0      1      10       0           0  ▏"
    assert lines[3].endswith("  " + "█" * 20)
    assert "█" not in lines[4]
    assert "TIMEOUT" not in lines[0], "all are 0"
    monkeypatch.setattr(usage_report, "can_show", lambda _: False)
    assert printed(invoke(USED, "usage", "alice", now=LATER)).splitlines()[3].endswith("  " + "#" * 20)
    monkeypatch.setenv("COLUMNS", "70")
    assert "TOKENS" not in printed(invoke(USED, "usage", "alice", now=LATER))
    monkeypatch.setenv("COLUMNS", "90")
    assert "TOKENS" not in printed(invoke(USED, "usage", "--by", "model", now=LATER))


@pytest.mark.parametrize(
    ("part", "drawn"), [(0, ""), (0.01, "▏"), (0.5, "█████"), (0.58, "█████▊"), (1, "█" * 10)]
)
def test_bars_are_drawn_in_eighths(part: float, drawn: str) -> None:
    assert usage_report.bar(part, 10) == drawn


def test_records_are_listed_newest_first_as_many_as_are_wanted() -> None:
    head, newest, second = printed(
        invoke(USED, "usage", "alice", "--records", "--limit", "2", now=LATER)
    ).splitlines()
    assert head.split()[:5] == ["TIME", "REQUEST", "MODEL", "OUTCOME", "CODE"]
    assert newest.split() == [
        *("2026-11-25T02:00:00Z", f"req_{2:032x}", "large", "ok"),
        *("-", "1,500", "0", "20", "12"),
    ]
    assert second.split()[1] == f"req_{1:032x}"
    listed = printed(invoke(USED, "usage", "alice", "--records", "--since", "50d", now=LATER))
    assert len(listed.splitlines()) == 6
    none = invoke(USED, "usage", "bob", "--records", now=NOW - DAY_S)
    assert printed(none) == "No records since 2026-10-25. Go further back with --since 365d."


def test_records_of_whole_days() -> None:
    listed = printed(invoke(USED, "usage", "alice", "--records", "--since", "2d", "--until", "1d", now=LATER))
    assert [line[:10] for line in listed.splitlines()[1:]] == ["2026-11-24", "2026-11-23"]


def test_records_for_people_are_of_one_key() -> None:
    with pytest.raises(click.UsageError, match="Expected the ID of a key with --records, but got none"):
        invoke(USED, "usage", "--records", now=LATER)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--limit", "3"], "Expected --limit only with --records"),
        (["--records", "--by", "model"], "Expected --by only without --records"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments: list[str], error: str) -> None:
    with pytest.raises(click.UsageError, match=error):
        invoke(USED, "usage", "alice", *arguments, now=LATER)


def records(*arguments: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        printed(invoke(USED, "usage", "--records", "--json", *arguments, now=LATER))
    )
    return data


def test_records_for_programs_are_all_and_the_oldest_first() -> None:
    data = records("alice")
    assert (data["since"], data["until"]) == ("2026-10-26T00:00:00Z", "2026-11-25T02:00:01Z")
    assert data["key"] == a_key().id
    assert [each["request_id"][-1] for each in data["records"]] == ["4", "3", "1", "2"]
    assert data["records"][-1] == {
        **{"time": "2026-11-25T02:00:00Z", "key": a_key().id, "name": "alice", "code": None, "cost": 0.0},
        "hedge": None,
        **{"request_id": f"req_{2:032x}", "model": "large", "outcome": "ok", "started_at": 1795572000002},
        **{"prompt_tokens": 1500, "completion_tokens": 20, "cached_tokens": 0},
        **{"duration_ms": 12.5, "first_byte_ms": None},
    }
    assert [each["request_id"][-1] for each in records("alice", "--limit", "2")["records"]] == ["4", "3"]
    everyone = records()
    assert everyone["key"] is None
    assert [each["request_id"][-1] for each in everyone["records"]] == ["6", "4", "3", "1", "2", "5"]
    assert records("bob", "--until", "1d")["records"] == []


def table_of(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(printed(result), newline="")))


def test_usage_as_csv() -> None:
    first, second, *_ = table_of(invoke(USED, "usage", "--by", "day,key", "--csv", now=LATER))
    assert (first["day"], first["key"], first["name"]) == ("2026-11-23", a_key().id, "alice")
    assert second["day"] == "2026-11-24"
    rows = table_of(invoke(USED, "usage", "--by", "model", "--csv", now=LATER))
    assert [(row["model"], row["prompt_tokens"]) for row in rows] == [
        ("-", "0"),
        ("large", "1500"),
        ("tiny", "40"),
    ]
    assert table_of(invoke(PRICED, "usage", "--csv", now=LATER))[0]["cost"] == "0.000000123"


def test_records_as_csv() -> None:
    rows = table_of(invoke(USED, "usage", "--records", "--csv", now=LATER))
    assert [*rows[0]] == [*usage_report.RECORD_COLUMNS]
    assert [(row["request_id"][-1], row["name"]) for row in rows][:2] == [("6", "(no key)"), ("4", "alice")]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-alice", "'-alice"),
        ("@sum", "'@sum"),
        ("-", "-"),
        ("a=b", "a=b"),
        ('say "hi", twice', '"say ""hi"", twice"'),
        ("Zoë 日本", "Zoë 日本"),
        (1234567, "1234567"),
        (1e-9, "0.000000001"),
        (0.0, "0"),
        (12.5, "12.5"),
        (-5, "-5"),
        (None, ""),
        (["default", "small"], '"default,small"'),
    ],
)
def test_cells_are_no_formulas(text: Any, cell: str) -> None:
    assert [*csv_lines(["a", "b"], [["x", text]])] == ["a,b\n", f"x,{cell}\n"]


def test_csv_or_json() -> None:
    for order in (("--csv", "--json"), ("--json", "--csv")):
        for command in ("usage", "list"):
            with pytest.raises(click.UsageError, match="Expected --csv or --json, but got both"):
                invoke(USED, command, *order, now=LATER)


def test_keys_as_csv() -> None:
    first, second = table_of(invoke(USED, "list", "--csv", now=LATER))
    assert (first["id"], first["name"], second["name"], first["budget_tokens"]) == (
        a_key().id,
        "alice",
        "bob",
        "",
    )
    assert printed(invoke(MemoryStore(), "list", "--csv")).startswith("id,name,hint,status,models,")


def test_records_of_earlier_versions_are_counted() -> None:
    result = invoke(MemoryStore({a_key().id: a_key()}, uncounted=600), "recount")
    assert (printed(result), result.data) == ("Added 600 records to the sums.", {"counted": 600})


def test_no_usage_says_what_to_do() -> None:
    result = invoke(MemoryStore({a_key().id: a_key()}), "usage", "alice", "--by", "day", now=NOW)
    assert printed(result) == (
        "No usage since 2026-10-26. Go further back with --since, as in --since 365d."
        "\nA request counts as soon as it has been answered."
    )
    assert result.data["rows"] == []
