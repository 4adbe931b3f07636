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
from functions.chat.errors import ApiError, BodyTooLarge, InvalidRequest
from functions.chat.json_text import dump
from functions.chat.settings import Model, Settings
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.response import EventStreamResponse
from functions.shared.keys import Key

from . import body, chat_schema, faults, fields, media, messages
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
        parsed = await _json_body(request, service.settings.max_body_bytes)
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
    _check_limits(checked, model, settings)
    fields.check_engine_can(checked, model)
    messages.fit(checked.messages, model)
    allowed = checked.max_completion_tokens or checked.max_tokens or model.max_tokens_default
    sent = fields.select(parsed, checked, model, allowed)
    raw = body.to_json(sent)
    media_tokens, media_bytes = media.measure(checked.messages)
    text_bytes = len(raw) - media_bytes
    return EngineRequest(
        model=model,
        path="chat/completions",
        body=raw,
        stream=checked.stream,
        reader=_reader(checked, model, settings, request_id),
        request_id=request_id,
        prompt_tokens=text_bytes // BYTES_PER_TOKEN + media_tokens + 1,
        prompt_tokens_most=(
            text_bytes + media_tokens + TEMPLATE_TOKENS + MESSAGE_TOKENS * len(checked.messages)
        ),
        max_completion=checked.n * allowed,
    )


def _reader(
    checked: ChatCompletionRequest, model: Model, settings: Settings, request_id: str
) -> Callable[[], Reader]:
    needs_call = checked.needs_call
    if not checked.stream:
        return partial(ChatReply, model=model.id, n=checked.n, request_id=request_id, expects_call=needs_call)
    options = checked.stream_options
    return partial(
        ChatStream,
        model=model.id,
        n=checked.n,
        include_usage=options.include_usage,
        continuous_usage=options.continuous_usage_stats and model.kind.continuous_usage,
        expects_call=needs_call,
        max_event_bytes=settings.max_event_bytes,
    )


async def _json_body(request: Request, max_bytes: int) -> dict[str, Any]:
    body.check_media_type(
        request.headers.get("content-type", ""), request.headers.get("content-encoding", "")
    )
    raw = await request.body()
    if len(raw) > max_bytes:
        raise BodyTooLarge(f"The body is too large: {len(raw)} bytes. Expected at most {max_bytes}.")
    return body.parse_json(raw)


def _check_limits(checked: ChatCompletionRequest, model: Model, settings: Settings) -> None:
    if len(checked.messages) > settings.max_messages:
        raise InvalidRequest(
            f"Invalid 'messages': array too long. Expected a length of at most "
            f"{settings.max_messages}, but got {len(checked.messages)} instead.",
            param="messages",
            code="array_above_max_length",
        )
    for param, value, limit in (
        ("n", checked.n, settings.max_n),
        ("max_tokens", checked.max_tokens or 0, model.max_tokens_limit),
        ("max_completion_tokens", checked.max_completion_tokens or 0, model.max_tokens_limit),
    ):
        if value > limit:
            raise faults.above_maximum("integer", value, limit, (None, param))
