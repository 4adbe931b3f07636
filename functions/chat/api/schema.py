"""The request's wire types.

Only what the gateway reads or promises to check is typed; every other field passes to the engine as it
came, and every optional field may be null. Unions carry `<tags>`, so that the place of a fault can be
told in the caller's own words (`validation.py`).

Source: openai/openai-openapi 2.3.0, `CreateChatCompletionRequest`, read 2026-11-22.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Penalty = Annotated[float, Field(ge=-2, le=2)]
Name = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]


class Wire(BaseModel):
    """A JSON object: no coercion, unknown fields kept, no NaN.

    Validators are built on first use: built one class at a time they would add 100 ms to a cold start.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, defer_build=True)


def by_role(message: Any) -> str | None:
    """Tell which kind of message this is; None if it does not say."""
    return _tag(message, "role", "user")


def by_type(part: Any) -> str | None:
    """Tell which kind of object this is; None if it does not say."""
    return _tag(part, "type", "text")


def by_tool(tool: Any) -> str | None:
    """Tell which kind of tool, or of call or choice of one, this is; None if it does not say."""
    return _tag(tool, "type", "function")


def by_shape(value: Any) -> str:
    """Tell an array or object from a plain string."""
    return "<many>" if isinstance(value, list | dict) else "<one>"


def _tag(value: Any, key: str, fallback: str) -> str | None:
    if not isinstance(value, dict):
        return f"<{fallback}>"
    return f"<{value[key]}>" if isinstance(value.get(key), str) else None


class TextPart(Wire):
    type: Literal["text"]
    text: str


class ImageUrl(Wire):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Wire):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(Wire):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Wire):
    type: Literal["input_audio"]
    input_audio: InputAudio


class FilePart(Wire):
    type: Literal["file"]
    file: dict[str, Any]


class RefusalPart(Wire):
    type: Literal["refusal"]
    refusal: str


Text = Annotated[TextPart, Tag("<text>")]
UserPart = Annotated[
    Text
    | Annotated[ImagePart, Tag("<image_url>")]
    | Annotated[AudioPart, Tag("<input_audio>")]
    | Annotated[FilePart, Tag("<file>")],
    Discriminator(by_type),
]
AssistantPart = Annotated[Text | Annotated[RefusalPart, Tag("<refusal>")], Discriminator(by_type)]
OneText = Annotated[str, Tag("<one>")]
TextContent = Annotated[
    OneText | Annotated[Annotated[list[TextPart], Field(min_length=1)], Tag("<many>")],
    Discriminator(by_shape),
]
UserContent = Annotated[
    OneText | Annotated[Annotated[list[UserPart], Field(min_length=1)], Tag("<many>")],
    Discriminator(by_shape),
]
AssistantContent = Annotated[
    OneText | Annotated[Annotated[list[AssistantPart], Field(min_length=1)], Tag("<many>")],
    Discriminator(by_shape),
]


class CalledFunction(Wire):
    name: str
    arguments: str


class FunctionCall(Wire):
    id: str
    type: Literal["function"]
    function: CalledFunction


class CustomCall(Wire):
    id: str
    type: Literal["custom"]
    custom: dict[str, Any]


ToolCall = Annotated[
    Annotated[FunctionCall, Tag("<function>")] | Annotated[CustomCall, Tag("<custom>")],
    Discriminator(by_tool),
]


class InstructionMessage(Wire):
    role: Literal["developer", "system"]
    content: TextContent


class UserMessage(Wire):
    role: Literal["user"]
    content: UserContent


class AssistantMessage(Wire):
    role: Literal["assistant"]
    content: AssistantContent | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None


class ToolMessage(Wire):
    role: Literal["tool"]
    content: TextContent
    tool_call_id: str


class FunctionMessage(Wire):
    role: Literal["function"]
    content: str | None
    name: str


Message = Annotated[
    Annotated[InstructionMessage, Tag("<developer>")]
    | Annotated[InstructionMessage, Tag("<system>")]
    | Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[ToolMessage, Tag("<tool>")]
    | Annotated[FunctionMessage, Tag("<function>")],
    Discriminator(by_role),
]


class StreamOptions(Wire):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Function(Wire):
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Wire):
    type: Literal["function"]
    function: Function


class CustomTool(Wire):
    type: Literal["custom"]
    custom: dict[str, Any]


Tool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")],
    Discriminator(by_tool),
]


class JsonSchema(Wire):
    name: Name
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Wire):
    type: Literal["text", "json_object"]


class JsonSchemaFormat(Wire):
    type: Literal["json_schema"]
    json_schema: JsonSchema


AnyFormat = Annotated[
    Annotated[ResponseFormat, Tag("<text>")]
    | Annotated[ResponseFormat, Tag("<json_object>")]
    | Annotated[JsonSchemaFormat, Tag("<json_schema>")],
    Discriminator(by_type),
]


class NamedFunction(Wire):
    name: str


class FunctionChoice(Wire):
    type: Literal["function"]
    function: NamedFunction


class OtherChoice(Wire):
    type: Literal["allowed_tools", "custom"]


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<one>")]
    | Annotated[
        Annotated[
            Annotated[FunctionChoice, Tag("<function>")]
            | Annotated[OtherChoice, Tag("<allowed_tools>")]
            | Annotated[OtherChoice, Tag("<custom>")],
            Discriminator(by_tool),
        ],
        Tag("<many>"),
    ],
    Discriminator(by_shape),
]
Stop = Annotated[
    OneText | Annotated[Annotated[list[str], Field(min_length=1, max_length=4)], Tag("<many>")],
    Discriminator(by_shape),
]


class ChatCompletionRequest(Wire):
    """The body of `POST /v1/chat/completions`."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.7
    top_p: Annotated[float, Field(ge=0, le=1)] | None = 1
    n: Annotated[int, Field(ge=1, le=128)] | None = 1
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    stop: Stop | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, Annotated[int, Field(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    response_format: AnyFormat | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Field(max_length=64)] | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
            Field(max_length=16),
        ]
        | None
    ) = None
    store: bool | None = None
