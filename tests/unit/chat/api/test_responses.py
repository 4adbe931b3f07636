"""A response request as the chat completion that answers it, and what a response repeats of it."""

import json
from collections.abc import Callable
from itertools import groupby
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from functions.chat.api import response_schema, responses
from functions.chat.api.response_schema import LOGPROBS
from functions.chat.api.service import Invocation
from functions.chat.app import create_served_app
from functions.chat.engines.engine import EngineRequest, joined
from functions.chat.errors import InvalidRequest
from functions.chat.streams.response_items import CalledAs
from tests.engines.recordings import request_bodies
from tests.engines.responses import check_response_stream, text_of, validate_response
from tests.unit.chat import chunks
from tests.unit.chat.api.test_response_schema import (
    CALL,
    GOOD,
    IMAGE,
    NOTE,
    OUTPUT,
    SPACE,
    TOOL,
    body,
    chat_of,
    items,
    message,
)
from tests.unit.chat.chunks import dumps
from tests.unit.chat.fakes import USER, FakeEngine, model, settings
from tests.unit.chat.streams.test_properties import MANY, TEXT

pytestmark = pytest.mark.anyio
CLIENTS = request_bodies("responses-requests/clients.json")


def messages_of(*given: Any, **fields: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = chat_of({**items(*given), **fields})["messages"]
    return messages


def said(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text, **members}


def thought(text: str) -> dict[str, Any]:
    part = {"type": "reasoning_text", "text": text}
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [part]}


def called(call_id: str = "c", name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(content: Any, *calls: Any, **members: Any) -> dict[str, Any]:
    if content is not None:
        members["content"] = content
    if calls:
        members["tool_calls"] = list(calls)
    return {"role": "assistant", **members}


def result(call_id: str = "c", content: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def text(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text}


NOTED = {"type": "custom_tool_call", "call_id": "n", "name": "note", "input": 'a "b"'}
OTHER, OTHER_OUTPUT = {**CALL, "call_id": "d"}, {**OUTPUT, "call_id": "d", "output": [text("x"), text("y")]}
SUMMARY = {"type": "reasoning", "content": None, "summary": [{"type": "summary_text", "text": "s"}]}
ENCRYPTED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
LOW = {"type": "image_url", "image_url": {"url": IMAGE["image_url"], "detail": "low"}}
ACTION = {"type": "search", "query": "q", "sources": []}
SEARCHED = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": ACTION}
LISTED = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [{"name": "t"}]}
REFUSED = message({"type": "refusal", "refusal": "no"}, role="assistant")
# Items → the messages that they become.
TRANSLATED: list[tuple[list[Any], list[dict[str, Any]]]] = [
    ([USER], [USER]),
    ([message(text("Hi"))], [USER]),
    ([message(text("a"), text("b", "text"))], [message(text("a", "text"), text("b", "text"))]),
    ([message({**IMAGE, "detail": "low"})], [message(LOW)]),
    (
        [
            {"role": "system", "content": "a"},
            message(text("b"), text("c"), role="developer"),
            USER,
            {"role": "developer", "content": "d"},
        ],
        [{"role": "system", "content": "a\n\nb\n\nc"}, USER, {"role": "system", "content": "d"}],
    ),
    ([USER, said("a"), said("b")], [USER, answer("a"), answer("b")]),
    ([USER, REFUSED], [USER, answer("no")]),
    (
        [USER, said("a"), CALL, OTHER, OUTPUT, OTHER_OUTPUT],
        [USER, answer("a", called(), called("d")), result(), result("d", "x\ny")],
    ),
    (
        [USER, CALL, OUTPUT, OTHER],
        [USER, answer(None, called()), result(), answer(None, called("d"))],
    ),
    ([USER, NOTED], [USER, answer(None, called("n", "note", '{"input":"a \\"b\\""}'))]),
    ([USER, thought("t"), said("a"), CALL], [USER, answer("a", called(), reasoning="t")]),
    ([USER, said("a"), thought("t"), CALL], [USER, answer("a", called(), reasoning="t")]),
    ([USER, thought("t"), CALL], [USER, answer(None, called(), reasoning="t")]),
    ([USER, CALL, said("a"), OUTPUT], [USER, answer("a", called()), result()]),
    (
        [USER, said("a"), CALL, thought("t"), said("b"), OTHER],
        [USER, answer([text("a", "text"), text("b", "text")], called(), called("d"), reasoning="t")],
    ),
    ([USER, CALL, OUTPUT, said("a")], [USER, answer(None, called()), result(), answer("a")]),
    ([USER, thought("t"), USER], [USER, {"role": "assistant", "reasoning": "t"}, USER]),
    ([USER, thought("t")], [USER, {"role": "assistant", "reasoning": "t"}]),
    ([USER, SUMMARY, said("a")], [USER, answer("a", reasoning="s")]),
    ([USER, ENCRYPTED, said("a")], [USER, answer("a")]),
    ([USER, ENCRYPTED, SEARCHED, said("a", phase="final_answer"), LISTED, USER], [USER, answer("a"), USER]),
]


@pytest.mark.parametrize(("given", "expected"), TRANSLATED, ids=range(len(TRANSLATED)))
def test_items_become_messages(given: list[Any], expected: list[dict[str, Any]]) -> None:
    assert messages_of(*given) == expected


def test_instructions_go_before_the_system_messages_at_the_start() -> None:
    got = messages_of({"role": "developer", "content": "b"}, USER, instructions="a")
    assert got == [{"role": "system", "content": "a\n\nb"}, USER]


# Fields of a request → those of its chat completion.
SCHEMA = {"name": "person", "schema": {"type": "object"}, "strict": True}
SAMPLING = {"temperature": 0, "top_p": 0.5}
IGNORED = {
    "store": True,
    "user": "u",
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "prompt_cache_key": "p",
    "truncation": "auto",
    "max_tool_calls": 1,
    "safety_identifier": "s",
    "client_metadata": {},
}
FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"max_output_tokens": 5, **SAMPLING}, {"max_completion_tokens": 5, **SAMPLING}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {"text": {"format": {"type": "json_schema", **SCHEMA}}},
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    ),
    ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    ({"reasoning": {"effort": "none", "summary": "auto"}}, {"reasoning_effort": "none"}),
    ({"include": [LOGPROBS], "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"include": [LOGPROBS]}, {"logprobs": True}),
    ({"include": ["reasoning.encrypted_content"], "top_logprobs": 2}, {}),
    ({"stop": "x", "seed": 1, "top_k": 3}, {"stop": "x", "seed": 1, "top_k": 3}),
    (IGNORED, {}),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS, ids=range(len(FIELDS)))
def test_fields_become_those_of_chat(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert chat_of(body(**fields)) == {"model": "tiny", "messages": [USER], **expected}


LONG = {"type": "function", "name": "n" * 128}
SEARCH = {"type": "web_search", "external_web_access": False}
TOOLS = [TOOL, NOTE, SPACE, SEARCH, {"type": "custom", "name": "f"}, LONG]


def names_of(tools: list[Any]) -> dict[CalledAs, str]:
    return response_schema.check(body(tools=tools)).tools.names


def test_tools_become_functions_with_names_of_their_own() -> None:
    chat = chat_of(body(tools=TOOLS, parallel_tool_calls=False))
    names = [each["function"]["name"] for each in chat["tools"]]
    assert names[:3] == ["f", "note", "files__read"]
    assert names[3].startswith("f_")
    assert names[4].startswith("n" * 55 + "_")
    assert len(set(names)) == 5
    assert max(map(len, names)) == 64
    assert chat["tools"][0]["function"] == {"name": "f", "parameters": {"type": "object"}, "strict": True}
    assert chat["tools"][1]["function"]["parameters"]["required"] == ["input"]
    assert chat["parallel_tool_calls"] is False


def test_two_tools_never_have_the_same_name() -> None:
    same = [SPACE, {"type": "function", "name": "files__read"}, {"type": "custom", "name": "files__read"}]
    assert len(set(names_of([*same, *same]).values())) == 3
    many = [{"type": "function", "name": f"{number:x<128}"} for number in range(1000)]
    assert len(set(names_of(many).values())) == 1000


def test_a_name_depends_on_nothing_but_the_tool_unless_it_is_taken() -> None:
    called_as = CalledAs("function", LONG["name"])
    assert names_of(TOOLS)[called_as] == names_of(TOOLS[::-1])[called_as]


ALL = ["f", "note", "files__read"]
TWO_OF_THEM = [{"type": "custom", "name": "note"}, {"type": "function", "name": "f"}, {"type": "web_search"}]
CHOICES: list[tuple[Any, Any, list[str]]] = [
    ("auto", "auto", ALL),
    ("none", "none", ALL),
    ("required", "required", ALL),
    ({"type": "function", "name": "f"}, "f", ALL),
    ({"type": "custom", "name": "note"}, "note", ALL),
    ({"type": "function", "name": "files__read"}, "files__read", ALL),
    ({"type": "allowed_tools", "mode": "required", "tools": TWO_OF_THEM}, "required", ["f", "note"]),
]


@pytest.mark.parametrize(("choice", "expected", "names"), CHOICES, ids=range(len(CHOICES)))
def test_a_choice_is_made_among_the_functions(choice: Any, expected: str, names: list[str]) -> None:
    chat = chat_of(body(tools=TOOLS[:4], tool_choice=choice))
    got = chat["tool_choice"]
    assert (got if isinstance(got, str) else got["function"]["name"]) == expected
    assert [each["function"]["name"] for each in chat["tools"]] == names


def test_calls_of_earlier_turns_have_the_names_of_their_tools() -> None:
    given = [
        USER,
        {**CALL, "name": "read", "namespace": "files"},
        {**NOTED, "name": "f"},
        {**CALL, "name": "gone", "namespace": "old", "call_id": "e"},
    ]
    calls = messages_of(*given, tools=TOOLS)[-1]["tool_calls"]
    names = [each["function"]["name"] for each in calls]
    assert names == ["files__read", names_of(TOOLS)[CalledAs("custom", "f")], "old__gone"]


async def prepared(fields: dict[str, Any], **of: Any) -> EngineRequest:
    checked = response_schema.check(fields)
    return await responses.prepare(fields, checked, model(max_tokens_limit=2048, **of), settings(), "r")


@pytest.mark.parametrize("engine", ["vllm", "llama.cpp"])
@pytest.mark.parametrize("case", CLIENTS)
async def test_what_clients_send_becomes_a_request_to_the_engine(case: str, engine: str) -> None:
    fields = CLIENTS[case]
    call = await prepared(fields, engine=engine)
    sent = json.loads(joined(call.body))
    assert call.stream == sent.get("stream", False) == fields.get("stream", False)
    assert call.max_completion == fields.get("max_output_tokens", 64)
    assert sent.keys() <= model(engine=engine).kind.fields | {"json_schema"}
    assert [each["role"] for each in sent["messages"] if each["role"] != "system"] == [
        item["role"] for item in fields["input"] if item["role"] != "developer"
    ]


def test_what_codex_sends_becomes_one_system_message_and_its_functions() -> None:
    chat = chat_of(CLIENTS["codex-cli-0.171.0-01"])
    assert [each["role"] for each in chat["messages"]] == ["system", "user", "user"]
    assert chat["messages"][0]["content"].count("\n\n<") == 2
    assert [each["function"]["name"] for each in chat["tools"]] == [
        *("exec_command", "write_stdin", "request_user_input", "view_image"),
        *("multi_agent_v1__close_agent", "multi_agent_v1__resume_agent", "multi_agent_v1__send_input"),
        *("multi_agent_v1__spawn_agent", "multi_agent_v1__wait_agent"),
        *("get_goal", "create_goal", "update_goal"),
    ]
    assert chat.keys() == {"model", "messages", "stream", "tools", "tool_choice", "parallel_tool_calls"}


SYSTEM = {"role": "system", "content": "s"}
REMOTE = message(text("a"), {**IMAGE, "image_url": "http://x/y.png"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (items(SYSTEM, CALL, OTHER, REMOTE), "input[3].content[1].image_url"),
        (body(max_output_tokens=2049), "max_output_tokens"),
        (items(*[CALL] * 2049), "input"),
    ],
    ids=["image", "limit", "items"],
)
async def test_a_fault_of_the_engines_request_has_the_callers_name(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await prepared(fields)
    raised.value.rename(responses.NAMES)
    assert raised.value.param == param
    assert f"'{param}'" in raised.value.message


async def test_what_json_cannot_hold_is_refused_in_tools_too() -> None:
    for value in (float("inf"), "\ud800"):
        with pytest.raises(InvalidRequest, match="The body holds"):
            await prepared(body(tools=[{"type": "web_search", "x": value}]))


@pytest.mark.parametrize(
    ("param", "renamed"),
    [
        ("messages", "input"),
        ("messages[3].content[0]", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("tools[2].function.parameters", "tools"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("reasoning_effort", "reasoning.effort"),
        ("logprobs", "include"),
        ("top_logprobs", "top_logprobs"),
        ("model", "model"),
    ],
)
def test_an_engines_parameter_has_the_callers_name(param: str, renamed: str) -> None:
    error = InvalidRequest(f"Invalid '{param}': no.", param=param)
    error.rename(responses.NAMES)
    assert (error.param, error.message) == (renamed, f"Invalid '{renamed}': no.")


def response_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a response that has said nothing yet: it is one by OpenAI's schema."""
    repeated = responses.echo(response_schema.check(fields), model("actual"))
    base = {"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress"}
    return validate_response({**base, "error": None, "incomplete_details": None, "output": [], **repeated})


ECHOED = [*GOOD, *CLIENTS.values()]


@pytest.mark.parametrize("fields", ECHOED, ids=range(len(ECHOED)))
def test_what_a_response_repeats_is_valid(fields: dict[str, Any]) -> None:
    repeated = response_of(fields)
    assert repeated["model"] == "actual"
    assert repeated["store"] is False
    for name in ("temperature", "max_output_tokens", "instructions", "metadata", "tool_choice", "user"):
        if fields.get(name) is not None:
            assert repeated[name] == fields[name]
    for sent, got in zip(fields.get("tools") or (), repeated["tools"], strict=True):
        assert sent.items() <= {**dict.fromkeys(sent), **got}.items()


@MANY
@given(parts=st.lists(st.sampled_from(ECHOED), min_size=2, max_size=5))
def test_what_is_accepted_by_itself_is_accepted_together(parts: list[dict[str, Any]]) -> None:
    fields: dict[str, Any] = {}
    for part in parts:
        for name, other in (("tools", "tool_choice"), ("stream", "stream_options")):
            if name in part:
                fields.pop(other, None)
        fields |= part
    chat = chat_of(fields)
    assert chat.get("tools") or chat.get("tool_choice") in (None, "auto", "none")
    assert response_of(fields)["store"] is False


# Each turn: what the user says; or the model's reasoning, its text and the arguments of its calls.
TURNS = st.lists(TEXT | st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=2)), min_size=1, max_size=5)


@MANY
@given(turns=TURNS)
def test_turns_say_the_same_as_items_and_as_messages(turns: list[Any]) -> None:
    sent: list[Any] = [USER]
    expected: list[Any] = [USER]
    for number, turn in enumerate(turns):
        if isinstance(turn, str):
            sent.append({"role": "user", "content": turn})
            expected.append({"role": "user", "content": turn})
            continue
        reasoning, words, arguments = turn
        calls = {f"{number}.{place}": each for place, each in enumerate(arguments)}
        sent += [thought(reasoning), said(words, id="msg_1")]
        sent += [{**CALL, "call_id": each, "arguments": calls[each]} for each in calls]
        sent += [{**OUTPUT, "call_id": each} for each in calls]
        thoughts = {"reasoning": reasoning} if reasoning else {}
        expected.append(answer(words, *(called(each, "f", calls[each]) for each in calls), **thoughts))
        expected += [result(each) for each in calls]
        sent.append(USER)
        expected.append(USER)
    assert messages_of(*sent) == expected


WORDS = TEXT.filter(bool)
PARTS = st.lists(WORDS.map(text) | st.just(IMAGE), min_size=1, max_size=3)
CALL_IDS = frozenset({"call_a", "call_b", "call_c"})
IDS = st.sampled_from(sorted(CALL_IDS))
ITEMS = st.one_of(
    st.builds(said, WORDS),
    st.builds(thought, TEXT),
    st.builds(
        lambda role, words: {"role": role, "content": words}, st.sampled_from(["user", "developer"]), WORDS
    ),
    PARTS.map(lambda parts: message(*parts)),
    *(st.builds(lambda call, of=of: {**of, "call_id": call}, IDS) for of in (CALL, NOTED, OUTPUT)),
)


@MANY
@given(sent=st.lists(ITEMS, min_size=1, max_size=8), tools=st.lists(st.sampled_from(TOOLS), max_size=3))
def test_any_items_keep_their_order_and_lose_nothing(sent: list[Any], tools: list[Any]) -> None:
    known: set[str] = set()
    given_items: list[Any] = [USER]
    for item in sent:
        if item.get("type") != "function_call_output" or item["call_id"] in known:
            known |= {item.get("call_id", "")}
            given_items.append(item)
    messages = messages_of(*given_items, tools=tools)
    assert in_turns(messages, said_by) == in_turns(given_items, said_in)
    reasoning = [item["content"][0]["text"] for item in sent if item.get("type") == "reasoning"]
    assert "".join(message.get("reasoning", "") for message in messages) == "".join(reasoning)


def in_turns(given: list[Any], said: Callable[[Any], list[Any]]) -> list[Any]:
    """Return what is said, in order; of each turn of the model's, its calls come last."""
    found = []
    for is_model, turn in groupby(given, key=is_of_the_model):
        words = [each for one in turn for each in said(one)]
        found += sorted(words, key=CALL_IDS.__contains__) if is_model else words
    return found


def is_of_the_model(given: dict[str, str]) -> bool:
    return given.get("role") == "assistant" or given.get("type", "").endswith(("_call", "reasoning"))


def said_in(item: dict[str, Any]) -> list[Any]:
    """Return what an item says, its reasoning aside."""
    if item.get("type") == "reasoning":
        return []
    return [item["call_id"]] if "call_id" in item else words_of(item["content"])


def said_by(message: dict[str, Any]) -> list[Any]:
    """Return what a message says, in the order in which its items came."""
    if message["role"] == "tool":
        return [message["tool_call_id"]]
    words = words_of(message["content"]) if "content" in message else []
    return words + [call["id"] for call in message.get("tool_calls", ())]


def words_of(content: Any) -> list[str]:
    parts = [text(content)] if isinstance(content, str) else content
    return [part.get("text", "an image") for part in parts]


# what a response says, sent again

NAMED = [("f", None), ("files__read", None), ("note", '{"input":"a"}')]
CALLED = st.tuples(st.sampled_from(NAMED), st.sampled_from(['{"a":1}', "{}", '{"a'])).map(
    lambda each: (each[0][0], each[0][1] or each[1])
)


@MANY
@given(reasoning=TEXT, words=TEXT, calls=st.lists(CALLED, max_size=3))
def test_the_output_of_a_response_is_the_same_turn_again(
    reasoning: str, words: str, calls: list[tuple[str, str]]
) -> None:
    checked = response_schema.check(body(tools=TOOLS))
    turn: dict[str, Any] = {
        "role": "assistant",
        "content": words or None,
        **({"reasoning_content": reasoning} if reasoning else {}),
        "tool_calls": [called(str(place), *each) for place, each in enumerate(calls)],
    }
    choice = {
        "index": 0,
        "message": turn,
        "finish_reason": "tool_calls" if calls else "stop",
        "logprobs": None,
    }
    writer = responses.writer(checked, model(), Invocation.begin({"type": "http", "headers": []}))
    response = writer.whole({"model": "tiny", "choices": [choice]})
    again = messages_of(USER, *response["output"], tools=TOOLS)[1:]
    thoughts = {"reasoning": reasoning} if reasoning else {}
    has_text = words or not (calls or reasoning)
    assert again == [answer(words if has_text else None, *turn["tool_calls"], **thoughts)]


async def sent_to(app: ASGIApp, fields: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat") as client:
        return await client.post("/v1/responses", json=fields)


async def test_a_stream_is_that_of_a_response() -> None:
    words = [chunks.word(f" {number}") for number in range(9)]  # more than are read before they pass unread
    app = create_served_app(settings(), FakeEngine(chunks.role(), *words, chunks.finish(), chunks.DONE))
    answered = await sent_to(app, body(stream=True, instructions="Be brief."))
    response = check_response_stream(answered.content)
    assert (text_of(response), response["instructions"]) == (" 0 1 2 3 4 5 6 7 8", "Be brief.")


async def test_a_call_comes_back_under_the_name_of_its_tool() -> None:
    names = [
        names_of(TOOLS)[each] for each in (CalledAs("function", "read", "files"), CalledAs("custom", "f"))
    ]
    calls = [called("a", names[0]), called("b", names[1], '{"input": "x"}')]
    reply = {"choices": [{"message": answer(None, *calls), "finish_reason": "tool_calls"}]}
    app = create_served_app(settings(), FakeEngine(dumps({"id": "chatcmpl-1", "created": 1, **reply})))
    answered = await sent_to(app, body(tools=TOOLS))
    response = validate_response(answered.json())
    first, second = response["output"]
    assert (first["type"], first["name"], first["namespace"]) == ("function_call", "read", "files")
    assert (second["type"], second["name"], second["input"]) == ("custom_tool_call", "f", "x")
    assert response["id"].removeprefix("resp_") == answered.headers["x-request-id"].removeprefix("req_")
