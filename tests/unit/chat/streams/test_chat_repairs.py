"""What the stream of a chat completion repairs, and what it cannot."""

import json
from typing import Any

import pytest

from tests.engines import schema
from tests.engines.recordings import recording
from tests.unit.chat.chunks import (
    DONE,
    GOOD,
    USAGE,
    choice,
    chunk,
    event,
    finish,
    role,
    usage,
    word,
)
from tests.unit.chat.passing import passed

# what is repaired


@pytest.mark.parametrize(
    ("received", "expected"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("repetition", "stop")],
)
def test_finish_reasons_are_those_of_the_contract(received: str, expected: str) -> None:
    result = passed(role() + finish(received) + DONE)
    assert result.out == role() + finish(expected) + DONE


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_changes_keeps_its_first_value(field: str) -> None:
    others = {"id": "chatcmpl-2", "object": "chunk", "created": 1795373006, "model": "m2"}
    other: dict[str, Any] = {field: others[field]}
    body = role() + word(**other) + word(**other) + finish(**other) + DONE
    assert passed(body).out == role() + word() * 2 + finish() + DONE


def test_the_model_has_its_public_name() -> None:
    result = passed(GOOD.replace(b'"tiny"', b'"/models/weights"'))
    assert result.out == GOOD


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_is_missing_is_filled_in(field: str) -> None:
    calls = {
        "tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}
        ]
    }
    without: dict[str, Any] = {field: ...}
    body = role() + event(chunk(choice(calls), **without)) + finish(**without) + DONE
    result = passed(body)
    assert {each[field] for each in result.chunks} == {json.loads(role()[6:])[field]}
    assert result.chunks[1]["choices"][0]["delta"] == calls


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_never_comes_is_made_up(field: str) -> None:
    without: dict[str, Any] = {field: ...}
    body = role(**without) + word(**without) + finish(**without) + DONE
    schema.validate_stream(passed(body).out)


@pytest.mark.parametrize("wrong", [{"id": 7}, {"created": "now"}, {"created": 1.5}], ids=str)
def test_identity_of_the_wrong_type_is_replaced(wrong: dict[str, Any]) -> None:
    schema.validate_stream(passed(role(**wrong) + word(**wrong) + finish(**wrong) + DONE).out)


@pytest.mark.parametrize("key", ["index", "finish_reason"])
def test_members_of_a_choice_that_are_missing_are_filled_in(key: str) -> None:
    first = choice({"role": "assistant", "content": ""})
    later = choice({"content": " word"})
    for each in (first, later):
        del each[key]
    result = passed(event(chunk(first)) + event(chunk(later)) + finish() + DONE)
    assert len(schema.validate_stream(result.out)) == 3


def test_llama_cpp_streams_get_one_creation_time() -> None:
    body = recording("llama.cpp-b11549/stream_basic").body
    assert b'"created":1795373381' in body
    assert b'"created":1795373382' in body
    out = passed(body, model="smollm2-135m-instruct").out
    assert b'"created":1795373382' not in out
    assert len(out) == len(body) - len("null") + len('""') + len('"content":""')


@pytest.mark.parametrize("delta", [{"role": "assistant", "content": None}, {"role": "assistant"}, {}])
def test_the_first_delta_has_role_and_empty_content(delta: dict[str, Any]) -> None:
    result = passed(event(chunk(choice(delta))) + word() + finish() + DONE)
    assert result.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("delta", [{}, {"content": None}, None])
def test_a_later_delta_has_content(delta: dict[str, Any] | None) -> None:
    result = passed(role() + event(chunk(choice(delta, "stop"))) + DONE)
    assert result.chunks[1]["choices"][0]["delta"] == {"content": ""}


def test_the_first_content_gets_a_role_where_the_engine_sent_none() -> None:
    result = passed(word() + finish() + DONE)
    assert result.chunks[0]["choices"][0]["delta"] == {"content": " word", "role": "assistant"}


def test_logprobs_get_the_members_that_they_lack() -> None:
    odd = choice({"content": " word"}, logprobs={"content": []})
    result = passed(role() + event(chunk(odd)) + finish() + DONE)
    assert result.chunks[1]["choices"][0]["logprobs"] == {"content": [], "refusal": None}


# tool calls


_ARG = {"index": 0, "function": {"arguments": "{"}}


def call(**function: Any) -> dict[str, Any]:
    return {"index": 0, "id": "call_1", "type": "function", "function": function}


def test_a_call_begins_with_empty_arguments() -> None:
    begin = {"content": None, "tool_calls": [call(name="f")]}
    piece = event(
        chunk(choice({"content": None, "tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}))
    )
    body = role() + event(chunk(choice(begin))) + piece + event(chunk(choice({}, "tool_calls"))) + DONE
    result = passed(body)
    assert result.chunks[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] == ""
    assert piece in result.out
    assert result.chunks[-1]["choices"][0]["delta"] == {}


def test_null_content_beside_calls_stays() -> None:
    begin = {"role": "assistant", "content": None, "tool_calls": [call(name="f", arguments="")]}
    body = event(chunk(choice(begin))) + event(chunk(choice({"content": None}, "tool_calls"))) + DONE
    assert passed(body).out == body


# choices


def test_every_requested_choice_has_to_finish() -> None:
    both = role(0) + role(1) + word("a", 0) + word("b", 1) + finish("stop", 0)
    assert passed(both + finish("length", 1) + DONE, n=2).done
    result = passed(both + DONE, n=2)
    assert (result.done, result.out) == (False, both)


def test_what_repeats_that_a_choice_has_ended_is_left_out() -> None:
    both = role(0) + role(1) + finish("stop", 0)
    body = both + role(0) + word("b", 1) + finish("stop", 0) + finish("stop", 1) + DONE
    assert passed(body, n=2).out == both + word("b", 1) + finish("stop", 1) + DONE


@pytest.mark.parametrize("index", [1, -1, "0", False, 0.0], ids=repr)
def test_an_unrequested_choice_fails_the_stream(index: Any) -> None:
    odd = event(chunk(choice({"role": "assistant", "content": ""}, index=index)))
    result = passed(role() + odd + GOOD)
    assert (result.out, result.done) == (role(), False)


def test_a_second_end_with_usage_is_only_a_usage_chunk() -> None:
    again = event(chunk(choice({"role": "assistant", "content": ""}, None), usage=USAGE))
    body = role() + finish() + again + DONE
    assert passed(body).out == role() + finish() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


# usage


def test_unrequested_usage_is_hidden_but_counted() -> None:
    body = role() + finish() + usage() + DONE
    result = passed(body)
    assert (result.out, result.usage) == (role() + finish() + DONE, USAGE)


def test_requested_usage_passes_as_it_came() -> None:
    body = role() + finish() + usage() + DONE
    result = passed(body, usage=True)
    assert (result.out, result.usage) == (body, USAGE)


def test_unrequested_null_usage_is_hidden() -> None:
    body = role(usage=None) + word(usage=None) + finish(usage=None) + usage() + DONE
    assert passed(body).out == role() + word() + finish() + DONE
    assert passed(body, usage=True).out == body


def test_usage_merged_into_the_finish_chunk_gets_a_chunk_of_its_own() -> None:
    body = role() + finish(usage=USAGE) + DONE
    assert passed(body).out == role() + finish() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


def test_continuous_usage_is_shown_once_at_the_end() -> None:
    body = role(usage=USAGE) + word(usage=USAGE) + finish(usage=USAGE) + usage() + DONE
    assert passed(body).out == role() + word() + finish() + DONE
    assert passed(body, usage=True).out == role() + word() + finish() + usage() + DONE


def test_nulls_within_usage_are_dropped() -> None:
    odd = usage(usage={**USAGE, "prompt_tokens_details": None})
    assert passed(role() + finish() + odd + DONE, usage=True).out == role() + finish() + usage() + DONE


def test_empty_choices_with_null_usage_never_come_out() -> None:
    body = role() + usage(usage=None) + finish() + usage() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


def test_a_failed_stream_shows_no_usage() -> None:
    assert not passed(role() + usage() + DONE, usage=True).done
