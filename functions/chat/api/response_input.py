"""The items of a response request as the messages of a chat completion.

    instructions, system and developer messages at the start    one system message
    an assistant's message, the calls that follow it            one message
    reasoning                                                   `reasoning` of the turn that it is part of
    the output of a call                                        a message of the role `tool`
    any other message                                           the same; a developer's is a system message
    a call of a tool that another API runs                      –

Calls without a message before them, and reasoning without either, are a turn of their own. A message after
calls whose output is still to come is a part of their turn.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from functions.chat.api import faults
from functions.chat.api.faults import Path
from functions.chat.api.media import Medium
from functions.chat.api.response_input_schema import HOSTED_CALLS, TEXT_TYPES
from functions.chat.api.response_tools import Tools
from functions.chat.json_text import dump
from functions.chat.streams.response_items import CalledAs

Item = dict[str, Any]
Message = dict[str, Any]
INSTRUCTS = ("system", "developer")


class Conversation:
    """Messages, made of one item after the other. `media` are where the caller sent them."""

    def __init__(self, tools: Tools) -> None:
        self.messages: list[Message] = []
        self.media: list[Medium] = []
        self._tools = tools
        self._reasoning = ""
        self._call_ids: set[str] = set()

    @classmethod
    def of(cls, instructions: str, items: list[Item], tools: Tools) -> Conversation:
        """Return the messages of a request: at least one.

        Raises: InvalidRequest.
        """
        conversation = cls(tools)
        leading = list(takewhile(lambda item: item.get("role") in INSTRUCTS, items))
        texts = [instructions]
        for index, item in enumerate(leading):
            parts = conversation.content(item, ((None, "input"), index))
            texts += [parts] if isinstance(parts, str) else [part["text"] for part in parts]
        if any(texts):
            text = "\n\n".join(text for text in texts if text)
            conversation.messages.append({"role": "system", "content": text})
        for index, item in enumerate(items[len(leading) :], len(leading)):
            conversation.add(item, ((None, "input"), index))
        conversation.end_turn()
        if not conversation.messages:
            raise faults.invalid((None, "input"), "Expected at least one message with a text.")
        return conversation

    def add(self, item: Item, path: Path) -> None:
        """Add a checked item that stands at a path.

        Raises: InvalidRequest.
        """
        kind = item["type"]
        if kind in HOSTED_CALLS:
            return
        if kind == "reasoning":
            parts = item.get("content") or item.get("summary") or ()
            self._reasoning += "".join(part["text"] for part in parts)
        elif kind in ("function_call", "custom_tool_call"):
            self._call_ids.add(item["call_id"])
            turn = self.end_turn() or self._new_turn()
            turn.setdefault("tool_calls", []).append(self._call(item))
        elif item.get("role") == "assistant":
            content = self.content(item, path)
            last = self.messages[-1] if self.messages else {}
            if "tool_calls" in last:  # what it said after its calls: their output has to follow them
                last["content"] = _joined(last.get("content"), content)
            else:
                self._new_turn(content=content)
            self.end_turn()
        else:
            self.end_turn()
            if kind == "message":
                role = "system" if item["role"] in INSTRUCTS else "user"
                self.messages.append({"role": role, "content": self.content(item, path)})
            else:
                self.messages.append(self._output(item, path))

    def end_turn(self) -> Message | None:
        """Give reasoning that waits to the turn of the model's that is last; return that turn."""
        turn = self.messages[-1] if self.messages and self.messages[-1]["role"] == "assistant" else None
        if self._reasoning:
            turn = turn or self._new_turn()
            turn["reasoning"] = turn.get("reasoning", "") + self._reasoning
            self._reasoning = ""
        return turn

    def content(self, item: Item, path: Path) -> str | list[Item]:
        """Return the content of a message: a text, where it is one.

        Raises: InvalidRequest, for an image that is not the user's.
        """
        content = item.get("content", "")
        if isinstance(content, str):
            return content
        parts: list[Item] = []
        for index, part in enumerate(content):
            where: Path = ((path, "content"), index)
            if part["type"] != "input_image":
                parts.append({"type": "text", "text": part.get("text", part.get("refusal"))})
            elif item["role"] == "user":
                image = {"url": part["image_url"], **({"detail": part["detail"]} if "detail" in part else {})}
                parts.append({"type": "image_url", "image_url": image})
                where = (where, "image_url")
                self.media.append(Medium(parts[-1], where, where))
            else:
                raise faults.unsupported("input_image", TEXT_TYPES, (where, "type"))
        return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts

    def _new_turn(self, **members: Any) -> Message:
        self.messages.append({"role": "assistant", **members})
        return self.messages[-1]

    def _call(self, item: Item) -> Item:
        """Return a call as a chat completion has it: a custom tool's input is an argument."""
        is_custom = item["type"] == "custom_tool_call"
        called = CalledAs("custom" if is_custom else "function", item["name"], item.get("namespace"))
        arguments = dump({"input": item["input"]}).decode() if is_custom else item.get("arguments", "")
        function = {"name": self._tools.name_of(called), "arguments": arguments}
        return {"id": item["call_id"], "type": "function", "function": function}

    def _output(self, item: Item, path: Path) -> Message:
        """Return the message of a tool.

        Raises: InvalidRequest, for the output of a call that is not there.
        """
        if item["call_id"] not in self._call_ids:
            raise faults.invalid(
                (path, "call_id"), "Expected the `call_id` of a call that comes before it in `input`."
            )
        output = item.get("output", "")
        text = output if isinstance(output, str) else "\n".join(part["text"] for part in output)
        return {"role": "tool", "tool_call_id": item["call_id"], "content": text}


def _joined(first: str | list[Item] | None, second: str | list[Item]) -> str | list[Item]:
    """Return a content that has both."""
    if not first:
        return second
    parts = ([{"type": "text", "text": each}] if isinstance(each, str) else each for each in (first, second))
    return [part for each in parts for part in each]
