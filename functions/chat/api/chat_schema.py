"""What a chat completion request may hold.

Only what the gateway reads or promises to check has a rule; every other member passes to the engine as it
came.

Source: openai/openai-openapi 2.3.0, `CreateChatCompletionRequest`, read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from functions.chat.api.checks import (
    Array,
    Boolean,
    Enum,
    Integer,
    Map,
    Number,
    Object,
    Rule,
    String,
    StringOr,
    TaggedUnion,
    optional,
    required,
)
from functions.chat.errors import InvalidRequest

TEXT, ANY_OBJECT = String(), Map()
NAME = String(pattern="^[a-zA-Z0-9_-]{1,64}$")


def _content(part: Rule) -> StringOr:
    return StringOr(Array(part))


TEXT_PART = Object("TextPart", {"type": required(Enum("text")), "text": required(TEXT)})
IMAGE_URL = Object(
    "ImageUrl",
    {
        "url": required(TEXT, "An address or a `data:` URL."),
        "detail": optional(Enum("auto", "low", "high", "original")),
    },
)
IMAGE_PART = Object("ImagePart", {"type": required(Enum("image_url")), "image_url": required(IMAGE_URL)})
INPUT_AUDIO = Object(
    "InputAudio", {"data": required(TEXT, "Base64."), "format": required(Enum("wav", "mp3"))}
)
AUDIO_PART = Object(
    "AudioPart", {"type": required(Enum("input_audio")), "input_audio": required(INPUT_AUDIO)}
)
FILE_PART = Object("FilePart", {"type": required(Enum("file")), "file": required(ANY_OBJECT)})
REFUSAL_PART = Object("RefusalPart", {"type": required(Enum("refusal")), "refusal": required(TEXT)})
USER_PART = TaggedUnion(
    "type", {"text": TEXT_PART, "image_url": IMAGE_PART, "input_audio": AUDIO_PART, "file": FILE_PART}
)
ASSISTANT_PART = TaggedUnion("type", {"text": TEXT_PART, "refusal": REFUSAL_PART})

CALLED_FUNCTION = Object(
    "CalledFunction",
    {"name": required(TEXT), "arguments": required(TEXT, "JSON, as the model wrote it.")},
)
FUNCTION_CALL = Object(
    "FunctionCall",
    {"id": required(TEXT), "type": required(Enum("function")), "function": required(CALLED_FUNCTION)},
)
CUSTOM_CALL = Object(
    "CustomCall",
    {"id": required(TEXT), "type": required(Enum("custom")), "custom": required(ANY_OBJECT)},
)
TOOL_CALL = TaggedUnion("type", {"function": FUNCTION_CALL, "custom": CUSTOM_CALL})

INSTRUCTION_MESSAGE = Object(
    "InstructionMessage",
    {"role": required(Enum("developer", "system")), "content": required(_content(TEXT_PART))},
)
USER_MESSAGE = Object(
    "UserMessage", {"role": required(Enum("user")), "content": required(_content(USER_PART))}
)
ASSISTANT_MESSAGE = Object(
    "AssistantMessage",
    {
        "role": required(Enum("assistant")),
        "content": optional(_content(ASSISTANT_PART), "Required unless there are `tool_calls`."),
        "tool_calls": optional(Array(TOOL_CALL)),
    },
)
TOOL_MESSAGE = Object(
    "ToolMessage",
    {
        "role": required(Enum("tool")),
        "content": required(_content(TEXT_PART), "What the tool returned."),
        "tool_call_id": required(TEXT, "The `id` of the call."),
    },
)
FUNCTION_MESSAGE = Object(
    "FunctionMessage",
    {
        "role": required(Enum("function")),
        "content": required(TEXT, nullable=True),
        "name": required(TEXT),
    },
)
MESSAGE = TaggedUnion(
    "role",
    {
        "developer": INSTRUCTION_MESSAGE,
        "system": INSTRUCTION_MESSAGE,
        "user": USER_MESSAGE,
        "assistant": ASSISTANT_MESSAGE,
        "tool": TOOL_MESSAGE,
        "function": FUNCTION_MESSAGE,
    },
)

FUNCTION = Object(
    "Function",
    {
        "name": required(NAME),
        "description": optional(TEXT, "What it does and when to call it."),
        "parameters": optional(ANY_OBJECT, "A JSON Schema."),
        "strict": optional(Boolean()),
    },
)
FUNCTION_TOOL = Object("FunctionTool", {"type": required(Enum("function")), "function": required(FUNCTION)})
CUSTOM_TOOL = Object("CustomTool", {"type": required(Enum("custom")), "custom": required(ANY_OBJECT)})
TOOL = TaggedUnion("type", {"function": FUNCTION_TOOL, "custom": CUSTOM_TOOL})
FUNCTION_CHOICE = Object(
    "FunctionChoice",
    {
        "type": required(Enum("function")),
        "function": required(Object("NamedFunction", {"name": required(TEXT)})),
    },
)
OTHER_CHOICE = Object("OtherChoice", {"type": required(Enum("allowed_tools", "custom"))})
TOOL_CHOICE = StringOr(
    TaggedUnion("type", {"function": FUNCTION_CHOICE, "allowed_tools": OTHER_CHOICE, "custom": OTHER_CHOICE}),
    string=Enum("none", "auto", "required"),
)

PLAIN_FORMAT = Object("ResponseFormat", {"type": required(Enum("text", "json_object"))})
JSON_SCHEMA = Object(
    "JsonSchema",
    {
        "name": required(NAME),
        "schema": optional(ANY_OBJECT),
        "description": optional(TEXT),
        "strict": optional(Boolean()),
    },
)
JSON_SCHEMA_FORMAT = Object(
    "JsonSchemaFormat", {"type": required(Enum("json_schema")), "json_schema": required(JSON_SCHEMA)}
)
RESPONSE_FORMAT = TaggedUnion(
    "type", {"text": PLAIN_FORMAT, "json_object": PLAIN_FORMAT, "json_schema": JSON_SCHEMA_FORMAT}
)
STREAM_OPTIONS = Object(
    "StreamOptions",
    {
        "include_usage": optional(Boolean(), "Adds a last chunk with the engine's count of tokens."),
        "include_obfuscation": optional(Boolean()),
    },
)

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
            StringOr(Array(TEXT, max_length=4)), "Stop before this text, or before any of up to 4."
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
        "logit_bias": optional(Map(Integer(minimum=-100, maximum=100)), "A bias for each token id."),
        "seed": optional(
            Integer(minimum=-(2**63), maximum=2**63 - 1), "The same seed gives the same reply, where it can."
        ),
        "response_format": optional(RESPONSE_FORMAT, "Text, any JSON object, or JSON that follows a schema."),
        "tools": optional(Array(TOOL), "The tools that the model may call."),
        "tool_choice": optional(
            TOOL_CHOICE, "Whether the model may or must call a tool, or which one it must."
        ),
        "parallel_tool_calls": optional(Boolean(), "Whether the model may call several tools at once."),
        "reasoning_effort": optional(
            Enum("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            "How long the model thinks before it answers.",
        ),
        "verbosity": optional(Enum("low", "medium", "high"), "How long the reply is."),
        "user": optional(TEXT, "Who the request is for. Passed to the engine."),
        "safety_identifier": optional(String(max_length=64), "The same, as a hash."),
        "metadata": optional(
            Map(String(max_length=512), keys=String(max_length=64), max_length=16),
            "At most 16 texts by name. Passed to the engine.",
        ),
        "store": optional(Boolean(), "Passed to the engine. This API stores nothing."),
    },
    "The body of `POST /v1/chat/completions`. Other members are passed to the engine as they are.",
)
# An assistant's message has one of these.
_ANSWERS = ("content", "tool_calls", "function_call", "refusal", "audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What a stream adds to the reply."""

    include_usage: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletionRequest:
    """What the gateway itself reads of a checked request."""

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None
    max_completion_tokens: int | None
    n: int
    stream: bool
    stream_options: StreamOptions | None


def check(body: dict[str, Any]) -> ChatCompletionRequest:
    """Check a body against the schema, then what its members must be together.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    CHAT_COMPLETION_REQUEST.check(body, None)
    get = body.get
    options = get("stream_options")
    for name, other in (("stream_options", "stream"), ("top_logprobs", "logprobs")):
        if get(name) is not None and not get(other):
            raise InvalidRequest(
                f"The '{name}' parameter is only allowed when '{other}' is true.", param=name
            )
    for index, message in enumerate(body["messages"]):
        if message["role"] == "assistant" and all(message.get(key) is None for key in _ANSWERS):
            raise InvalidRequest(
                f"Missing required parameter: 'messages[{index}].content'. "
                "An assistant message needs 'content' or 'tool_calls'.",
                param=f"messages[{index}].content",
                code="missing_required_parameter",
            )
    return ChatCompletionRequest(
        model=body["model"],
        messages=body["messages"],
        max_tokens=get("max_tokens"),
        max_completion_tokens=get("max_completion_tokens"),
        n=get("n") or 1,
        stream=bool(get("stream")),
        stream_options=None if options is None else StreamOptions(include_usage=options.get("include_usage")),
    )
