"""How many tokens a prompt is: about, which is charged where no engine has counted it, and at most.

No tokenizer makes more tokens of a text than it has bytes, once it has normalised it. The rest is the
model's: its template, and its images, recordings and files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from functions.chat.models import Model

from . import body
from .media import Medium

# A token is about so many bytes of text; but a digit is one, and so are about three bytes that are not ASCII.
BYTES_PER_TOKEN, OTHER_BYTES_PER_TOKEN = 4, 3
# About what an image, a recording or a file is.
MEDIUM_TOKENS = 1000
# What a chat template adds around each message, and each tool, at most.
MESSAGE_TOKENS, TOOL_TOKENS = 16, 64
# Where a template writes JSON, white space comes after or before each of these; each of those may be escaped.
_STRUCTURE, _ESCAPED, _ESCAPE_BYTES = b",:{}[]", b"<>&'", 5
_DIGITS, _ASCII, _OTHERS = b"0123456789", bytes(range(128)), bytes(range(128, 256))


class PromptSize(NamedTuple):
    """Tokens: what `about` returns is never more than what `most` does."""

    about: Callable[[], int]
    most: Callable[[], int]


def of_text(raw: bytes) -> PromptSize:
    """Return the size of a prompt that is sent to the engine as this JSON, and used as it is."""
    return PromptSize(partial(about, raw), partial(normalised_bytes, raw))


def of_chat(text: bytes, found: Sequence[Medium], sent: dict[str, Any], model: Model) -> PromptSize:
    """Return the size of a conversation: `text` is the JSON of what is sent without its media's data."""
    messages = sent["messages"]

    def most() -> int:
        pictures = len(found) + (text.count(b"![](") if model.kind.links_images else 0)
        files = sum(len(each.data) for each in found if each.part["type"] == "file")  # it may be a text
        added = model.template_tokens + MESSAGE_TOKENS * len(messages) + added_to_json(sent)
        return normalised_bytes(text) + pictures * model.media_tokens + files + added

    media = len(found) * min(MEDIUM_TOKENS, model.media_tokens)
    return PromptSize(lambda: about(text) + media, most)


def about(text: bytes) -> int:
    """Return about how many tokens a text is."""
    words = text.translate(None, _DIGITS)
    ascii_bytes = len(words) if text.isascii() else len(words.translate(None, _OTHERS))
    others = len(words) - ascii_bytes
    return ascii_bytes // BYTES_PER_TOKEN + len(text) - len(words) + -(-others // OTHER_BYTES_PER_TOKEN) + 1


def added_to_json(sent: dict[str, Any]) -> int:
    """Return what a template may add to tools and calls, which it writes as JSON of its own."""
    tools = sent.get("tools") or sent.get("functions") or ()
    calls = [each for each in sent["messages"] if "tool_calls" in each or "function_call" in each]
    if not tools and not calls:
        return 0
    raw = body.to_json({"tools": tools, "calls": calls})
    structure = len(raw) - len(raw.translate(None, _STRUCTURE))
    escaped = len(raw) - len(raw.translate(None, _ESCAPED))
    return structure + _ESCAPE_BYTES * escaped + TOOL_TOKENS * len(tools)


def normalised_bytes(text: bytes) -> int:
    """Return how many bytes a text has at most: tokenizers normalise it to NFC (Qwen), NFKC or not at all."""
    if text.isascii() or not any(map(_may_grow, set(text.translate(None, _ASCII).decode()))):
        return len(text)
    whole = text.decode()
    forms = (unicodedata.normalize(form, whole) for form in ("NFC", "NFKC"))
    return max(len(text), *(len(form.encode()) for form in forms))


@lru_cache(maxsize=4096)
def _may_grow(character: str) -> bool:
    """Return whether a text with this character can become longer: by it, or by what it keeps apart."""
    forms = (unicodedata.normalize(form, character) for form in ("NFC", "NFKC"))
    size = len(character.encode())
    return unicodedata.combining(character) > 0 or any(len(form.encode()) > size for form in forms)
