"""Which fields of a request reach the engine, by its kind, and the errors for the others."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from functions.chat.api import chat_schema
from functions.chat.api.chat_completions import engine_request
from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST
from functions.chat.api.fields import CHAT_TEMPLATE_KWARGS
from functions.chat.engines.engine import joined
from functions.chat.engines.kinds import ENGINES, NEVER
from functions.chat.errors import InvalidRequest
from tests.engines import schema
from tests.engines.schema import VLLM
from tests.unit.chat.fakes import USER, model, settings

TOOL = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
NAMED = {"type": "function", "function": {"name": "f"}}
# Every field of OpenAI's, but for those that go by pairs or are set by the gateway.
OPENAI: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "stop": ["a"],
    "seed": 1,
    "presence_penalty": 1,
    "frequency_penalty": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 1},
    "response_format": {"type": "text"},
    "tools": [TOOL],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "user": "u",
    "safety_identifier": "u",
    "metadata": {"a": "b"},
    "store": False,
    "service_tier": "priority",
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "modalities": ["text"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {"search_context_size": "high"},
    "moderation": {"model": "m"},
    "functions": [{"name": "f"}],
    "function_call": "auto",
}


def sent(engine: str = "vllm", extra: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """Return what an engine of a kind is sent."""
    of = model(engine=engine, extra_fields=frozenset(extra))
    body = {"model": "tiny", "messages": [USER], **fields}
    request = engine_request(body, chat_schema.check(body), of, settings(of), "abc")
    read: dict[str, Any] = json.loads(joined(request.body))
    return read


def refused(engine: str = "vllm", extra: tuple[str, ...] = (), **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        sent(engine, extra, **fields)
    return raised.value


def test_every_field_of_openai_is_tried() -> None:
    others = {"model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options"}
    assert OPENAI.keys() | others == CHAT_COMPLETION_REQUEST.members.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_openais_fields_are_accepted_and_sent_on_if_the_engine_reads_them(engine: str) -> None:
    body = sent(engine, **OPENAI)
    limit = "max_tokens" if "max_tokens" in ENGINES[engine].openai else "max_completion_tokens"
    assert body.pop(limit) == 64
    assert (body.pop("model"), body.pop("messages")) == ("tiny", [USER])
    assert body == {name: value for name, value in OPENAI.items() if name in ENGINES[engine].openai}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engines_own_fields_are_sent_on_to_it_alone(engine: str) -> None:
    for name in frozenset[str]().union(*(kind.own for kind in ENGINES.values())):
        value: Any = {"x": None} if name == "chat_template_kwargs" else 1
        if name in ENGINES[engine].own:
            assert sent(engine, **{name: value})[name] == value
        else:
            assert refused(engine, **{name: value}).param == name


def test_what_vllm_is_sent_it_knows() -> None:
    known = json.loads(VLLM.read_bytes())["$defs"]["ChatCompletionRequest"]["properties"]
    assert ENGINES["vllm"].fields <= known.keys()
    openai = CHAT_COMPLETION_REQUEST.members.keys() & known.keys()
    assert ENGINES["vllm"].openai == openai


@pytest.mark.parametrize(
    "name",
    [
        "min_tokens",
        "guided_regex",
        "structured_outputs",
        "grammar",
        "top_K",
        "Max_Tokens",
        "MAX_TOKENS",
        "max_tоkens",
        "max_tokens ",
        "\ufeffn",
        "",
        "frobnicate",
        "x" * 5000,
    ],
    ids=lambda name: ascii(name[:20]),
)
def test_any_other_field_is_refused_with_the_setting_that_lets_it_through(name: str) -> None:
    error = refused(**dict[str, Any]({name: 1}))
    assert (error.code, error.status) == ("unknown_parameter", 400)
    assert "`extra_fields`" in error.message
    assert "EXTRA_FIELDS" in error.message
    assert len(error.message) < 500
    assert len(error.param or "") <= 200


def test_a_setting_lets_more_fields_through() -> None:
    body = sent(extra=("min_tokens", "metadata"), min_tokens=2, metadata={"a": "b"}, store=True)
    assert (body["min_tokens"], body["metadata"]) == (2, {"a": "b"})
    assert "store" not in body
    assert refused(extra=("min_tokens",), min_token=2).param == "min_token"


@pytest.mark.parametrize("engine", ENGINES)
def test_some_fields_are_never_sent(engine: str) -> None:
    for reason, names in NEVER.items():
        for name in names:
            error = refused(engine, **dict[str, Any]({name: 1}))
            assert (error.param, error.code) == (name, "unknown_parameter")
            assert reason in error.message
            assert "`extra_fields` (EXTRA_FIELDS) cannot have it" in error.message


def test_an_unknown_field_that_is_null_is_not_given() -> None:
    assert "n_predict" not in sent(n_predict=None, frobnicate=None)


@pytest.mark.parametrize("name", sorted(CHAT_TEMPLATE_KWARGS.refused))
def test_the_tokenizer_cannot_be_called_otherwise(name: str) -> None:
    error = refused(chat_template_kwargs={"enable_thinking": False, name: True})
    assert (error.param, error.code) == (f"chat_template_kwargs.{name}", "unknown_parameter")
    assert "Leave it out" in error.message


@pytest.mark.parametrize("kwargs", ["x", [], [1], 1, True])
def test_the_templates_arguments_are_an_object(kwargs: Any) -> None:
    assert refused(chat_template_kwargs=kwargs).code == "invalid_type"


@pytest.mark.parametrize("value", [2**63, -(2**63), 10**4000])
def test_an_integer_that_engines_cannot_hold_is_refused(value: int) -> None:
    error = refused(top_k=value)
    assert (error.param, error.code) == ("top_k", "integer_above_max_value")
    assert len(error.message) < 300


# what would stop an engine for every caller

VALUES_1001 = [f"v{each}" for each in range(1001)]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"enum": VALUES_1001}, "at most 1000 alternatives"),
        ({"properties": {"a": {"enum": VALUES_1001[:600]}, "b": {"enum": VALUES_1001[:600]}}}, "1200"),
        ({"$defs": {"a": {"oneOf": [{"const": each} for each in range(1001)]}}}, "at most 1000 alternatives"),
        ({"items": [{"anyOf": [{"type": "null"}] * 1001}]}, "at most 1000 alternatives"),
        ({"pattern": f"^({'|'.join(VALUES_1001)}|x)$"}, "at most 1000 alternatives"),
        ({"properties": {each: {} for each in VALUES_1001}}, "at most 500 properties"),
        ({"type": "array", "minItems": 5, "maxItems": 2}, "`minItems` to be no more than `maxItems`"),
        ({"properties": {"a": {"minItems": 2.5, "maxItems": 2}}}, "`minItems`"),
        ({"type": "string", "minLength": 2**63, "maxLength": 1}, "`minLength`"),
        ({"type": "array", "minItems": 5, "maxItems": 2**32 + 2}, "`maxItems` to be no more than 2147483647"),
        ({"type": "string", "minLength": 5, "maxLength": 2**31}, "`maxLength` to be no more than 2147483647"),
        ({"not": {"minimum": 10, "maximum": -10}}, "`minimum`"),
        ({"pattern": "^a{5,2}$"}, "`{m,n}`"),
        ({"patternProperties": {"x": {"pattern": "^(a{1,2}){3 , 1}$"}}}, "`{m,n}`"),
        ({"pattern": "^a{9999999999999999999,1}$"}, "`{m,n}`"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_schema_that_no_grammar_can_bear_is_refused(schema: dict[str, Any], expected: str) -> None:
    called = {"type": "function", "function": {"name": "f", "parameters": schema}}
    as_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for fields, param in (
        ({"tools": [TOOL, called]}, "tools[1].function.parameters"),
        ({"response_format": as_format}, "response_format.json_schema.schema"),
        ({"functions": [called["function"]]}, "functions[0].parameters"),
    ):
        error = refused(**dict[str, Any](fields))
        assert (error.param, error.code, error.status) == (param, "invalid_value", 400)
        assert expected in error.message


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": VALUES_1001[1:]},
        {"properties": {each: {} for each in VALUES_1001}, "required": VALUES_1001},
        {"properties": {"enum": {"type": "string"}, "pattern": {"const": "{5,2}"}, "properties": {}}},
        {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "maxLength": 2**53 - 1},
        {"minItems": 2, "maxItems": 2, "minimum": "x", "pattern": "^[{]2,1}|a{1,2}|{,}$"},
        {"enum": 5, "anyOf": "x", "required": "a", "properties": [1], "pattern": [], "maxLength": None},
    ],
    ids=lambda value: str(value)[:50],
)
def test_any_other_schema_is_sent_on_as_it_came(schema: dict[str, Any]) -> None:
    body = sent(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert body["response_format"]["json_schema"]["schema"] == schema


def test_there_are_not_too_many_biases() -> None:
    biases = {str(each): 1 for each in range(1025)}
    assert refused(logit_bias=biases).code == "object_above_max_length"
    del biases["0"]
    assert sent(logit_bias=biases)["logit_bias"] == biases


def test_there_are_not_too_many_tools() -> None:
    assert refused(tools=[TOOL] * 1001, tool_choice="required").code == "array_above_max_length"
    assert len(sent(tools=[TOOL] * 1000)["tools"]) == 1000


# the limit of tokens


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("requested", "limit"),
    [
        ({}, 64),
        ({"max_tokens": 0}, 64),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"max_completion_tokens": 9, "max_tokens": 256}, 9),
        ({"max_completion_tokens": 256, "max_tokens": 9}, 256),
    ],
    ids=str,
)
def test_every_engine_gets_one_limit_that_it_reads(engine: str, requested: Any, limit: int) -> None:
    body = sent(engine, **requested)
    limits = {name: value for name, value in body.items() if name.startswith("max_")}
    assert list(limits.values()) == [limit]
    assert limits.keys() <= ENGINES[engine].openai


def test_a_setting_does_not_rename_the_limit() -> None:
    body = sent("ollama", ("max_completion_tokens",), max_completion_tokens=9)
    assert (body["max_tokens"], "max_completion_tokens" in body) == (9, False)


# what an engine cannot do


@pytest.mark.parametrize("engine", ["tgi", "ollama"])
def test_more_choices_than_an_engine_gives_are_refused(engine: str) -> None:
    assert "n" not in sent(engine, n=1)
    error = refused(engine, n=2)
    assert (error.param, error.code) == ("n", "integer_above_max_value")


@pytest.mark.parametrize("choice", ["required", NAMED], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_is_forced_or_refused_before_it_runs(engine: str, choice: Any) -> None:
    if ENGINES[engine].forces_calls:
        body = sent(engine, tools=[TOOL], tool_choice=choice)
        assert ("json_schema" in body, body.get("tool_choice", choice)) == (engine == "llama.cpp", choice)
        assert body["tools"] == [TOOL]
    else:
        error = refused(engine, tools=[TOOL], tool_choice=choice)
        assert (error.param, error.code) == ("tool_choice", "invalid_value")
        assert "Send 'auto'" in error.message


def test_no_tools_are_sent_to_an_engine_that_would_call_them_all_the_same() -> None:
    assert "tools" not in sent("ollama", tools=[TOOL], tool_choice="none")
    assert sent("vllm", tools=[TOOL], tool_choice="none")["tool_choice"] == "none"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [TOOL, CUSTOM]}, "tools[1].type"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            "tool_choice.type",
        ),
    ],
    ids=str,
)
def test_tools_that_only_openai_has_are_refused_elsewhere(fields: dict[str, Any], param: str) -> None:
    assert sent("openai", **fields)["tools"] == fields["tools"]
    error = refused("vllm", **fields)
    assert (error.param, error.code) == (param, "invalid_value")


# streams


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_can_counts_in_every_chunk_if_requested(engine: str) -> None:
    continuous = {"continuous_usage_stats": True}
    options = {**continuous, "include_usage": True, "include_obfuscation": True}
    body = sent(engine, stream=True, stream_options=options)
    expected = continuous if ENGINES[engine].continuous_usage else {}
    assert body["stream_options"] == {"include_usage": True, **expected}
    alone = sent(engine, stream=True, stream_options=continuous)
    assert alone["stream_options"] == body["stream_options"]


# whatever a caller sends

NAMES = sorted(
    CHAT_COMPLETION_REQUEST.members.keys()
    | frozenset[str]().union(*NEVER.values(), *(kind.own for kind in ENGINES.values()))
    | {"MAX_TOKENS", "N", "min_tokens", "frobnicate"}
)
VALUES = st.sampled_from(
    [None, 0, 1, 2, 8, 20, 256, 257, 10**6, -1, 0.5, True, False, "", "x", [], {}, [1], {"1": 1}]
) | st.sampled_from(["required", {"include_usage": True, "x": 1}, [TOOL], [CUSTOM], NAMED])


@settings_of(max_examples=400, deadline=None, database=None, derandomize=True)
@given(st.sampled_from(sorted(ENGINES)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_nothing_raises_what_an_engine_may_do_above_what_is_reserved(
    engine: str, fields: dict[str, Any]
) -> None:
    body = {**fields, "model": "tiny", "messages": [{**USER, **fields}]}
    of = model(engine=engine)
    try:
        request = engine_request(body, chat_schema.check(body), of, settings(of), "abc")
    except InvalidRequest as error:
        schema.validate_error(error.body())
        return
    read = json.loads(joined(request.body))
    assert read.keys() <= of.fields | {"json_schema"}
    assert None not in read.values()
    assert read["messages"][0].keys() <= {"role", "content", "name"}
    (limit,) = (value for name, value in read.items() if name.startswith("max_"))
    assert 1 <= limit <= of.max_tokens_limit
    assert read.get("n", 1) * limit == request.max_completion
    assert read.get("n", 1) <= 8
    assert read.get("top_logprobs", 0) <= 20
