"""What an item of a response request's `input` may be.

Source: openai/openai-openapi 2.3.0, `InputItem`, read 2026-11-26. Clients leave out `type`, `id` and
`status`, write a turn of the model's as a string, and `text` for `input_text`.
"""

from __future__ import annotations

from functions.chat.api.checks import (
    Array,
    Enum,
    Object,
    Refused,
    StringOr,
    TaggedUnion,
    optional,
    required,
)
from functions.chat.api.message_schema import TEXT

_FILE = "No engine here reads files. Send its text as `input_text`."
TEXT_TYPES = ("input_text", "output_text", "text")
INPUT_TEXT = Object("InputText", {"type": required(Enum(*TEXT_TYPES)), "text": required(TEXT)})
INPUT_REFUSAL = Object("InputRefusal", {"type": required(Enum("refusal")), "refusal": required(TEXT)})
INPUT_IMAGE = Object(
    "InputImage",
    {
        "type": required(Enum("input_image")),
        "file_id": optional(Refused("This API keeps no files. Send `image_url`.")),
        "image_url": required(TEXT, "A `data:` URL, or an address at a host that the model's settings name."),
        "detail": optional(Enum("auto", "low", "high", "original")),
    },
)
TEXT_PARTS = dict.fromkeys(TEXT_TYPES, INPUT_TEXT)
INPUT_PART = TaggedUnion(
    "type",
    {**TEXT_PARTS, "refusal": INPUT_REFUSAL, "input_image": INPUT_IMAGE},
    refused={
        "input_file": _FILE,
        "image_url": "Send `input_image`, whose `image_url` is the URL itself.",
    },
)
INPUT_MESSAGE = Object(
    "InputMessage",
    {
        "type": optional(Enum("message"), default="message"),
        "tool_calls": optional(Refused("Send each call as an item of the type `function_call`.")),
        "tool_call_id": optional(
            Refused("Send it as an item of the type `function_call_output`, with `call_id` and `output`.")
        ),
        "role": required(Enum("user", "system", "developer", "assistant")),
        "content": required(StringOr(Array(INPUT_PART)), may_be_empty=True),
    },
)

CALL_ID = required(TEXT, "Pairs a call with its output.")
NAMESPACE = optional(TEXT, "That of the tool.")
CALLED = Object(
    "FunctionCallItem",
    {
        "type": required(Enum("function_call")),
        "call_id": CALL_ID,
        "name": required(TEXT),
        "namespace": NAMESPACE,
        "arguments": required(TEXT, "JSON, as the model wrote it.", nullable=True),
    },
)
CALLED_CUSTOM = Object(
    "CustomToolCallItem",
    {
        "type": required(Enum("custom_tool_call")),
        "call_id": CALL_ID,
        "name": required(TEXT),
        "namespace": NAMESPACE,
        "input": required(TEXT),
    },
)
OUTPUT_PART = TaggedUnion(
    "type",
    TEXT_PARTS,
    refused={
        "input_image": "The output of a tool is text here. Send the image in a message of the user.",
        "input_file": _FILE,
    },
)
OUTPUTS = ("function_call_output", "custom_tool_call_output")
CALL_OUTPUT = Object(
    "CallOutputItem",
    {
        "type": required(Enum(*OUTPUTS)),
        "call_id": required(TEXT, "The `call_id` of the call, which comes before."),
        "output": required(
            StringOr(Array(OUTPUT_PART)), "What the tool returned.", nullable=True, may_be_empty=True
        ),
    },
)
THOUGHTS = Array(Object("ReasoningText", {"type": optional(TEXT), "text": required(TEXT)}))
REASONING_ITEM = Object(
    "ReasoningItem",
    {
        "type": required(Enum("reasoning")),
        "content": optional(THOUGHTS, may_be_empty=True),
        "summary": optional(THOUGHTS, "Read where there is no `content`.", may_be_empty=True),
    },
)
# Calls of tools that another API runs, in a conversation that began there: the messages after them say what
# came of it.
HOSTED_CALLS = (
    *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
    *("mcp_call", "mcp_list_tools"),
)
HOSTED_CALL = Object("HostedCallItem", {"type": required(Enum(*HOSTED_CALLS), "Accepted, and left out.")})
_OTHER_TOOLS = (
    *("computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"),
    *("shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"),
    *("tool_search_call", "tool_search_output", "additional_tools", "program", "program_output"),
    *("mcp_approval_request", "mcp_approval_response"),
)
INPUT_ITEM = TaggedUnion(
    "type",
    {
        "message": INPUT_MESSAGE,
        "function_call": CALLED,
        "custom_tool_call": CALLED_CUSTOM,
        **dict.fromkeys(OUTPUTS, CALL_OUTPUT),
        "reasoning": REASONING_ITEM,
        **dict.fromkeys(HOSTED_CALLS, HOSTED_CALL),
    },
    otherwise="message",
    refused={
        "item_reference": "This API keeps no items. Send the item itself, as it came (in the AI SDK, set "
        "`store: false` in `providerOptions.openai`).",
        **dict.fromkeys(
            ("compaction", "compaction_trigger"),
            "Only the API that made it can read it. Send the items that it stands for.",
        ),
        **dict.fromkeys(
            _OTHER_TOOLS,
            "Its tool is not served here. Send a call of a `function` tool and its output, or leave it out.",
        ),
        **dict.fromkeys((*INPUT_PART.objects, *INPUT_PART.refused), "Send it in the `content` of a message."),
    },
)
