"""What a response request may hold: every field of OpenAI's.

Source: openai/openai-openapi 2.3.0, `CreateResponse`, read 2026-11-26.
"""

from __future__ import annotations

from typing import Any

from functions.chat.api import faults
from functions.chat.api.chat_schema import CACHE_OPTIONS, CHAT_COMPLETION_REQUEST, NAME
from functions.chat.api.checks import (
    Array,
    Boolean,
    Enum,
    Integer,
    Map,
    Number,
    Object,
    Refused,
    String,
    StringOr,
    TaggedUnion,
    optional,
    required,
)
from functions.chat.api.message_schema import TEXT
from functions.chat.api.response_input_schema import INPUT_ITEM
from functions.chat.api.response_tools import TOOL, TOOL_CHOICE, Tools
from functions.chat.api.schema_limits import JsonSchema
from functions.chat.errors import InvalidRequest
from functions.shared.frozen import Frozen

LOGPROBS = "message.output_text.logprobs"
INCLUDE = Enum(
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    LOGPROBS,
)
SUMMARY = Enum("auto", "concise", "detailed")
REASONING = Object(
    "ReasoningOptions",
    {
        "effort": optional(
            Enum("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            "How long the model thinks before it answers.",
        ),
        "summary": optional(SUMMARY, "Accepted; none is made."),
        "generate_summary": optional(SUMMARY, "Deprecated: `summary`."),
    },
)
FORMAT = TaggedUnion(
    "type",
    {
        "text": Object("TextOutput", {"type": required(Enum("text"))}),
        "json_object": Object("JsonObjectOutput", {"type": required(Enum("json_object"))}),
        "json_schema": Object(
            "JsonSchemaOutput",
            {
                "type": required(Enum("json_schema")),
                "json_schema": optional(
                    Refused("Send `name` and `schema` beside `type`: only chat completions nest them.")
                ),
                "name": required(NAME),
                "schema": required(JsonSchema()),
                "strict": optional(Boolean()),
                "description": optional(TEXT),
            },
        ),
    },
)
_KEEPS_NOTHING = "This API keeps no responses. Send the earlier items in `input`."

RESPONSE_REQUEST = Object(
    "ResponseRequest",
    {
        "model": required(String(not_empty=True), "A listed model's id, or `default`."),
        "previous_response_id": optional(Refused(_KEEPS_NOTHING, code="previous_response_not_found")),
        "conversation": optional(Refused(_KEEPS_NOTHING)),
        "prompt": optional(Refused("This API keeps no prompts. Send the text itself as `input`.")),
        "context_management": optional(Refused("Nothing is cut or compacted here. Leave it out.")),
        "moderation": optional(Refused("Nothing is moderated here. Leave it out.")),
        "background": optional(Boolean(), "Only false: send `stream: true` for a long response."),
        "input": required(
            StringOr(Array(INPUT_ITEM)), "A text, or the items of the conversation so far, in order."
        ),
        "instructions": optional(TEXT, "Goes first, as a system message."),
        "max_output_tokens": optional(
            Integer(minimum=1), "The most tokens to generate. Absent: the model's default."
        ),
        "temperature": optional(Number(minimum=0, maximum=2), "Higher is more random.", default=0.7),
        "top_p": optional(
            Number(minimum=0, maximum=1), "Sample from the likeliest tokens of this share.", default=1
        ),
        "text": optional(
            Object(
                "TextOptions",
                {
                    "type": optional(Refused("Send it within `format`.")),
                    "format": optional(FORMAT, "Text, any JSON object, or JSON that follows a schema."),
                    "verbosity": optional(Enum("low", "medium", "high"), "How long the reply is."),
                },
            )
        ),
        "tools": optional(Array(TOOL), "The tools that the model may call.", may_be_empty=True),
        "tool_choice": optional(
            TOOL_CHOICE, "Whether the model may or must call a tool, or which one it must. Only with `tools`."
        ),
        "parallel_tool_calls": optional(
            Boolean(), "Whether the model may call several tools at once.", default=True
        ),
        "reasoning": optional(REASONING),
        "include": optional(
            Array(INCLUDE), f"`{LOGPROBS}` has an effect, the others have none.", may_be_empty=True
        ),
        "top_logprobs": optional(
            Integer(minimum=0, maximum=20),
            f"How many of the likeliest tokens to return at each position. Only with `{LOGPROBS}`.",
        ),
        "stream": optional(
            Boolean(), "Whether to send the response as it is made, as server-sent events.", default=False
        ),
        "stream_options": optional(
            Object(
                "ResponseStreamOptions",
                {name: optional(Boolean()) for name in ("include_obfuscation", "include_usage")},
            ),
            "Accepted with `stream: true`; without effect.",
        ),
        "store": optional(Boolean(), "Nothing is stored, whatever it says."),
        "truncation": optional(Enum("auto", "disabled"), "Nothing is ever cut, whatever it says."),
        "metadata": optional(
            Map(String(max_length=512), keys=String(max_length=64), max_length=16),
            "At most 16 texts by name; returned as they are.",
            may_be_empty=True,
        ),
        "max_tool_calls": optional(Integer(minimum=0), "Of tools that are not served here; no effect."),
        "user": optional(TEXT, "Who the request is for."),
        "safety_identifier": optional(String(max_length=64), "The same, as a hash."),
        "prompt_cache_key": optional(TEXT),
        "prompt_cache_options": optional(CACHE_OPTIONS),
        "prompt_cache_retention": optional(Enum("in_memory", "in-memory", "24h")),
        "service_tier": optional(
            Enum("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"), "No effect."
        ),
        "client_metadata": optional(Map()),
    },
    "The body of `POST /v1/responses`, which is answered by a chat completion. Unknown members of items, "
    "parts and tools are left out.",
)

# Fields of chat completions that mean the same here, and what the others are here.
SAME = frozenset({"stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"})
DESCRIBED_REQUEST = Object(
    RESPONSE_REQUEST.name,
    {**RESPONSE_REQUEST.members, **{name: CHAT_COMPLETION_REQUEST.members[name] for name in sorted(SAME)}},
    RESPONSE_REQUEST.description,
)
MOVED = {
    "messages": "`input`",
    "max_tokens": "`max_output_tokens`",
    "max_completion_tokens": "`max_output_tokens`",
    "response_format": "`text.format`",
    "verbosity": "`text.verbosity`",
    "reasoning_effort": "`reasoning.effort`",
    "logprobs": f'`include: ["{LOGPROBS}"]`',
    "functions": "`tools`",
    "function_call": "`tool_choice`",
}


class ResponseRequest(Frozen, kw_only=True):
    """What the gateway itself reads of a checked request.

    Shape:  `fields` are the known members that are not null; `more` are fields beside them, as in chat.
            `items` are those of `input`, a message for a string. `raw_tools` are the tools as they came.
    """

    fields: dict[str, Any]
    more: dict[str, Any]
    model: str
    stream: bool
    items: list[dict[str, Any]]
    tools: Tools
    raw_tools: list[dict[str, Any]]


def check(body: dict[str, Any]) -> ResponseRequest:
    """Check a body against the schema, then what its members must be together.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    more = {
        name: value
        for name, value in body.items()
        if value is not None and name not in RESPONSE_REQUEST.members
    }
    for name in more:
        if name in MOVED:
            why = f"It is called {MOVED[name]} here; {name} is a parameter of /v1/chat/completions."
            raise faults.not_served((None, name), why)
        if name in CHAT_COMPLETION_REQUEST.members and name not in SAME:
            raise faults.not_served(
                (None, name), "Leave it out, or send the request to /v1/chat/completions."
            )
    fields = RESPONSE_REQUEST.check(body, None)
    get = fields.get
    if get("input") == "":
        raise faults.invalid((None, "input"), "Expected text, or an array of items.")
    if get("background"):
        raise faults.not_served(
            (None, "background"), "Responses are not kept here. Send `stream: true` for a long one."
        )
    if any(get("stream_options", {}).values()) and not get("stream"):
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is true.", param="stream_options"
        )
    given = fields["input"]
    return ResponseRequest(
        fields=fields,
        more=more,
        model=fields["model"],
        stream=get("stream", False),
        items=given if isinstance(given, list) else [{"type": "message", "role": "user", "content": given}],
        tools=Tools.of(get("tools", []), get("tool_choice")),
        raw_tools=body.get("tools") or [],
    )
