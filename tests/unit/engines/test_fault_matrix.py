"""The fault matrix finds what it is there to find."""

from typing import Any

import pytest

from tests.e2e.faults.matrix import CLIENTS, cases_of, wrong_history, wrong_with
from tests.engines.faults.script import CALLED, CUT, SAID, SECRET, TEXT, Bad, Good
from tests.engines.faults.table import FAULTS
from tests.engines.wire import Request

GOOD: dict[str, Any] = {"text": TEXT, "reasoning": "", "calls": [], "finish": "stop"}
CALL: dict[str, Any] = {"text": "", "calls": [["get_weather", '{"city":"Paris"}']], "finish": "tool_calls"}
ERROR: dict[str, Any] = {
    "raised": "APIError",
    "own": True,
    "status": None,
    "code": "upstream_error",
    "message": "no",
}


def came(*choices: dict[str, Any], usage: Any = (37, 8)) -> dict[str, Any]:
    return {"choices": list(choices), "usage": list(usage)}


@pytest.mark.parametrize(
    ("right", "outcome", "wrong"),
    [
        (SAID, came(GOOD), ""),
        (CALLED, came(CALL), ""),
        (CUT, ERROR, ""),
        (CUT, came(GOOD), "silent success"),
        (CUT, {**ERROR, "own": False, "raised": "JSONDecodeError"}, "crash: JSONDecodeError"),
        (SAID, {**ERROR, "own": False, "raised": "KeyError"}, "crash: KeyError"),
        (SAID, ERROR, "refused"),
        (SAID, came({**GOOD, "text": "The"}), "text 'The', but"),
        (SAID, came({**GOOD, "finish": None}), "finish 'None', but"),
        (SAID, came({**GOOD, "reasoning": "Hm."}), "reasoning 'Hm.', but"),
        (SAID, came(GOOD, GOOD), "a choice too many"),
        (SAID, came(), "a choice is missing"),
        (SAID, came(GOOD, usage=(0, 0)), "usage [0, 0], but"),
        (CALLED, came({**CALL, "calls": [["get_weather", '{"city":']]}), "calls"),
        (CALLED, came({**CALL, "calls": [None]}), "calls"),
        (CUT, {**ERROR, "code": None}, "code None, but"),
        (Bad(429), {**ERROR, "status": 502}, "status 502, but 429"),
        (CUT, {**ERROR, "message": f"failed: {SECRET}"}, "the engine's own words"),
    ],
)
def test_what_a_client_sees_is_judged(right: Good | Bad, outcome: dict[str, Any], wrong: str) -> None:
    judged = wrong_with(right, "stream", outcome)
    assert judged.startswith(wrong)
    assert bool(judged) == bool(wrong)


def test_an_error_of_a_stream_has_a_status_where_the_reply_is_whole() -> None:
    assert wrong_with(CUT, "whole", ERROR).startswith("status None, but 502")


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({"role": "assistant", "content": "Hi"}, ""),
        ({"role": "assistant", "content": None, "reasoning": "Hm."}, ""),
        ({"role": "assistant", "content": "", "refusal": None}, "history: members of a message ['refusal']"),
        ({"role": "assistant", "content": "Hi", "parsed": 1}, "history: members of a message ['parsed']"),
        ({"role": "assistant", "content": None}, "history: a message that says nothing"),
        ({"role": "tool", "content": "done", "tool_call_id": "a"}, "history: a result of no call"),
    ],
)
def test_what_an_engine_gets_of_a_conversation_is_judged(message: dict[str, Any], wrong: str) -> None:
    request = Request(0, "POST", "/v1/chat/completions", {}, b"", 0.0)
    request.body = {"messages": [{"role": "user", "content": "Hi"}, message]}
    assert wrong_history(request).startswith(wrong)
    assert bool(wrong_history(request)) == bool(wrong)


def test_engines_run_what_fails_as_often_as_a_client_repeats_it() -> None:
    runs = {client.name: client.runs(Bad(), "whole") for client in CLIENTS}
    assert runs == {**dict.fromkeys(runs, 1), "ai-sdk": 3}
    runs = {client.name: client.runs(Bad(503, tries=3, again=True), "whole") for client in CLIENTS}
    assert runs == {**dict.fromkeys(runs, 9), "http": 3, "responses-http": 3}


def test_every_fault_is_tried_with_every_client_that_can_request_it() -> None:
    for client in CLIENTS:
        tried = {case.fault for case in cases_of(client, tuple(FAULTS))}
        assert tried == {name for name, fault in FAULTS.items() if client.takes_fields or not fault.fields}
