"""The tools of a response request, and what a chat completion knows them as: functions, by name.

    function {name}                        name
    custom {name}                          name, with one text, `input`, as its argument
    namespace {name, tools}                <namespace>__<name>, for each of its tools
    web_search, web_search_preview         –: a model may always choose not to search

A name that is taken, or longer than engines allow, is cut, and ends in a hash of the tool's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from typing import Any

from functions.chat.api import faults
from functions.chat.api.body import shown
from functions.chat.api.chat_schema import MAX_TOOLS
from functions.chat.api.checks import (
    Array,
    Boolean,
    Enum,
    Object,
    Refused,
    String,
    StringOr,
    TaggedUnion,
    optional,
    required,
)
from functions.chat.api.message_schema import TEXT
from functions.chat.api.schema_limits import JsonSchema
from functions.chat.errors import InvalidRequest
from functions.chat.streams.response_items import CalledAs
from functions.shared.frozen import Frozen

LONGEST_NAME, HASH_DIGITS = 64, 8
TOOL_NAME = String(pattern="^[a-zA-Z0-9_-]{1,128}$")
_HOSTED = "Nothing runs it here. Send a `function` tool, and run that yourself."
HOSTED = dict.fromkeys(
    (
        *("file_search", "computer", "computer_use_preview", "mcp", "code_interpreter", "image_generation"),
        *("local_shell", "shell", "tool_search", "apply_patch", "programmatic_tool_calling"),
    ),
    _HOSTED,
)
_WEB_SEARCH = ("web_search", "web_search_2025_08_26")
_WEB_SEARCH_PREVIEW = ("web_search_preview", "web_search_preview_2025_03_11")
SEARCHES = _WEB_SEARCH + _WEB_SEARCH_PREVIEW
INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}

_NOT_NESTED = Refused(
    "Send `name`, `description` and `parameters` beside `type`: only chat completions nest them."
)
FUNCTION_TOOL = Object(
    "ResponseFunctionTool",
    {
        "type": required(Enum("function")),
        "function": optional(_NOT_NESTED),
        "name": required(TOOL_NAME),
        "description": optional(TEXT, "What it does and when to call it."),
        "parameters": optional(JsonSchema(), "A JSON Schema."),
        "strict": optional(Boolean()),
    },
)
CUSTOM_TOOL = Object(
    "ResponseCustomTool",
    {
        "type": required(Enum("custom")),
        "custom": optional(_NOT_NESTED),
        "name": required(TOOL_NAME),
        "description": optional(TEXT),
        "format": optional(
            TaggedUnion(
                "type",
                {"text": Object("CustomTextFormat", {"type": required(Enum("text"))})},
                refused={
                    "grammar": "No engine here keeps to it. Leave `format` out, and describe the input in "
                    "`description`."
                },
            )
        ),
    },
)
CALLABLE = {"function": FUNCTION_TOOL, "custom": CUSTOM_TOOL}
NAMESPACE_TOOL = Object(
    "NamespaceTool",
    {
        "type": required(Enum("namespace")),
        "name": required(TOOL_NAME),
        "description": optional(TEXT),
        "tools": required(Array(TaggedUnion("type", CALLABLE, refused=HOSTED)), may_be_empty=True),
    },
)
SEARCH_TOOL = Object("SearchTool", {"type": required(Enum(*SEARCHES), "Accepted; no search is made.")})
TOOL = TaggedUnion(
    "type",
    {**CALLABLE, "namespace": NAMESPACE_TOOL, **dict.fromkeys(SEARCHES, SEARCH_TOOL)},
    refused=HOSTED,
)
ALLOWED_TOOL = Object("AllowedTool", {"type": required(TEXT), "name": optional(TEXT)})
TOOL_CHOICE = StringOr(
    TaggedUnion(
        "type",
        {
            "function": Object(
                "ResponseFunctionChoice",
                {
                    "type": required(Enum("function")),
                    "function": optional(Refused("Send `name` beside `type`.")),
                    "name": required(TEXT),
                },
            ),
            "custom": Object(
                "ResponseCustomChoice", {"type": required(Enum("custom")), "name": required(TEXT)}
            ),
            "allowed_tools": Object(
                "ResponseAllowedTools",
                {
                    "type": required(Enum("allowed_tools")),
                    "mode": required(Enum("auto", "required")),
                    "tools": required(Array(ALLOWED_TOOL, max_length=MAX_TOOLS)),
                },
            ),
        },
        refused=dict.fromkeys(
            (*HOSTED, *SEARCHES, "computer_use"),
            "The model cannot be made to call it: nothing runs it here. Name a `function`.",
        ),
    ),
    string=Enum("none", "auto", "required"),
)


class Tools(Frozen):
    """The tools of a request.

    Shape:  `names`: what the engine knows each tool as. `sent`, `choice`: those of the chat completion.
    """

    names: dict[CalledAs, str]
    sent: list[dict[str, Any]]
    choice: str | dict[str, Any] | None

    @classmethod
    def of(cls, tools: list[dict[str, Any]], choice: str | dict[str, Any] | None) -> Tools:
        """Return checked tools, and the choice among them.

        Raises: InvalidRequest, for too many, and for a choice that names none of them.
        """
        names: dict[CalledAs, str] = {}
        taken: set[str] = set()
        sent: dict[CalledAs, dict[str, Any]] = {}
        for tool in tools:
            namespace = tool["name"] if tool["type"] == "namespace" else None
            for each in [tool] if namespace is None else tool.get("tools", []):
                if each["type"] in CALLABLE:
                    called = CalledAs(each["type"], each["name"], namespace)
                    names[called] = names.get(called) or name_for(called, taken)
                    taken.add(names[called])
                    sent[called] = _function(each, names[called])
        if len(names) > MAX_TOOLS:
            raise faults.too_long("array", MAX_TOOLS, (None, "tools"))
        if not isinstance(choice, dict):
            return cls(names, list(sent.values()), choice)
        if choice["type"] != "allowed_tools":
            name = names[_chosen(choice, names, (None, "tool_choice"))]
            return cls(names, list(sent.values()), {"type": "function", "function": {"name": name}})
        path = ((None, "tool_choice"), "tools")
        allowed = {
            _chosen(each, names, (path, index))
            for index, each in enumerate(choice["tools"])
            if each["type"] not in SEARCHES
        }
        return cls(names, [sent[each] for each in sent if each in allowed], choice["mode"])

    def name_of(self, called: CalledAs) -> str:
        """Return what the engine knows a tool as, also one of earlier turns only."""
        return self.names.get(called) or name_for(called, frozenset())


def name_for(called: CalledAs, taken: Set[str]) -> str:
    """Return a name that engines allow and that is not taken; it depends on nothing else."""
    name = f"{called.namespace}__{called.name}" if called.namespace else called.name
    if len(name) <= LONGEST_NAME and name not in taken:
        return name
    text = "\n".join((called.kind, called.namespace or "", called.name))
    digits = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:HASH_DIGITS]
    return f"{name[: LONGEST_NAME - HASH_DIGITS - 1]}_{digits}"


def _function(tool: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a tool as the function of a chat completion."""
    function = {key: tool[key] for key in ("description", "parameters", "strict") if key in tool}
    if tool["type"] == "custom":
        function["parameters"] = INPUT
    return {"type": "function", "function": {"name": name, **function}}


def _chosen(choice: dict[str, Any], names: dict[CalledAs, str], path: faults.Path) -> CalledAs:
    """Return the tool that a choice names: as the caller knows it, or as the engine does."""
    kind, name = choice["type"], choice.get("name", "")
    for called, sent in names.items():
        if called.kind == kind and name in (sent, None if called.namespace else called.name):
            return called
    raise InvalidRequest(
        f"Invalid value for '{faults.spell(path)}': the {shown(kind)} tool {shown(name)} is not among "
        "'tools'. Name one of them.",
        param=faults.spell(path),
        code="invalid_value",
    )
