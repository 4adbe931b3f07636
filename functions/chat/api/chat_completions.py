"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.chat.engines.engine import EngineRequest, Reader
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.grammar_call import GrammarCalls

from . import call_grammar, chat_schema, fields, media, messages, prompt_size
from .answer import Endpoint, answer
from .chat_schema import ChatCompletionRequest
from .service import Service


async def create_chat_completion(service: Service, request: Request) -> Response:
    """Answer a list of messages; with `"stream": true`, as server-sent events that end with `[DONE]`."""
    return await answer(service, request, CHAT_COMPLETIONS)


async def prepare(
    parsed: dict[str, Any], checked: ChatCompletionRequest, model: Model, settings: Settings, request_id: str
) -> EngineRequest:
    """Turn a checked request into the engine's, and check its media.

    Raises: InvalidRequest.
    """
    call = engine_request(parsed, checked, model, settings, request_id)
    await media.check(media.media_of(checked.messages), model)
    return call


CHAT_COMPLETIONS = Endpoint(
    serves="chat", check=chat_schema.check, prepare=prepare, writer=lambda *_: ChatWriter()
)


def engine_request(
    parsed: dict[str, Any],
    checked: ChatCompletionRequest,
    model: Model,
    settings: Settings,
    request_id: str,
    *,
    as_values: bool = False,
) -> EngineRequest:
    """Turn a checked request into the engine's: our defaults and limits, the engine's name for the model.

    Shape:  `as_values`: a stream is read into values, for a writer of another shape.
    Raises: InvalidRequest.
    """
    fields.check_limits(checked, model, settings)
    fields.check_engine_can(checked, model)
    messages.fit(checked.messages, model)
    allowed = checked.max_completion_tokens or checked.max_tokens or model.max_tokens_default
    sent = fields.select(parsed, checked, model, allowed)
    by_schema = checked.needs_call and model.kind.forces_calls == "json_schema"
    if by_schema:
        call_grammar.force_by_schema(sent)
    found = list(media.media_of(sent["messages"]))
    pieces = media.in_pieces(sent, found)
    prompt = prompt_size.of_chat(b"".join(pieces[::2]), found, sent, model)
    reader = _reader(checked, model, settings, request_id, by_schema=by_schema, as_values=as_values)
    return EngineRequest(
        model=model,
        path="chat/completions",
        body=pieces if found else pieces[0],
        stream=checked.stream,
        reader=(lambda: GrammarCalls(reader())) if by_schema else reader,
        request_id=request_id,
        about_prompt=prompt.about,
        most_of_prompt=prompt.most,
        max_completion=checked.n * allowed,
    )


def _reader(
    checked: ChatCompletionRequest,
    model: Model,
    settings: Settings,
    request_id: str,
    *,
    by_schema: bool,
    as_values: bool,
) -> Callable[[], Reader]:
    expects_call = checked.needs_call and not by_schema
    tagged = model.kind.tags_reasoning
    if not checked.stream:
        return partial(
            ChatReply,
            model=model.id,
            n=checked.n,
            request_id=request_id,
            expects_call=expects_call,
            tagged=tagged,
        )
    options = checked.stream_options
    counts = options.include_usage and options.continuous_usage_stats and model.kind.continuous_usage
    return partial(
        ChatStream,
        model=model.id,
        n=checked.n,
        include_usage=options.include_usage,
        continuous_usage=counts,
        expects_call=expects_call,
        tagged=tagged,
        as_values=as_values,
        max_event_bytes=settings.max_event_bytes,
    )
