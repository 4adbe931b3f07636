"""The most tokens that a prompt can have: no template and no tokenizer make more of it.

The worst tokenizer makes a token of each byte, after it has normalised the text. What a template adds in
white space and markup is a token each.
"""

import asyncio
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from functions.chat.api import (
    body,
    chat_schema,
    completion_schema,
    completions,
    embedding_schema,
    embeddings,
    response_schema,
    responses,
)
from functions.chat.api.chat_completions import engine_request
from functions.chat.engines.engine import EngineRequest, joined
from functions.chat.engines.kinds import ENGINES
from functions.chat.errors import InvalidRequest
from tests.unit.chat.fakes import USER, model, settings

LARGE = settings(model(max_tokens_limit=4096))
# In the place of a special token.
MARK = "\x00"
# What Qwen3's template says of tools.
QWEN_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call>:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


def worst(text: str) -> int:
    """Return the tokens of the tokenizer that makes most of a text."""
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFKC"))]
    return max(len(form.encode("utf-8", "replace")) for form in forms)


def spaced(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def indented(value: Any) -> str:
    """Return JSON as Llama's template has it; a run of white space is a token."""
    return re.sub(r"\n *", "\n", json.dumps(value, ensure_ascii=False, indent=4))


def escaped(value: Any) -> str:
    """Return JSON as TGI's and Ollama's templates have it: it may stand in HTML."""
    return re.sub(r"[<>&']", "\\\\u0000", json.dumps(value, ensure_ascii=False))


def texts_of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        yield part.get("text", part.get("refusal", "")) + "\n"


def rendered(sent: dict[str, Any], write: Callable[[Any], str]) -> str:
    """Return the text of a conversation as templates write it."""
    lines = []
    if tools := sent.get("tools") or sent.get("functions"):
        defaults = {"description": None, "parameters": None}
        full = [
            {**tool, "function": {**defaults, **tool["function"]}} if "function" in tool else tool
            for tool in tools
        ]
        lines += [QWEN_TOOLS, *(MARK + write(tool) + "\n" for tool in full)]
    for message in sent["messages"]:
        lines.append(f"{MARK}{message['role']}\n{message.get('name', '')}")
        lines += [MARK + message.get(name, "") + MARK for name in ("reasoning", "reasoning_content")]
        lines += texts_of(message.get("content"))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            try:
                arguments = json.loads(function["arguments"])
            except ValueError:
                arguments = function["arguments"]
            lines.append(f"{MARK}{write({'name': function['name'], 'arguments': arguments})}{MARK}")
        lines.append(f"{message.get('tool_call_id', '')}{MARK}\n")
    lines.append(f"{MARK}assistant\n<think>\n\n</think>\n\n")
    return "".join(lines)


def prepared(sent: dict[str, Any], kind: str = "vllm", **changes: Any) -> EngineRequest:
    """Return the request to the engine, from the body as SDKs write it: with escapes."""
    parsed = body.parse_json(json.dumps(sent).encode())
    of = model(engine=kind, max_tokens_limit=4096, **changes)
    return engine_request(parsed, chat_schema.check(parsed), of, LARGE, "abc")


def check(request: EngineRequest) -> None:
    sent = json.loads(joined(request.body))
    for write in (spaced, indented, escaped):
        needed = worst(rendered(sent, write))
        assert needed <= request.prompt_tokens_most, f"{needed} tokens of {sent}"
    assert request.prompt_tokens <= request.prompt_tokens_most


# What is longer in one form than in another: escapes, digits, ligatures, what NFC takes apart.
ODD = st.sampled_from(
    ["\ufdfa", "\U0001d160", "\u0344", "\u0958", "½", "é", "\u0323", "7", "🙂", "字", "'", "\x1b"]
)
text = st.text(st.characters(codec="utf-8") | ODD, min_size=1, max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**9) | text,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(text, children, max_size=3),
    max_leaves=12,
)
names = st.from_regex("[a-z]{1,8}", fullmatch=True)
functions = st.fixed_dictionaries(
    {"name": names},
    optional={
        "description": text,
        "parameters": st.fixed_dictionaries({"type": st.just("object"), "x": values}),
    },
)
calls = st.fixed_dictionaries(
    {
        "id": names,
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {
                "name": names,
                "arguments": st.builds(json.dumps, st.dictionaries(text, values, max_size=3)) | text,
            }
        ),
    }
)
parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": text}), min_size=1, max_size=3)
conversations = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user"]), "content": text | parts}, optional={"name": text}
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": text},
        optional={"reasoning": text, "tool_calls": st.lists(calls, min_size=1, max_size=3)},
    )
    | st.fixed_dictionaries({"role": st.just("tool"), "content": text, "tool_call_id": names}),
    min_size=1,
    max_size=5,
)


@settings_of(deadline=None)
@given(
    conversations,
    st.lists(st.fixed_dictionaries({"type": st.just("function"), "function": functions}), max_size=3),
    st.sampled_from([kind for kind, each in ENGINES.items() if not each.takes_all]),
)
def test_no_conversation_has_more(messages: Any, tools: Any, kind: str) -> None:
    check(prepared({"model": "tiny", "messages": messages, "tools": tools}, kind))


@pytest.mark.parametrize(
    "text",
    [
        "7" * 4000,
        "🙂" * 1000,
        "字" * 1000,
        "\ufdfa" * 1000,
        "\U0001d160" * 1000,
        "é\u0323" * 1000,
        "\n" * 1000,
    ],
    ids=["digits", "emoji", "CJK", "NFKC", "NFC", "kept apart", "escapes"],
)
def test_no_text_has_more(text: str) -> None:
    check(prepared({"model": "tiny", "messages": [{"role": "user", "content": text}]}))
    tool = {"type": "function", "function": {"name": "f", "description": text}}
    check(prepared({"model": "tiny", "messages": [USER], "tools": [tool]}))


def test_the_wide_and_the_flat_schema_have_no_more() -> None:
    flat = {"type": "object", "enum": [1] * 900, "x": [[[[[]]]]] * 100, "y": "<>&'" * 100}
    tool = {"type": "function", "function": {"name": "f", "parameters": flat}}
    check(prepared({"model": "tiny", "messages": [USER], "tools": [tool] * 8}))


@settings_of(deadline=None)
@given(st.lists(text, min_size=1, max_size=5))
def test_no_texts_to_complete_or_to_embed_have_more(texts: list[str]) -> None:
    of = model()
    for schema, endpoint, name, added in (
        (completion_schema, completions, "prompt", 2),  # its begin, and a space before it
        (embedding_schema, embeddings, "input", 3),  # its begin and its end as well
    ):
        parsed = body.parse_json(json.dumps({"model": "tiny", name: texts}).encode())
        checked = schema.check(parsed)
        request = asyncio.run(endpoint.prepare(parsed, checked, of, LARGE, "abc"))
        assert sum(worst(each) + added for each in texts) <= request.prompt_tokens_most
        assert request.prompt_tokens <= request.prompt_tokens_most


@settings_of(deadline=None)
@given(text, st.lists(text, min_size=1, max_size=4), st.lists(functions, max_size=3))
def test_no_response_has_more(instructions: str, texts: list[str], tools: list[dict[str, Any]]) -> None:
    sent = {
        "model": "tiny",
        "instructions": instructions,
        "input": [
            *({"role": "user", "content": [{"type": "input_text", "text": each}]} for each in texts),
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"x": texts})},
            {"type": "function_call_output", "call_id": "c", "output": texts[0]},
        ],
        "tools": [{"type": "function", **each} for each in tools],
    }
    parsed = body.parse_json(json.dumps(sent).encode())
    try:
        checked = response_schema.check(parsed)
    except InvalidRequest:  # two tools of one name
        return
    check(asyncio.run(responses.prepare(parsed, checked, model(), LARGE, "abc")))


# media


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 150_000}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "A" * 150_000, "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:text/plain;base64," + "A" * 150_000}}
TEXT_PART = {"type": "text", "text": "Hi"}


@pytest.mark.parametrize(("part", "size"), [(IMAGE, 0), (AUDIO, 0), (FILE, 150_023)], ids=str)
def test_a_medium_has_as_much_as_its_model_says_and_a_file_its_bytes_too(part: Any, size: int) -> None:
    plain = prepared({"model": "tiny", "messages": [{"role": "user", "content": [TEXT_PART]}]})
    for most in (16_384, 700):
        sent = {"model": "tiny", "messages": [{"role": "user", "content": [part, TEXT_PART, part]}]}
        request = prepared(sent, media_tokens=most)
        about = 2 * min(1000, most)
        assert 0 <= request.prompt_tokens - plain.prompt_tokens - about < 50
        assert 0 <= request.prompt_tokens_most - plain.prompt_tokens_most - 2 * (most + size) < 200


def test_an_image_that_a_text_links_to_is_one() -> None:
    linked = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "![](https://example.com/a.png)" * 2}],
    }
    more = prepared(linked, "tgi").prompt_tokens_most - prepared(linked).prompt_tokens_most
    assert more == 2 * 16_384


def test_what_a_template_adds_is_the_model_s() -> None:
    sent = {"model": "tiny", "messages": [USER]}
    more = prepared(sent, template_tokens=1500).prompt_tokens_most - prepared(sent).prompt_tokens_most
    assert more == 1500 - 512


def test_a_text_like_an_image_is_a_text() -> None:
    image = "data:image/png;base64," + "A" * 1000
    parts = [{"type": "text", "text": image[:-1] + "\ufdfa" * 100}, {"type": "text", "text": image}]
    part = {"type": "image_url", "image_url": {"url": image}}
    sent = [
        {"model": "tiny", "messages": [{"role": "user", "content": each}]} for each in (parts, [*parts, part])
    ]
    without, request = map(prepared, sent)
    assert 0 <= request.prompt_tokens_most - without.prompt_tokens_most - 16_384 < 100
    assert without.prompt_tokens_most > 2000 + 3300


def test_many_media_are_found_in_one_pass() -> None:
    many = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}] * 20_000
    request = prepared({"model": "tiny", "messages": [{"role": "user", "content": many}]}, media_tokens=1)
    assert request.prompt_tokens > 20_000


# about


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("word " * 800, 1000),
        ("7" * 1000, 1000),
        ("字" * 1000, 1000),
        ("🙂" * 1000, 1334),
        ("é" * 300, 200),
    ],
    ids=["English", "digits", "CJK", "emoji", "accents"],
)
def test_what_is_charged_without_a_count_is_not_far_below(text: str, about: int) -> None:
    request = prepared({"model": "tiny", "messages": [{"role": "user", "content": text}]})
    assert 0 <= request.prompt_tokens - about < 50


@pytest.mark.parametrize(("prompt", "tokens"), [([1] * 400, 400), ([[1] * 400, [2] * 300], 700)])
def test_ids_of_tokens_are_as_many(prompt: Any, tokens: int) -> None:
    sent = {"model": "tiny", "prompt": prompt}
    request = asyncio.run(completions.prepare(sent, completion_schema.check(sent), model(), LARGE, "abc"))
    assert request.prompt_tokens == tokens
    assert tokens < request.prompt_tokens_most < tokens + 10
