"""Metrics as lines of a log, for CloudWatch."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.metrics import Metrics
from functions.shared.usage import UsageRecord
from tests.unit.shared.records import RECORD, records, times


def line_of(record: UsageRecord, engine_ms: float | None = None) -> str:
    lines: list[str] = []
    Metrics("ChatbotApi/test", lines.append).write_request(record, engine_ms)
    (line,) = lines
    return line


@given(records, st.none() | times)
def test_metrics_are_as_cloudwatch_specifies(record: UsageRecord, engine_ms: float | None) -> None:
    """What is required of a line, and of what it refers to.

    Source: "Specification: Embedded metric format", CloudWatch user guide, read 2026-11-23.
    """
    text = line_of(record, engine_ms)
    line = json.loads(text)
    assert "\n" not in text
    assert line["_aws"].keys() == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert line["_aws"]["CloudWatchMetrics"]
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric["Unit"] in ("Count", "Milliseconds")
            assert isinstance(line[metric["Name"]], int | float)
        for dimensions in directive["Dimensions"]:
            assert 1 <= len(dimensions) <= 30
            assert all(isinstance(line[name], str) and line[name] for name in dimensions)


def test_metrics_hold_everything_by_model_and_the_least_by_key() -> None:
    line = json.loads(line_of(RECORD, 55.5))
    sets = {
        tuple(directive["Dimensions"][0]): [metric["Name"] for metric in directive["Metrics"]]
        for directive in line["_aws"]["CloudWatchMetrics"]
    }
    tokens = ["requests", "prompt_tokens", "completion_tokens"]
    assert sets == {
        ("model",): [*tokens, "duration_ms", "first_byte_ms", "engine_ms"],
        ("model", "outcome"): ["requests"],
        ("key_id",): tokens,
    }
    assert (line["requests"], line["prompt_tokens"], line["engine_ms"]) == (1, 7, 55.5)
    assert (line["model"], line["key_id"], line["outcome"]) == ("tiny", "key_1", "ok")


def test_metrics_that_were_not_measured_are_left_out() -> None:
    record = UsageRecord(request_id="r", duration_ms=1, outcome="refused", started_at=0)
    text = line_of(record)
    assert "first_byte_ms" not in text
    assert "engine_ms" not in text


def test_an_error_is_named_beside_the_metrics() -> None:
    failed = UsageRecord(request_id="r", duration_ms=1, outcome="error", code="upstream_error", started_at=0)
    assert json.loads(line_of(failed))["code"] == "upstream_error"
    assert "code" not in json.loads(line_of(RECORD))


@pytest.mark.parametrize(("write", "name"), [("write_start", "starts"), ("write_fallback", "fallbacks")])
def test_what_happens_to_a_model_is_counted(write: str, name: str) -> None:
    lines: list[str] = []
    getattr(Metrics("ChatbotApi/test", lines.append), write)("tiny", 1000)
    metric = {"Name": name, "Unit": "Count"}
    directive = {"Namespace": "ChatbotApi/test", "Dimensions": [["model"]], "Metrics": [metric]}
    about = {"Timestamp": 1000, "CloudWatchMetrics": [directive]}
    assert [json.loads(line) for line in lines] == [{"_aws": about, "model": "tiny", name: 1}]


def test_lines_go_to_the_log_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    Metrics("ChatbotApi").write_start("tiny", 0)
    assert json.loads(capfd.readouterr().out)["starts"] == 1
