"""What a request for embeddings may hold: every field of OpenAI's.

Source: openai/openai-openapi 2.3.0, `CreateEmbeddingRequest`, read 2026-11-26.
"""

from __future__ import annotations

from typing import Any

from functions.chat.api import faults
from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST, check_no_other
from functions.chat.api.checks import Array, Enum, Integer, Object, String, StringOr, optional, required
from functions.chat.errors import InvalidRequest
from functions.shared.frozen import Frozen

MAX_INPUTS = 2048
TEXT = String(not_empty=True)
EMBEDDING_REQUEST = Object(
    "EmbeddingRequest",
    {
        "model": CHAT_COMPLETION_REQUEST.members["model"],
        "input": required(
            StringOr(Array(TEXT, max_length=MAX_INPUTS), string=TEXT), "The text to embed, or several."
        ),
        "encoding_format": optional(
            Enum("float", "base64"),
            "Numbers, or the bytes of 32-bit floats (little-endian) in base64: a quarter of the size.",
            default="float",
        ),
        "dimensions": optional(
            Integer(minimum=1), "How many numbers an embedding has, where the model can give fewer."
        ),
        "user": CHAT_COMPLETION_REQUEST.members["user"],
    },
    "The body of `POST /v1/embeddings`.",
)


class EmbeddingRequest(Frozen, kw_only=True):
    """What the gateway itself reads of a checked request; `fields` is all that may be sent on."""

    fields: dict[str, Any]
    model: str
    count: int
    is_base64: bool
    dimensions: int | None


def check(body: dict[str, Any]) -> EmbeddingRequest:
    """Check a body against the schema.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    given = body.get("input")
    if isinstance(given, list) and given and type(given[0]) in (int, list):
        raise InvalidRequest(
            "Invalid type for 'input': expected a string or an array of strings, but got ids of tokens. Send "
            "the texts themselves: ids of another model's tokenizer would give embeddings without meaning "
            "(LangChain's OpenAIEmbeddings sends texts with check_embedding_ctx_length=False).",
            param="input",
            code="invalid_type",
        )
    if given is None and "input" in body:
        raise faults.wrong_type("a string or an array of strings", given, (None, "input"))
    fields = EMBEDDING_REQUEST.check(body, None)
    check_no_other(body, EMBEDDING_REQUEST.members)
    return EmbeddingRequest(
        fields=fields,
        model=fields["model"],
        count=1 if isinstance(fields["input"], str) else len(fields["input"]),
        is_base64=fields.get("encoding_format") == "base64",
        dimensions=fields.get("dimensions"),
    )
