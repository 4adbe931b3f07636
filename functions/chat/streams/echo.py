"""`echo` of a completion: its prompt stands before each choice. Engines differ, so it is done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.chat.engines.engine import Chunks, Run
from functions.chat.json_text import dump

from .chat_writer import ChatWriter
from .sse import event as event_of


class EchoWriter(ChatWriter):
    """Write a completion with its prompts.

    Shape:  `prompts` have `each` choices, numbered prompt by prompt.
    """

    def __init__(self, prompts: Sequence[str], each: int) -> None:
        self._left = {index: prompts[index // each] for index in range(len(prompts) * each)}

    def write(self, event: Run | Chunks) -> bytes:
        """Return the events; the first of each choice begins with its prompt."""
        if not self._left or isinstance(event, Run):
            return event.data
        return b"".join(event_of(dump(self._with_prompts(chunk))) for chunk in event.values)

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return the reply, each choice after its prompt."""
        return self._with_prompts(reply)

    def _with_prompts(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {
            **reply,
            "choices": [
                {**choice, "text": self._left.pop(choice["index"], "") + choice["text"]}
                for choice in reply["choices"]
            ],
        }
