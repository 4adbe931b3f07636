"""A forced tool call for an engine whose tool choice does not hold, but whose grammars do: llama.cpp.

The engine keeps the tools, which its chat template may show to the model; `streams/grammar_call.py` turns the
JSON that comes back into the call.
"""

from __future__ import annotations

from typing import Any


def force_by_schema(sent: dict[str, Any]) -> None:
    """Replace the tool choice of a body, in place, by the JSON Schema of the calls that it allows.

    Shape:  `{"name": …, "arguments": …}`. The parameters of each tool are a definition of the schema, so that
            references within them can be made to hold.
    """
    choice = sent.pop("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    functions = [tool["function"] for tool in sent["tools"]]
    allowed = [each for each in functions if named in (None, each["name"])]
    sent.pop("parallel_tool_calls", None)
    sent.pop("response_format", None)
    sent["json_schema"] = {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "name": {"const": each["name"]},
                    "arguments": {"$ref": f"#/$defs/{place}"},
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for place, each in enumerate(allowed)
        ],
        "$defs": {
            str(place): rebased(each.get("parameters") or {"type": "object"}, f"#/$defs/{place}")
            for place, each in enumerate(allowed)
        },
    }


def rebased(schema: Any, base: str) -> Any:
    """Return a JSON Schema whose references start at its new place."""
    if isinstance(schema, list):
        return [rebased(each, base) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: base + value.removeprefix("#")
        if name == "$ref" and isinstance(value, str) and value.startswith("#")
        else rebased(value, base)
        for name, value in schema.items()
    }
