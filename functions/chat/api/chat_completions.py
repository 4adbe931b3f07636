"""`POST /v1/chat/completions`: HTTP in, an engine's events, HTTP out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.chat.engines.engine import EngineRequest, Failure, Reader, Reply
from functions.chat.errors import ApiError
from functions.chat.json_text import dump
from functions.chat.settings import Model, Settings
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.grammar_call import GrammarCalls
from functions.chat.streams.response import EventStreamResponse
from functions.shared.keys import Key

from . import body, call_grammar, chat_schema, fields, media, messages
from .chat_schema import ChatCompletionRequest
from .models import check_allowed, find_model
from .service import Invocation, Service

BYTES_PER_TOKEN = 4
# What a chat template adds to the text: once, and around each message.
TEMPLATE_TOKENS, MESSAGE_TOKENS = 512, 16


async def create_chat_completion(service: Service, request: Request) -> Response:
    """Answer a list of messages; with `"stream": true`, as server-sent events that end with `[DONE]`."""
    key = await service.authenticate(request)
    invocation = Invocation.of(request)
    account = service.meter.account(key, invocation.reply_id, invocation.remaining_ms)
    invocation.account = account
    try:
        parsed = await body.read_json(request, service.settings.max_body_bytes)
        checked = chat_schema.check(parsed)
        call = prepare(parsed, checked, service.settings, invocation.request_id, key)
        call = replace(call, headers=invocation.trace)
        check_allowed(call.model, service.settings, key)
        await media.check(checked.messages, call.model)
        await account.admit(call)
    except ApiError as error:
        await account.refuse(error)
        raise
    events = account.run(service.engine, call)
    if call.stream:
        return await EventStreamResponse.open(events, service.settings.keep_alive_s, service.render_end)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Failure):
                raise event.error
            if isinstance(event, Reply):
                reply = event.value
    return Response(dump(reply), media_type="application/json")


def prepare(
    parsed: dict[str, Any],
    checked: ChatCompletionRequest,
    settings: Settings,
    request_id: str,
    key: Key | None = None,
) -> EngineRequest:
    """Turn a checked request into the engine's: our defaults and limits, the engine's name for the model.

    Raises: ModelNotFound, InvalidRequest.
    """
    model = find_model(checked.model, settings, key)
    fields.check_limits(checked, model, settings)
    fields.check_engine_can(checked, model)
    messages.fit(checked.messages, model)
    allowed = checked.max_completion_tokens or checked.max_tokens or model.max_tokens_default
    sent = fields.select(parsed, checked, model, allowed)
    by_schema = checked.needs_call and model.kind.forces_calls == "json_schema"
    if by_schema:
        call_grammar.force_by_schema(sent)
    raw = body.to_json(sent)
    media_tokens, media_bytes = media.measure(checked.messages)
    text_bytes = len(raw) - media_bytes
    return EngineRequest(
        model=model,
        path="chat/completions",
        body=raw,
        stream=checked.stream,
        reader=_reader(checked, model, settings, request_id, by_schema=by_schema),
        request_id=request_id,
        prompt_tokens=text_bytes // BYTES_PER_TOKEN + media_tokens + 1,
        prompt_tokens_most=(
            text_bytes + media_tokens + TEMPLATE_TOKENS + MESSAGE_TOKENS * len(checked.messages)
        ),
        max_completion=checked.n * allowed,
    )


def _reader(
    checked: ChatCompletionRequest, model: Model, settings: Settings, request_id: str, *, by_schema: bool
) -> Callable[[], Reader]:
    expects_call = checked.needs_call and not by_schema
    options = checked.stream_options
    reader: Callable[[], Reader] = partial(
        ChatReply, model=model.id, n=checked.n, request_id=request_id, expects_call=expects_call
    )
    if checked.stream:
        reader = partial(
            ChatStream,
            model=model.id,
            n=checked.n,
            include_usage=options.include_usage,
            continuous_usage=(
                options.include_usage and options.continuous_usage_stats and model.kind.continuous_usage
            ),
            expects_call=expects_call,
            max_event_bytes=settings.max_event_bytes,
        )
    return (lambda: GrammarCalls(reader())) if by_schema else reader
