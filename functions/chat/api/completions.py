"""`POST /v1/completions`."""

from __future__ import annotations

from functools import partial
from typing import Any

from functions.chat.engines.engine import EngineRequest
from functions.chat.errors import InvalidRequest
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.completions import Assembled, TextReply, TextStream
from functions.chat.streams.echo import EchoWriter

from . import body, completion_schema, faults, fields, prompt_size
from .answer import Endpoint
from .completion_schema import COMPLETION_REQUEST, CompletionRequest
from .prompt_size import PromptSize

DEFAULT_MAX_TOKENS = 16


async def prepare(
    parsed: dict[str, Any], checked: CompletionRequest, model: Model, settings: Settings, request_id: str
) -> EngineRequest:
    """Turn a checked request into the engine's: our defaults and limits, the engine's name for the model.

    Raises: InvalidRequest.
    """
    check_limits(checked, model, settings)
    limit = min(DEFAULT_MAX_TOKENS, model.max_tokens_limit)
    max_tokens = checked.max_tokens or limit
    choices = checked.prompts * checked.n
    assembled = model.kind.counts_by_choice and not checked.stream
    sent = select(parsed, checked, model, max_tokens, stream=checked.stream or assembled)
    options: dict[str, Any] = {"model": model.id, "n": choices, "logprobs": checked.logprobs}
    stream = partial(
        TextStream,
        **options,
        each=checked.n,
        include_usage=checked.include_usage,
        counts_by_choice=model.kind.counts_by_choice,
        max_event_bytes=settings.max_event_bytes,
        as_values=assembled,
    )
    whole = partial(TextReply, **options, request_id=request_id)
    raw = body.to_json(sent)
    # Ids of tokens are counted already; two more of each prompt are those that a tokenizer may add.
    ids = PromptSize(lambda: checked.ids, lambda: checked.ids + 2 * checked.prompts)
    prompt = ids if checked.ids else prompt_size.of_text(raw)
    return EngineRequest(
        model=model,
        path="completions",
        body=raw,
        stream=checked.stream,
        assembled=assembled,
        reader=stream if checked.stream else (lambda: Assembled(stream())) if assembled else whole,
        request_id=request_id,
        about_prompt=prompt.about,
        most_of_prompt=prompt.most,
        max_completion=choices * max_tokens,
    )


COMPLETIONS = Endpoint(
    serves="completions",
    check=completion_schema.check,
    prepare=prepare,
    writer=lambda checked, *_: EchoWriter(checked.texts, checked.n) if checked.texts else ChatWriter(),
    names={"messages": "prompt", "top_logprobs": "logprobs"},
)


def check_limits(checked: CompletionRequest, model: Model, settings: Settings) -> None:
    """Check a request against the limits of the API, of its model and of its engine.

    Raises: InvalidRequest.
    """
    sent_on = model.kind.text_fields
    most = settings.max_n if "n" in sent_on else 1
    if checked.n > most:
        raise faults.above_maximum("integer", checked.n, most, (None, "n"))
    if checked.prompts > most:
        raise faults.too_long("array", most, (None, "prompt"))
    if checked.prompts * checked.n > most:
        raise InvalidRequest(
            f"Invalid 'n': {checked.prompts} prompts with {checked.n} choices each are "
            f"{checked.prompts * checked.n} choices, and one request may have {most}. "
            "Lower 'n', or send fewer prompts.",
            param="n",
            code="integer_above_max_value",
        )
    if (checked.max_tokens or 0) > model.max_tokens_limit:
        raise faults.above_maximum(
            "integer", checked.max_tokens or 0, model.max_tokens_limit, (None, "max_tokens")
        )
    if checked.logprobs is not None and "logprobs" not in sent_on:
        raise InvalidRequest(
            "This engine gives no 'logprobs' with completions. Leave 'logprobs' out.",
            param="logprobs",
            code="unsupported_parameter",
        )


def select(
    parsed: dict[str, Any], checked: CompletionRequest, model: Model, max_tokens: int, *, stream: bool
) -> dict[str, Any]:
    """Return the body for the engine: the fields that it reads, and our defaults.

    Raises: InvalidRequest, for a field that is neither OpenAI's nor the engine's.
    """
    sent_on = model.kind.text_fields | model.extra_fields
    sent = {name: value for name, value in checked.fields.items() if name in sent_on}
    sent |= fields.others(parsed, COMPLETION_REQUEST.members, sent_on)
    sent.setdefault("temperature", fields.DEFAULT_TEMPERATURE)
    if isinstance(sent["prompt"], list) and checked.prompts == 1 and not isinstance(sent["prompt"][0], int):
        sent["prompt"] = sent["prompt"][0]  # some engines take no list
    if "logprobs" in sent:
        sent["logprobs"] = max(1, sent["logprobs"])  # for 0, llama.cpp gives none at all
    sent.pop("stream_options", None)
    if stream:
        sent |= {"stream": True, "stream_options": {"include_usage": True}}
    return {**sent, "model": model.served_name, "max_tokens": max_tokens}
