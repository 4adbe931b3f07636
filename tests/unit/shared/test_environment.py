"""Numbers, times and tables out of variables."""

import json
from typing import Any

import pytest

from functions.shared.environment import SettingsError, count, json_object, seconds


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("007", 7), ("9" * 18, int("9" * 18))])
def test_a_count_is_a_whole_number(text: str, value: int) -> None:
    assert count(text, "COUNT") == value


@pytest.mark.parametrize(
    "text", ["", "0", "00", "-1", "+1", "1.0", "1_000", "1e3", " 1", "1\n", "²", "9" * 19, "x"]
)
def test_nothing_else_is_a_count(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        count(text, "COUNT")
    assert str(refused.value) == f"COUNT: expected a whole number of at least 1, but got {text!r}."


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("0.001", 0.001), ("1e2", 100), ("86399.9", 86399.9)])
def test_a_time_is_in_seconds(text: str, value: float) -> None:
    assert seconds(text, "TIME_S") == value


@pytest.mark.parametrize("text", ["", "0", "-0.1", "86400", "1e9", "nan", "inf", "-inf", "1 s", "x"])
def test_nothing_else_is_a_time(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        seconds(text, "TIME_S")
    assert str(refused.value) == f"TIME_S: expected seconds above 0 and below 86400, but got {text!r}."


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"é": [None, {"b": 0.5}]}])
def test_an_object_is_read(value: dict[str, Any]) -> None:
    assert json_object({"TABLE": json.dumps(value)}, "TABLE") == value


def test_an_object_that_is_missing_or_empty_is_an_empty_one() -> None:
    assert json_object({}, "TABLE") == json_object({"TABLE": ""}, "TABLE") == {}


@pytest.mark.parametrize("text", ["{", "[]", "null", "3", '"secret"', "secret", " "])
def test_nothing_else_is_an_object_and_the_text_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        json_object({"TABLE": text}, "TABLE")
    assert str(refused.value) == "TABLE: expected a JSON object."
