"""What a chat completion request may hold: every field of OpenAI's.

Source: openai/openai-openapi 2.3.0, `CreateChatCompletionRequest`, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from functions.chat.api import faults
from functions.chat.api.body import shown
from functions.chat.api.checks import (
    Array,
    Boolean,
    Enum,
    Integer,
    Map,
    Number,
    Object,
    String,
    StringOr,
    TaggedUnion,
    optional,
    required,
)
from functions.chat.api.message_schema import MESSAGE, TEXT, TEXT_PART
from functions.chat.api.schema_limits import JsonSchema
from functions.chat.errors import InvalidRequest
from functions.shared.frozen import Frozen

ANY_OBJECT = Map()
JSON_SCHEMA_OBJECT = JsonSchema()
# An engine goes through all of them at every token: of the tools, where one must be called.
MAX_BIASES, MAX_TOOLS = 1024, 1000
NAME = String(pattern="^[a-zA-Z0-9_-]{1,64}$")

FUNCTION = Object(
    "Function",
    {
        "name": required(NAME),
        "description": optional(TEXT, "What it does and when to call it."),
        "parameters": optional(JSON_SCHEMA_OBJECT, "A JSON Schema."),
        "strict": optional(Boolean()),
    },
)
FUNCTION_TOOL = Object("FunctionTool", {"type": required(Enum("function")), "function": required(FUNCTION)})
GRAMMAR = Object("CustomGrammar", {"definition": required(TEXT), "syntax": required(Enum("lark", "regex"))})
CUSTOM = Object(
    "Custom",
    {
        "name": required(TEXT),
        "description": optional(TEXT),
        "format": optional(
            Object("CustomFormat", {"type": required(Enum("text", "grammar")), "grammar": optional(GRAMMAR)})
        ),
    },
)
CUSTOM_TOOL = Object("CustomTool", {"type": required(Enum("custom")), "custom": required(CUSTOM)})
TOOL = TaggedUnion("type", {"function": FUNCTION_TOOL, "custom": CUSTOM_TOOL})
NAMED = Object("NamedTool", {"name": required(TEXT)})
FUNCTION_CHOICE = Object("FunctionChoice", {"type": required(Enum("function")), "function": required(NAMED)})
CUSTOM_CHOICE = Object("CustomChoice", {"type": required(Enum("custom")), "custom": optional(NAMED)})
ALLOWED_TOOLS = Object(
    "AllowedTools",
    {"mode": optional(Enum("auto", "required")), "tools": optional(Array(ANY_OBJECT))},
)
ALLOWED_CHOICE = Object(
    "AllowedToolsChoice", {"type": required(Enum("allowed_tools")), "allowed_tools": optional(ALLOWED_TOOLS)}
)
TOOL_CHOICE = StringOr(
    TaggedUnion(
        "type",
        {"function": FUNCTION_CHOICE, "allowed_tools": ALLOWED_CHOICE, "custom": CUSTOM_CHOICE},
    ),
    string=Enum("none", "auto", "required"),
)

TEXT_FORMAT = Object("TextFormat", {"type": required(Enum("text"))})
JSON_OBJECT_FORMAT = Object(
    "JsonObjectFormat",
    {
        "type": required(Enum("json_object")),
        "schema": optional(JSON_SCHEMA_OBJECT, "The same as `json_schema`, as some engines spell it."),
    },
)
JSON_SCHEMA = Object(
    "JsonSchema",
    {
        "name": required(NAME),
        "schema": optional(JSON_SCHEMA_OBJECT),
        "description": optional(TEXT),
        "strict": optional(Boolean()),
    },
)
JSON_SCHEMA_FORMAT = Object(
    "JsonSchemaFormat", {"type": required(Enum("json_schema")), "json_schema": required(JSON_SCHEMA)}
)
RESPONSE_FORMAT = TaggedUnion(
    "type", {"text": TEXT_FORMAT, "json_object": JSON_OBJECT_FORMAT, "json_schema": JSON_SCHEMA_FORMAT}
)
STREAM_OPTIONS = Object(
    "StreamOptions",
    {
        "include_usage": optional(Boolean(), "Adds a last chunk with the engine's count of tokens."),
        "include_obfuscation": optional(Boolean()),
        "continuous_usage_stats": optional(
            Boolean(), "With `include_usage`: adds the count so far to each chunk, where the engine can."
        ),
    },
)
AUDIO = Object(
    "AudioOutput",
    {
        "voice": required(StringOr(Object("CustomVoice", {"id": required(TEXT)}))),
        "format": required(Enum("wav", "aac", "mp3", "flac", "opus", "pcm16")),
    },
)
PREDICTION = Object(
    "Prediction",
    {"type": required(Enum("content")), "content": required(StringOr(Array(TEXT_PART)))},
)
PLACE = Object("Place", {name: optional(TEXT) for name in ("country", "region", "city", "timezone")})
LOCATION = Object("UserLocation", {"type": required(Enum("approximate")), "approximate": required(PLACE)})
WEB_SEARCH = Object(
    "WebSearch",
    {
        "user_location": optional(LOCATION),
        "search_context_size": optional(Enum("low", "medium", "high")),
    },
)
MODERATED = Object("Moderated", {"mode": required(Enum("score", "block"))})
MODERATION = Object(
    "Moderation",
    {
        "model": required(TEXT),
        "policy": optional(
            Object("ModerationPolicy", {"input": optional(MODERATED), "output": optional(MODERATED)})
        ),
    },
)
CACHE_OPTIONS = Object("PromptCacheOptions", {"mode": optional(TEXT), "ttl": optional(TEXT)})

CHAT_COMPLETION_REQUEST = Object(
    "ChatCompletionRequest",
    {
        "model": required(String(not_empty=True), "A listed model's id, or `default`."),
        "messages": required(Array(MESSAGE), "The conversation so far."),
        "max_tokens": optional(
            Integer(minimum=0), "The most tokens to generate. 0 or absent: the model's default."
        ),
        "max_completion_tokens": optional(Integer(minimum=1), "The same, and it wins where both are given."),
        "temperature": optional(Number(minimum=0, maximum=2), "Higher is more random.", default=0.7),
        "top_p": optional(
            Number(minimum=0, maximum=1), "Sample from the likeliest tokens of this share.", default=1
        ),
        "n": optional(Integer(minimum=1, maximum=128), "How many choices to generate.", default=1),
        "stream": optional(
            Boolean(), "Whether to send the reply token by token, as server-sent events.", default=False
        ),
        "stream_options": optional(STREAM_OPTIONS, "Only with `stream: true`."),
        "stop": optional(
            StringOr(Array(TEXT, max_length=4)),
            "Stop before this text, or before any of up to 4.",
            may_be_empty=True,
        ),
        "presence_penalty": optional(
            Number(minimum=-2, maximum=2), "Above 0: against tokens that are already in the text."
        ),
        "frequency_penalty": optional(
            Number(minimum=-2, maximum=2), "Above 0: against tokens, the more often they are in the text."
        ),
        "logprobs": optional(Boolean(), "Whether to return the log probability of each token."),
        "top_logprobs": optional(
            Integer(minimum=0, maximum=20),
            "How many of the likeliest tokens to return at each position. Only with `logprobs: true`.",
        ),
        "logit_bias": optional(
            Map(Integer(minimum=-100, maximum=100), max_length=MAX_BIASES),
            "A bias for each token id.",
            may_be_empty=True,
        ),
        "seed": optional(
            Integer(minimum=-(2**63), maximum=2**63 - 1), "The same seed gives the same reply, where it can."
        ),
        "response_format": optional(RESPONSE_FORMAT, "Text, any JSON object, or JSON that follows a schema."),
        "tools": optional(
            Array(TOOL, max_length=MAX_TOOLS), "The tools that the model may call.", may_be_empty=True
        ),
        "tool_choice": optional(
            TOOL_CHOICE,
            "Whether the model may or must call a tool, or which one it must. Only with `tools`.",
        ),
        "parallel_tool_calls": optional(Boolean(), "Whether the model may call several tools at once."),
        "reasoning_effort": optional(
            Enum("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            "How long the model thinks before it answers.",
        ),
        "verbosity": optional(Enum("low", "medium", "high"), "How long the reply is."),
        "user": optional(TEXT, "Who the request is for."),
        "safety_identifier": optional(String(max_length=64), "The same, as a hash."),
        "metadata": optional(
            Map(String(max_length=512), keys=String(max_length=64), max_length=16),
            "At most 16 texts by name.",
            may_be_empty=True,
        ),
        "store": optional(Boolean(), "This API itself stores nothing."),
        "service_tier": optional(Enum("auto", "default", "flex", "scale", "priority", "fast")),
        "prompt_cache_key": optional(TEXT),
        "prompt_cache_options": optional(CACHE_OPTIONS),
        "prompt_cache_retention": optional(TEXT),
        "modalities": optional(Array(Enum("text", "audio")), may_be_empty=True),
        "audio": optional(AUDIO),
        "prediction": optional(PREDICTION),
        "web_search_options": optional(WEB_SEARCH),
        "moderation": optional(MODERATION),
        "functions": optional(Array(FUNCTION, max_length=128), "Deprecated: `tools`.", may_be_empty=True),
        "function_call": optional(StringOr(NAMED, string=Enum("none", "auto")), "Deprecated: `tool_choice`."),
    },
    "The body of `POST /v1/chat/completions`. A field is sent on if the model's engine reads it. Unknown "
    "members of messages, parts and tools are left out.",
)
# An assistant's message has one of these.
_ANSWERS = frozenset(
    {"content", "tool_calls", "function_call", "refusal", "audio", "reasoning", "reasoning_content"}
)


class StreamOptions(Frozen, kw_only=True):
    """What a stream adds to the reply."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class ChatCompletionRequest(Frozen, kw_only=True):
    """What the gateway itself reads of a checked request.

    Shape:  `fields` is all that may be sent on: known members that are not null. `messages` are those in it.
            `needs_call`: the reply must be a tool call.
    """

    fields: dict[str, Any]
    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None
    max_completion_tokens: int | None
    n: int
    stream: bool
    stream_options: StreamOptions
    needs_call: bool


def check(body: dict[str, Any]) -> ChatCompletionRequest:
    """Check a body against the schema, then what its members must be together.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    fields = CHAT_COMPLETION_REQUEST.check(body, None)
    get = fields.get
    leave_out_empty(fields)
    for index, message in enumerate(fields["messages"]):
        is_turn = message["role"] != "assistant" or "content" in body["messages"][index]
        if not is_turn and _ANSWERS.isdisjoint(message):
            raise InvalidRequest(
                f"Missing required parameter: 'messages[{index}].content'. "
                "An assistant message needs 'content' or 'tool_calls'.",
                param=f"messages[{index}].content",
                code="missing_required_parameter",
            )
    if schema := get("response_format", {}).pop("schema", None):
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": schema},
        }
    options = get("stream_options", {})
    needs_call = _check_tool_choice(fields)
    return ChatCompletionRequest(
        fields=fields,
        model=fields["model"],
        messages=fields["messages"],
        max_tokens=get("max_tokens"),
        max_completion_tokens=get("max_completion_tokens"),
        n=get("n", 1),
        stream=get("stream", False),
        stream_options=StreamOptions(
            include_usage=options.get("include_usage", False),
            continuous_usage_stats=options.get("continuous_usage_stats", False),
        ),
        needs_call=needs_call,
    )


def check_no_other(body: dict[str, Any], known: Collection[str]) -> None:
    """Check that a body for another endpoint has none of the fields that only a chat completion has.

    Raises: InvalidRequest.
    """
    for name, value in body.items():
        if name in CHAT_COMPLETION_REQUEST.members and name not in known and value is not None:
            raise faults.unknown(
                None, name, "It is a parameter of `/v1/chat/completions`, not of this endpoint. Leave it out."
            )


def leave_out_empty(fields: dict[str, Any]) -> None:
    """Leave out what clients send although it requests nothing: `stop: ""`, `stream_options: {}`.

    Raises: InvalidRequest, where something is requested that another field does not allow.
    """
    stop = fields.pop("stop", None)
    if texts := [text for text in ([stop] if isinstance(stop, str) else stop or ()) if text]:
        fields["stop"] = stop if isinstance(stop, str) else texts
    for name, other in (("stream_options", "stream"), ("top_logprobs", "logprobs")):
        if name in fields and not fields.get(other):
            requested = fields.pop(name)
            if any(requested.values()) if isinstance(requested, dict) else requested:
                raise InvalidRequest(
                    f"The '{name}' parameter is only allowed when '{other}' is true.", param=name
                )


def _check_tool_choice(fields: dict[str, Any]) -> bool:
    """Check that a tool choice chooses among the tools; return whether it makes the model call one."""
    tools, choice = fields.get("tools"), fields.get("tool_choice")
    if not tools:
        fields.pop("parallel_tool_calls", None)
        if choice in (None, "none", "auto"):  # as agents without tools send it
            fields.pop("tool_choice", None)
            return False
        raise InvalidRequest(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            param="tool_choice",
        )
    if not isinstance(choice, dict):
        return choice == "required"
    if choice["type"] == "allowed_tools":
        return bool(choice.get("allowed_tools", {}).get("mode") == "required")
    kind = choice["type"]
    name = choice.get(kind, {}).get("name")
    if name is not None and not any(name == tool.get(kind, {}).get("name") for tool in tools):
        raise InvalidRequest(
            f"Invalid value for 'tool_choice': {shown(name)} is not among 'tools'. Name one of them.",
            param="tool_choice",
            code="invalid_value",
        )
    return True
