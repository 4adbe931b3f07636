"""Messages as each kind of engine reads them."""

import json
from typing import Any

import pytest

from functions.chat.api import chat_schema
from functions.chat.api.messages import fit
from functions.chat.engines.kinds import ENGINES
from tests.unit.chat.fakes import USER, model

OTHERS = [name for name, kind in ENGINES.items() if not kind.takes_all]


def fitted(message: dict[str, Any], engine: str = "vllm", **changes: Any) -> dict[str, Any]:
    checked = chat_schema.check({"model": "tiny", "messages": [USER, message]})
    fit(checked.messages, model(engine=engine, **changes))
    assert checked.messages[0] == USER
    return checked.messages[1]


def call(arguments: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("spelled", ["reasoning", "reasoning_content"])
def test_thoughts_go_where_the_engine_reads_them(engine: str, spelled: str) -> None:
    message = fitted({"role": "assistant", "content": "Hi", spelled: "Hm"}, engine)
    where = ENGINES[engine].reasoning
    assert message == {"role": "assistant", "content": "Hi", **({where: "Hm"} if where else {})}


def test_thoughts_that_come_twice_are_sent_once() -> None:
    both = {"role": "assistant", "content": "Hi", "reasoning": "Hm", "reasoning_content": "Hm"}
    assert fitted(both) == {"role": "assistant", "content": "Hi", "reasoning": "Hm"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "said", [{"reasoning_content": "Let me think"}, {"content": None, "reasoning": ""}], ids=str
)
def test_a_turn_of_thoughts_alone_has_empty_content(engine: str, said: dict[str, Any]) -> None:
    assert fitted({"role": "assistant", **said}, engine)["content"] == ""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_says_nothing_is_sent_as_empty(engine: str) -> None:
    assert fitted({"role": "assistant", "content": None}, engine)["content"] == ""
    assert fitted({"role": "tool", "tool_call_id": "c", "content": None}, engine)["content"] == ""
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": None}}
    assert fitted({"role": "assistant", "tool_calls": [called]}, engine)["tool_calls"] == [call("{}")]
    old = fitted({"role": "assistant", "function_call": {"name": "f", "arguments": None}}, "openai")
    assert old["function_call"] == {"name": "f", "arguments": ""}


@pytest.mark.parametrize("engine", OTHERS)
def test_what_only_openai_reads_is_translated(engine: str) -> None:
    def content_of(**said: Any) -> Any:
        return fitted({"role": "assistant", **said}, engine)["content"]

    assert content_of(refusal="I cannot.") == "I cannot."
    assert content_of(content="", refusal="I cannot.") == "I cannot."
    assert content_of(content="Hi", refusal="I cannot.") == "Hi"
    assert content_of(audio={"id": "a"}) == ""
    parts = [{"type": "text", "text": "Hi"}, {"type": "refusal", "refusal": "No"}]
    assert content_of(content=parts) == [{"type": "text", "text": "Hi"}, {"type": "text", "text": "No"}]


def test_half_a_pair_of_surrogates_is_a_question_mark_in_parts_as_well() -> None:
    parts = [{"type": "text", "text": "a\ud83d"}, {"type": "refusal", "refusal": "b\ud83d"}]
    content = fitted({"role": "assistant", "content": parts})["content"]
    assert [part["text"] for part in content] == ["a?", "b?"]


@pytest.mark.parametrize("engine", OTHERS)
def test_a_function_call_of_the_old_kind_and_its_result_belong_together(engine: str) -> None:
    called = fitted({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, engine)
    answered = fitted({"role": "function", "name": "f", "content": None}, engine)
    (made,) = called["tool_calls"]
    assert made["function"] == {"name": "f", "arguments": "{}"}
    name = {"name": "f"} if ENGINES[engine].names_tools else {}
    assert answered == {"role": "tool", **name, "tool_call_id": made["id"], "content": ""}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "refusal": "I cannot."},
        {"role": "assistant", "audio": {"id": "a"}},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
    ],
    ids=str,
)
def test_openai_gets_them_as_they_are(message: dict[str, Any]) -> None:
    assert fitted(message, "openai").items() >= message.items()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("{}", "{}"),
        ('{"a": null}', '{"a": null}'),
        (' {"a":1} ', ' {"a":1} '),
        ("", "{}"),
        ("  \n", "{}"),
        ('{"city": "Par', '{"unparsed":"{\\"city\\": \\"Par"}'),
        ('"Paris"', '{"unparsed":"\\"Paris\\""}'),
        ("[1]", '{"unparsed":"[1]"}'),
        ("null", '{"unparsed":"null"}'),
        ('{"a": NaN}', '{"unparsed":"{\\"a\\": NaN}"}'),
        ("[" * 100_000, None),
    ],
    ids=lambda text: str(text)[:20],
)
def test_engines_can_parse_the_arguments_of_a_call(arguments: str, expected: str | None) -> None:
    message = fitted({"role": "assistant", "content": None, "tool_calls": [call(arguments)]})
    assert "content" not in message
    (function,) = [each["function"] for each in message["tool_calls"]]
    assert isinstance(json.loads(function["arguments"]), dict)
    assert expected is None or function["arguments"] == expected


@pytest.mark.parametrize(("as_system", "role"), [(True, "system"), (False, "developer")])
def test_developer_becomes_system_where_the_model_needs_it(as_system: bool, role: str) -> None:
    assert fitted({"role": "developer", "content": "d"}, developer_as_system=as_system)["role"] == role
