"""What a message of a chat completion request may hold.

Source: openai/openai-openapi 2.3.0, `ChatCompletionRequestMessage`, read 2026-11-22; `reasoning` and
`reasoning_content` are what engines send.
"""

from __future__ import annotations

from functions.chat.api.checks import (
    Array,
    Enum,
    Object,
    Rule,
    String,
    StringOr,
    TaggedUnion,
    optional,
    required,
)

TEXT = String()


def _content(part: Rule) -> StringOr:
    return StringOr(Array(part))


TEXT_PART = Object("TextPart", {"type": required(Enum("text")), "text": required(TEXT)})
IMAGE_URL = Object(
    "ImageUrl",
    {
        "url": required(TEXT, "A `data:` URL, or an address at a host that the model's settings name."),
        "detail": optional(Enum("auto", "low", "high", "original")),
    },
)
IMAGE_PART = Object(
    "ImagePart",
    {
        "type": required(Enum("image_url")),
        "image_url": required(StringOr(IMAGE_URL, member="url"), "Older clients send the URL itself."),
    },
)
INPUT_AUDIO = Object(
    "InputAudio", {"data": required(TEXT, "Base64."), "format": required(Enum("wav", "mp3"))}
)
AUDIO_PART = Object(
    "AudioPart", {"type": required(Enum("input_audio")), "input_audio": required(INPUT_AUDIO)}
)
FILE = Object(
    "File",
    {
        "file_data": optional(TEXT, "A `data:` URL, or base64."),
        "file_id": optional(TEXT, "Refused: this API keeps no files."),
        "filename": optional(TEXT),
    },
)
FILE_PART = Object("FilePart", {"type": required(Enum("file")), "file": required(FILE)})
REFUSAL_PART = Object("RefusalPart", {"type": required(Enum("refusal")), "refusal": required(TEXT)})
USER_PART = TaggedUnion(
    "type", {"text": TEXT_PART, "image_url": IMAGE_PART, "input_audio": AUDIO_PART, "file": FILE_PART}
)
ASSISTANT_PART = TaggedUnion("type", {"text": TEXT_PART, "refusal": REFUSAL_PART})

CALLED_FUNCTION = Object(
    "CalledFunction",
    {"name": required(TEXT), "arguments": required(TEXT, "JSON, as the model wrote it.", nullable=True)},
)
FUNCTION_CALL = Object(
    "FunctionCall",
    {
        "id": required(TEXT),
        "type": optional(Enum("function"), default="function"),
        "function": required(CALLED_FUNCTION),
    },
)
CALLED_CUSTOM = Object("CalledCustomTool", {"name": optional(TEXT), "input": optional(TEXT)})
CUSTOM_CALL = Object(
    "CustomCall",
    {"id": required(TEXT), "type": required(Enum("custom")), "custom": required(CALLED_CUSTOM)},
)
TOOL_CALL = TaggedUnion("type", {"function": FUNCTION_CALL, "custom": CUSTOM_CALL}, otherwise="function")

INSTRUCTION_MESSAGE = Object(
    "InstructionMessage",
    {
        "role": required(Enum("developer", "system")),
        "content": required(_content(TEXT_PART)),
        "name": optional(TEXT),
    },
)
USER_MESSAGE = Object(
    "UserMessage",
    {"role": required(Enum("user")), "content": required(_content(USER_PART)), "name": optional(TEXT)},
)
ASSISTANT_MESSAGE = Object(
    "AssistantMessage",
    {
        "role": required(Enum("assistant")),
        "content": optional(
            _content(ASSISTANT_PART), "Required unless another member says something.", may_be_empty=True
        ),
        "tool_calls": optional(Array(TOOL_CALL), may_be_empty=True),
        "name": optional(TEXT),
        "refusal": optional(TEXT),
        "audio": optional(Object("SpokenAudio", {"id": required(TEXT)})),
        "function_call": optional(CALLED_FUNCTION, "Deprecated: `tool_calls`."),
        "reasoning": optional(TEXT, "What the model thought, as some engines call it."),
        "reasoning_content": optional(TEXT, "The same, as others do."),
    },
)
TOOL_MESSAGE = Object(
    "ToolMessage",
    {
        "role": required(Enum("tool")),
        "content": required(_content(TEXT_PART), "What the tool returned.", nullable=True, may_be_empty=True),
        "tool_call_id": required(TEXT, "The `id` of the call."),
        "name": optional(TEXT, "The tool's name, which some engines need."),
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
