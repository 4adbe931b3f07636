"""Errors that engines report, translated into ours."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.engines.engine import Failure
from functions.chat.engines.errors import reports_error, translate
from functions.chat.engines.refusals import retry_after_s
from functions.chat.engines.wordings import WORDINGS
from functions.chat.errors import ApiError
from functions.chat.streams.chat import ChatReply, ChatStream
from tests.engines import schema
from tests.engines.recordings import Recording, recordings
from tests.unit.chat.chunks import role, word
from tests.unit.chat.engines.texts import REJECTED, TEXTS, Answer

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
    "err_max_tokens_negative": (400, "invalid_value", "max_tokens"),
    "llama.cpp-b11549/err_not_object": (400, "invalid_value", "messages"),
    # From us it is never negative: then it is what the prompt leaves of the context.
    "vllm-0.32.0/err_max_tokens_negative": CONTEXT,
    "err_max_tokens_zero": (400, "invalid_value", "max_tokens"),
    "err_missing_messages": (400, "invalid_value", "messages"),
    "err_n_zero": (400, "invalid_value", "n"),
    "err_stream_options_without_stream": (400, "invalid_value", "stream_options"),
    "err_temperature_high": (400, "invalid_value", "temperature"),
    "err_temperature_negative": (400, "invalid_value", "temperature"),
    "err_temperature_type": (400, "invalid_value", "temperature"),
    "err_top_logprobs_alone": (400, "invalid_value", "top_logprobs"),
    "err_top_logprobs_big": (400, "invalid_value", "top_logprobs"),
    "err_bad_key": (502, "upstream_error", None),
    "err_no_key": (502, "upstream_error", None),
    "err_method": (502, "upstream_error", None),
    "llama.cpp-b11549/err_method": (404, "model_not_served", "model"),
    "err_bad_model": (404, "model_not_found", None),
    "err_unknown_path": (404, "model_not_served", "model"),
    "err_queue_full_stream": (503, "server_is_overloaded", None),
    "err_queue_full_nonstream": (503, "server_is_overloaded", None),
    "err_new_request_while_draining": (502, "upstream_error", None),
}


def parsed(recorded: Recording) -> Any:
    return json.loads(recorded.body) if recorded.body else None


@pytest.mark.parametrize("recorded", REFUSALS, ids=str)
def test_recorded_errors_are_translated(recorded: Recording) -> None:
    error = translate("tiny", recorded.status, parsed(recorded))
    expected = EXPECTED.get(str(recorded), EXPECTED.get(recorded.case, INVALID))
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
    {"detail": "Not"},
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
        (529, "server_is_overloaded", None),
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
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("status", "seconds", "whole", "thousandths"),
    [
        *((status, *wait) for status in (429, 503) for wait in ((0.05, "1", "50"), (7, "7", "7000"))),
        (429, 1e5, "60", "60000"),
        (503, 1e5, "120", "120000"),
    ],
)
def test_the_wait_is_passed_on_within_bounds(
    status: int, seconds: float, whole: str, thousandths: str
) -> None:
    headers = translate("tiny", status, None, seconds).headers
    assert headers == {"retry-after": whole, "retry-after-ms": thousandths}


def test_an_image_for_a_text_model_is_the_callers_fault_even_where_the_engine_reports_500() -> None:
    body = {"error": {"code": 500, "message": "image input is not supported - hint: mmproj"}}
    error = translate("tiny", 500, body)
    assert (error.status, error.param) == (400, "messages")


# recorded wordings, in every shape


def answer(error: ApiError, text: str) -> Answer:
    schema.validate_error(error.body())
    assert text in error.message, error.message
    return Answer(error.status, error.type, error.code, error.param, text)


def quoted(text: str) -> str:
    """Return a text as LiteLLM quotes the reply of another server."""
    return (
        f"Error code: 400 - {{'error': {{'message': {text!r}, 'type': None, 'param': None, 'code': '400'}}}}"
    )


SHAPES: dict[str, tuple[int, Callable[[str], Any]]] = {
    "status 400": (400, lambda text: {"error": {"message": text, "type": "BadRequestError", "code": 400}}),
    "status 500": (500, lambda text: {"error": {"message": text, "type": "server_error", "code": 500}}),
    "in a reply": (200, lambda text: {"error": {"message": text, "type": "BadRequestError", "code": 400}}),
    "a string as code": (200, lambda text: {"error": {"message": text, "type": None, "code": "400"}}),
    "a name as code": (200, lambda text: {"error": {"message": text, "code": "BadRequestError"}}),
    "only a type": (200, lambda text: {"error": {"message": text, "type": "invalid_request_error"}}),
    "older vLLM": (
        400,
        lambda text: {"object": "error", "message": text, "type": "BadRequestError", "code": 400},
    ),
    "an error as text": (400, lambda text: {"error": text}),
    "TGI": (422, lambda text: {"error": text, "error_type": "validation"}),
    "detail": (400, lambda text: {"detail": text}),
    "a value error of FastAPI": (
        422,
        lambda text: {"detail": [{"type": "value_error", "loc": ["body"], "msg": f"Value error, {text}"}]},
    ),
    "Bedrock": (400, lambda text: {"message": text}),
    "plain text": (400, lambda text: text),
    "JSON that is cut": (400, lambda text: json.dumps({"error": {"message": text}})[:-2]),
    "an exception": (500, lambda text: {"error": {"message": f"ValueError: {text}"}}),
    "LiteLLM": (
        400,
        lambda text: {
            "error": {
                "message": f"litellm.BadRequestError: OpenAIException - {text}\nReceived Model Group=x",
                "type": None,
                "param": None,
                "code": "400",
            }
        },
    ),
    "LiteLLM of JSON": (
        400,
        lambda text: {
            "error": {
                "message": "litellm.BadRequestError: Hosted_vllmException - "
                + json.dumps({"error": {"message": text, "code": 400}})
                + "\nReceived Model Group=x"
            }
        },
    ),
    "LiteLLM of LiteLLM": (
        400,
        lambda text: {
            "error": {"message": f"litellm.BadRequestError: Litellm_proxyException - {quoted(text)}"}
        },
    ),
    "OpenRouter": (
        200,
        lambda text: {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": json.dumps({"message": text}), "provider_name": "x"},
            }
        },
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_recorded_wordings_get_the_same_answer_in_every_shape(shape: str) -> None:
    status, wrap = SHAPES[shape]
    for text, expected in TEXTS:
        # Others' words for a name stand at the end of a text, where wrappers add theirs.
        if shape.startswith("LiteLLM") and text.endswith(
            ("model", "tools", "thinking", "chat", "input", "padding")
        ):
            continue
        if shape == "status 500" and expected == REJECTED:
            continue
        body = wrap(text)
        assert answer(translate("tiny", status, body), expected.text) == expected, body
        assert reports_error(body) or not isinstance(body, dict)


def test_every_recorded_wording_decides_a_text() -> None:
    decided = set()
    for text, _ in TEXTS:
        for candidate in (
            text,
            *(text[at + 2 :] for at in range(len(text)) if text[at : at + 2] in (": ", "- ")),
        ):
            decided |= {
                (kind, pattern)
                for kind, rows in WORDINGS.items()
                for _, pattern in rows
                if re.match(pattern, candidate)
            }
    assert {(kind, pattern) for kind, rows in WORDINGS.items() for _, pattern in rows} - decided == set()


BODIES: list[tuple[int, Any, tuple[int, str | None, str | None]]] = [
    # the code within decides where the status does not
    (200, {"error": {"message": "x", "code": 429}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "x", "code": "429"}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "x", "code": 429.0}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "x", "type": "RateLimitError"}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "Rate limit exceeded", "code": 429}}, (429, "rate_limit_exceeded", None)),
    (200, {"error": {"message": "x", "code": "BadRequestError"}}, (400, "invalid_value", None)),
    (200, {"error": {"message": "x", "type": "BadRequestError"}}, (400, "invalid_value", None)),
    (200, {"error": {"message": "x", "type": "Bad Request", "code": 400}}, (400, "invalid_value", None)),
    (
        200,
        {"object": "error", "message": "x", "type": "NotFoundError", "code": 404},
        (404, "model_not_found", None),
    ),
    (200, {"object": "error", "message": "x", "code": 400}, (400, "invalid_value", None)),
    (200, {"error": {"type": "overloaded_error", "message": "x"}}, (503, "server_is_overloaded", None)),
    (200, {"type": "error", "error": {"type": "overloaded_error"}}, (503, "server_is_overloaded", None)),
    (529, {"type": "error", "error": {"type": "overloaded_error"}}, (503, "server_is_overloaded", None)),
    (200, {"error": {"message": "x", "code": 503}}, (503, "server_is_overloaded", None)),
    (200, {"error": {"message": "x", "type": "Service Unavailable"}}, (503, "server_is_overloaded", None)),
    (200, {"error": {"message": "x", "code": 500}}, (502, "upstream_error", None)),
    (200, {"error": {"message": "x", "code": 504}}, (504, "timeout", None)),
    (200, {"error": {"message": "x", "code": 401}}, (502, "upstream_error", None)),
    (200, {"error": "x"}, (502, "upstream_error", None)),
    (200, {"error": "x", "error_type": "validation"}, (400, "invalid_value", None)),
    (200, {"error": "x", "error_type": "overloaded"}, (503, "server_is_overloaded", None)),
    (200, {"error": "x", "error_type": "generation"}, (502, "upstream_error", None)),
    (424, {"error": "x", "error_type": "generation"}, (502, "upstream_error", None)),
    (422, {"error": "x", "error_type": "template_error"}, (400, "invalid_value", "messages")),
    (422, {"error": "x", "error_type": "tool_error"}, (400, "invalid_value", None)),
    (500, {"error": {"message": "x", "type": "BadRequest", "code": 400}}, (400, "invalid_value", None)),
    (
        500,
        {"object": "error", "message": "x", "type": "BadRequestError", "code": 400},
        (400, "invalid_value", None),
    ),
    (
        400,
        {"__type": "com.amazon.coral#ThrottlingException", "message": "x"},
        (429, "rate_limit_exceeded", None),
    ),
    (400, {"__type": "ValidationException", "message": "x"}, (400, "invalid_value", None)),
    (402, {"error": {"message": "x"}}, (429, "insufficient_quota", None)),
    (403, {"message": "x"}, (502, "upstream_error", None)),
    (
        501,
        {"error": {"message": "x", "type": "not_supported_error", "code": 501}},
        (400, "invalid_value", None),
    ),
    (413, "<html>413 Request Entity Too Large</html>", (400, "invalid_value", "messages")),
    (
        400,
        {
            "error": {
                "message": "litellm.BadRequestError: VertexAIException BadRequestError - b'"
                '{"error":{"message":"The input token count (9) exceeds the maximum number of tokens '
                "allowed (5)\"}}'"
            }
        },
        (400, "context_length_exceeded", "messages"),
    ),
    # lists
    (200, [{"error": {"code": 429, "message": "x"}}], (429, "rate_limit_exceeded", None)),
    (
        429,
        [{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}],
        (429, "rate_limit_exceeded", None),
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (9) exceeds the maximum number of tokens allowed (5)",
                }
            }
        ],
        (400, "context_length_exceeded", "messages"),
    ),
    (
        400,
        {
            "errors": [
                {
                    "code": "x",
                    "message": "the number of input tokens 9 cannot exceed the total tokens limit 5",
                }
            ]
        },
        (400, "context_length_exceeded", "messages"),
    ),
    # codes that are right as they are
    (400, {"error": {"message": "x", "code": "invalid_api_key"}}, (502, "upstream_error", None)),
    (400, {"error": {"message": "x", "code": "data_inspection_failed"}}, (400, "content_filter", "messages")),
    (400, {"error": {"message": "x", "code": "model_decommissioned"}}, (404, "model_not_found", None)),
    (400, {"error": {"message": "x", "code": "tool_use_failed"}}, (502, "upstream_error", None)),
    (
        400,
        {"error": {"message": "x", "code": "context_length_exceeded"}},
        (400, "context_length_exceeded", "messages"),
    ),
    (
        400,
        {"error": {"message": "x", "type": "exceed_context_size_error", "n_ctx": 8192, "code": 500}},
        (400, "context_length_exceeded", "messages"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "content_filter", "param": "prompt"}},
        (400, "content_filter", "messages"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        (400, "content_filter", "messages"),
    ),
    (404, {"error": {"message": "x", "code": "DeploymentNotFound"}}, (404, "model_not_found", None)),
    (
        400,
        {"error": {"message": "x", "code": "model_not_found", "param": "model"}},
        (404, "model_not_found", None),
    ),
    (
        400,
        {"error": {"message": "x", "code": "unsupported_parameter", "param": "max_tokens"}},
        (400, "unsupported_parameter", "max_tokens"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "unsupported_value", "param": "temperature"}},
        (400, "unsupported_value", "temperature"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "integer_above_max_value", "param": "n"}},
        (400, "integer_above_max_value", "n"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "invalid_type", "param": "messages[0].content"}},
        (400, "invalid_type", "messages[0].content"),
    ),
    (
        400,
        {"error": {"message": "x", "code": "invalid_value", "param": "my secret"}},
        (400, "invalid_value", None),
    ),
    # validation errors: the place, never the value
    (
        422,
        {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}]},
        (400, "invalid_value", "messages"),
    ),
    (
        422,
        {
            "detail": [
                {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
            ]
        },
        (400, "unsupported_parameter", "seed"),
    ),
    (
        400,
        {
            "object": "error",
            "message": "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Missing', 'input': 1}]",
            "code": 400,
        },
        (400, "invalid_value", "messages"),
    ),
    (
        400,
        {
            "object": "error",
            "message": "1 validation error for ChatCompletionRequest\ntop_p\n  Input should be x",
        },
        (400, "invalid_value", "top_p"),
    ),
    (
        400,
        {
            "error": {
                "message": "1 validation error:\n  {'type': 'value_error', 'loc': 'body', 'msg': "
                "'Value error, `tool_choice` must either be a named tool', 'input': 'x'}",
                "code": 400,
            }
        },
        (400, "invalid_value", "tool_choice"),
    ),
]


@pytest.mark.parametrize(("status", "body", "expected"), BODIES, ids=str)
def test_the_shape_of_a_body_is_read(
    status: int, body: Any, expected: tuple[int, str | None, str | None]
) -> None:
    error = translate("tiny", status, body)
    assert (error.status, error.code, error.param) == expected
    assert reports_error(body) or status != 200
    schema.validate_error(error.body())


@pytest.mark.parametrize(
    ("body", "expected"), [(body, expected) for status, body, expected in BODIES if status == 200], ids=str
)
def test_an_error_in_a_reply_and_in_a_stream_is_the_same(
    body: Any, expected: tuple[int, str | None, str | None]
) -> None:
    raw = json.dumps(body).encode()
    whole = ChatReply(model="tiny", n=1, request_id="r")
    first, later = ChatStream(model="tiny"), ChatStream(model="tiny")
    later.feed(role() + word())
    results = [
        *(*whole.feed(raw), *whole.flush()),
        *(*first.feed(b"data: " + raw + b"\n\n"), *first.flush()),
        *(*later.feed(b"event: error\ndata: " + raw + b"\n\ndata: [DONE]\n\n"), *later.flush()),
    ]
    failures = [each.error for each in results if isinstance(each, Failure)]
    assert [(error.status, error.code, error.param) for error in failures] == [expected] * 3


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "error",
        {},
        {"id": "x", "choices": []},
        {"choices": None, "usage": {}},
        {"choices": [], "error": None},
        {"object": "chat.completion.chunk", "choices": [], "message": "x"},
        {"type": "ping"},
    ],
    ids=str,
)
def test_what_is_no_error_is_not_taken_for_one(value: Any) -> None:
    assert not reports_error(value)


# prompts

TRIGGERS = (
    "image",
    "schema",
    "grammar",
    "tool_choice",
    "top_p must be lower",
    "greedy",
    "video input is not supported",
    "maximum context length is 5",
    "This model's maximum context length is 5 tokens",
    "context_length_exceeded",
    "Rate limit exceeded",
    "System role not supported",
    "does not support tools",
    "insufficient_quota",
    "Error: Overloaded",
    "\nTimeout: Request timed out",
    "'loc': ('body', 'tools'), 'msg': 'x'",
    '{"error": {"message": "Overloaded", "code": 429}}',
)
ECHOES: tuple[Callable[[str], Any], ...] = (
    lambda prompt: {"error": {"message": f"The request is invalid: {prompt}", "code": 400}},
    lambda prompt: {
        "error": {"message": f"Could not read {prompt!r}", "type": "BadRequestError", "code": 400}
    },
    lambda prompt: {
        "object": "error",
        "message": f"Invalid body: {json.dumps({'prompt': prompt})}",
        "code": 400,
    },
    lambda prompt: {"error": f"bad input {prompt}", "error_type": "validation"},
    lambda prompt: {"detail": f"cannot parse {prompt}"},
    lambda prompt: {"detail": [{"type": "x", "loc": ["body", 7], "msg": "Input is wrong", "input": prompt}]},
    lambda prompt: {
        "detail": [{"type": "x", "loc": ["body"], "msg": "Input is wrong", "ctx": {"error": prompt}}]
    },
    lambda prompt: {
        "error": {
            "message": f"1 validation error:\n  {{'type': 'x', 'loc': '', 'msg': 'x', 'input': {prompt!r}}}",
            "code": 400,
        }
    },
    lambda prompt: f"invalid request {prompt}",
    lambda prompt: {"error": {"message": f"litellm.BadRequestError: OpenAIException - wrong: {prompt}"}},
)


@given(
    st.lists(st.one_of(st.sampled_from(TRIGGERS), st.text(max_size=20)), min_size=1, max_size=4),
    st.sampled_from(ECHOES),
)
def test_no_word_of_a_prompt_decides(words: list[str], echo: Callable[[str], Any]) -> None:
    error = translate("tiny", 400, echo(" ".join(words)))
    assert answer(error, REJECTED.text) == REJECTED


def test_a_recorded_wording_that_a_prompt_holds_does_not_decide() -> None:
    for text, _ in TEXTS:
        for echo in ECHOES:
            error = translate("tiny", 400, echo(text))
            assert answer(error, REJECTED.text) == REJECTED, echo(text)


@pytest.mark.parametrize(
    "body", ["{" * 65536, "a." * 32768, "\n" * 65536, "'" * 65536, "[{'type': 'x', 'loc': (" + "1, " * 9999]
)
def test_a_long_text_costs_little(body: str) -> None:
    began = time.perf_counter()
    for shape in (body, {"error": {"message": body}}, {"error": {"message": f"ValueError: {body}"}}):
        translate("tiny", 400, shape)
    assert time.perf_counter() - began < 2
