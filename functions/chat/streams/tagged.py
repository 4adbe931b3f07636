"""Reasoning in tags at the beginning of a content, as gpt-oss on Bedrock sends it.

    <reasoning>The user wants …</reasoning>Paris.                            one block
    <reasoning>The user</reasoning><reasoning> wants …</reasoning>Paris.     one in each piece of a stream

Only blocks that stand before any other text are reasoning: later, the model or its user writes about tags. A
block that is not closed is reasoning to its end.

Source: 54 recordings of `bedrock-runtime` in llamastack/llama-stack (tests/integration, 2026-05-07), with 213
        blocks, each in a piece of its own, before the text; read 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

_OPEN, _CLOSE = "<reasoning>", "</reasoning>"


class _At(Enum):
    START = auto()
    REASONING = auto()
    TEXT = auto()


class TaggedReasoning:
    """Take the reasoning out of one choice's content."""

    def __init__(self) -> None:
        self._at, self._held = _At.START, ""

    @property
    def ended(self) -> bool:
        """Whether no more reasoning can come."""
        return self._at is _At.TEXT

    def split(self, found: Mapping[str, str], *, last: bool) -> dict[str, str]:
        """Return a piece with its content and its reasoning apart.

        Shape:  "content" and "reasoning", as far as there are any, in `found` and in what is returned. What
                may be a part of a tag is held back until the next piece, nothing of the `last`.
        """
        if "reasoning" in found:  # an engine that sends it by itself uses no tags
            self._at = _At.TEXT
        reasoning, text = self._feed(found.get("content", ""), last=last)
        parts = {**found, **({"reasoning": reasoning} if reasoning else {})}
        if text or not parts.get("reasoning"):
            return {**parts, "content": text} if text or "content" in parts else parts
        return {name: part for name, part in parts.items() if name != "content"}

    def _feed(self, piece: str, *, last: bool) -> tuple[str, str]:
        left, self._held = self._held + piece, ""
        reasoning = ""
        while self._at is not _At.TEXT:
            if self._at is _At.START:
                begun = left.lstrip()
                if begun.startswith(_OPEN):
                    self._at, left = _At.REASONING, begun.removeprefix(_OPEN)
                elif _OPEN.startswith(begun) and not last:
                    self._held = left
                    return reasoning, ""
                else:
                    self._at = _At.TEXT
            else:
                block, is_closed, left = left.partition(_CLOSE)
                if not is_closed:
                    # The end of it may be the beginning of the closing tag.
                    sizes = () if last else range(min(len(block), len(_CLOSE) - 1), 0, -1)
                    kept = next((size for size in sizes if _CLOSE.startswith(block[-size:])), 0)
                    self._held = block[len(block) - kept :]
                    return reasoning + block[: len(block) - kept], ""
                reasoning, self._at = reasoning + block, _At.START
        return reasoning, left
