"""Errors that engines report, translated into ours."""

import json
import re
from typing import Any

import httpx
import pytest

from functions.chat.engines.errors import translate
from functions.chat.engines.http import retry_after_s
from tests.engines import schema
from tests.engines.recordings import Recording, recordings

REFUSALS = [each for each in recordings("*/*") if each.status >= 400]
INVALID = (400, "invalid_value", None)
CONTEXT = (400, "context_length_exceeded", "messages")
FORMAT = (400, "invalid_value", "response_format")
EXPECTED = {
    "chat_image_part": (400, "invalid_value", "messages"),
    "chat_n2_greedy": (400, "invalid_value", "n"),
    "err_bad_response_format": FORMAT,
    "err_bad_schema": FORMAT,
    "err_context_overflow": CONTEXT,
    "err_context_overflow_stream": CONTEXT,
    "err_max_tokens_over_context": CONTEXT,
    "err_tool_choice_unknown": (400, "invalid_value", "tool_choice"),
    "err_top_p": (400, "invalid_value", "top_p"),
    "err_bad_key": (502, "upstream_error", None),
    "err_no_key": (502, "upstream_error", None),
    "err_method": (502, "upstream_error", None),
    "err_bad_model": (404, "model_not_found", None),
    "err_unknown_path": (404, "model_not_found", None),
    "err_queue_full_stream": (503, "server_is_overloaded", None),
    "err_queue_full_nonstream": (503, "server_is_overloaded", None),
    "err_new_request_while_draining": (502, "upstream_error", None),
}


def parsed(recorded: Recording) -> Any:
    return json.loads(recorded.body) if recorded.body else None


@pytest.mark.parametrize("recorded", REFUSALS, ids=str)
def test_recorded_errors_are_translated(recorded: Recording) -> None:
    error = translate("tiny", recorded.status, parsed(recorded))
    expected = EXPECTED.get(recorded.case, INVALID)
    if recorded.status == 404:
        expected = (404, "model_not_found", None)
    if recorded.status == 401:
        expected = (502, "upstream_error", None)
    assert (error.status, error.code, error.param) == expected
    schema.validate_error(error.body())


def test_no_text_of_an_engine_is_repeated() -> None:
    for recorded in REFUSALS:
        ours = translate("tiny", recorded.status, parsed(recorded)).message
        assert not _word_runs(ours) & _word_runs(recorded.body.decode()), recorded


def _word_runs(text: str) -> set[str]:
    """Return every run of seven words in a text."""
    words = re.findall(r"\w+", text)
    return {" ".join(words[at : at + 7]) for at in range(len(words) - 6)}


@pytest.mark.parametrize("recorded", recordings("*/err_context_overflow"), ids=str)
def test_the_size_of_the_context_is_reported(recorded: Recording) -> None:
    message = translate("tiny", recorded.status, parsed(recorded)).message
    assert "2048 tokens" in message
    assert "Shorten" in message


ODD: list[Any] = [
    "",
    "plain text",
    "<html>",
    [],
    ["x"],
    {},
    7,
    {"detail": "Not Found"},
    {"detail": [{"loc": ["body"], "msg": "x"}]},
    {"error": None},
    {"error": "Unauthorized"},
    {"error": []},
    {"error": {}},
    {"error": {"message": None, "code": None}},
    {"error": {"message": {"a": 1}}},
]


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (301, "upstream_error", None),
        (400, "invalid_value", None),
        (401, "upstream_error", None),
        (403, "upstream_error", None),
        (404, "model_not_found", None),
        (405, "upstream_error", None),
        (408, "timeout", None),
        (413, "invalid_value", None),
        (422, "invalid_value", None),
        (429, "rate_limit_exceeded", None),
        (500, "upstream_error", None),
        (502, "upstream_error", None),
        (503, "server_is_overloaded", None),
        (504, "timeout", None),
        (529, "upstream_error", None),
        (0, "upstream_error", None),
        *((400, "invalid_value", body) for body in ODD),
    ],
    ids=str,
)
def test_the_status_decides_where_the_body_does_not(status: int, code: str, body: Any) -> None:
    error = translate("tiny", status, body)
    assert error.code == code
    schema.validate_error(error.body())


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "x", "code": "insufficient_quota"}},
        {"error": {"message": "x", "type": "insufficient_quota"}},
    ],
    ids=str,
)
def test_a_spent_quota_is_recognised(body: Any) -> None:
    error = translate("tiny", 429, body)
    assert (error.type, error.code) == ("insufficient_quota", "insufficient_quota")
    assert error.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1),
        ({"retry-after": "0"}, 0.001),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "50"}, 0.05),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "9" * 5000}, 1),
        ({"retry-after": "-5"}, 1),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_wait_is_read_from_the_engine(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(httpx.Headers(headers)) == seconds


@pytest.mark.parametrize(
    ("seconds", "whole", "thousandths"), [(0.05, "1", "50"), (7, "7", "7000"), (1e5, "120", "120000")]
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_is_passed_on_within_bounds(
    status: int, seconds: float, whole: str, thousandths: str
) -> None:
    headers = translate("tiny", status, None, seconds).headers
    assert headers == {"retry-after": whole, "retry-after-ms": thousandths}


def test_an_image_for_a_text_model_is_the_callers_fault_even_where_the_engine_reports_500() -> None:
    body = {"error": {"code": 500, "message": "image input is not supported - hint: mmproj"}}
    error = translate("tiny", 500, body)
    assert (error.status, error.param) == (400, "messages")
