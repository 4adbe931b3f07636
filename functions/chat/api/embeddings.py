"""`POST /v1/embeddings`."""

from __future__ import annotations

from functools import partial
from typing import Any

from functions.chat.engines.engine import EngineRequest
from functions.chat.errors import InvalidRequest
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.embeddings import EmbeddingsReply

from . import body, embedding_schema, fields, prompt_size
from .answer import Endpoint
from .embedding_schema import EMBEDDING_REQUEST, EmbeddingRequest

# About how long a number is in a reply of numbers (measured: 21 bytes), and in base64.
NUMBER_BYTES, BASE64_BYTES = 22, 16 / 3
# What else an engine sends with each embedding.
ENTRY_BYTES = 60


async def prepare(
    parsed: dict[str, Any], checked: EmbeddingRequest, model: Model, settings: Settings, request_id: str
) -> EngineRequest:
    """Turn a checked request into the engine's.

    Raises: InvalidRequest, also where the reply would be too large.
    """
    check_size(checked, model, settings)
    sent = {**checked.fields, **fields.others(parsed, EMBEDDING_REQUEST.members, model.extra_fields)}
    if "user" not in model.kind.openai:
        sent.pop("user", None)
    raw = body.to_json({**sent, "model": model.served_name})
    prompt = prompt_size.of_text(raw)
    return EngineRequest(
        model=model,
        path="embeddings",
        body=raw,
        stream=False,
        reader=partial(
            EmbeddingsReply,
            model=model.id,
            count=checked.count,
            is_base64=checked.is_base64,
            dimensions=checked.dimensions,
        ),
        request_id=request_id,
        about_prompt=prompt.about,
        most_of_prompt=prompt.most,
        max_completion=0,
    )


EMBEDDINGS = Endpoint(
    serves="embeddings",
    check=embedding_schema.check,
    prepare=prepare,
    writer=lambda *_: ChatWriter(),
    names={"messages": "input", "max_tokens": ""},
)


def check_size(checked: EmbeddingRequest, model: Model, settings: Settings) -> None:
    """Check that the reply will not be too large, where the number of dimensions is known.

    Raises: InvalidRequest.
    """
    dimensions = checked.dimensions or model.dimensions
    if dimensions is None:
        return
    each = ENTRY_BYTES + dimensions * (BASE64_BYTES if checked.is_base64 else NUMBER_BYTES)
    most = int(settings.max_event_bytes / each)
    if checked.count > most:
        smaller = "" if checked.is_base64 else ', or the `encoding_format` "base64", which is a quarter'
        raise InvalidRequest(
            f"Invalid 'input': {checked.count} embeddings of {dimensions} numbers are too large for one "
            f"reply. Send at most {most} texts at once{smaller}.",
            param="input",
            code="array_above_max_length",
        )
