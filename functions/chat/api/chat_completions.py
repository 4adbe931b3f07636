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

from . import body, chat_schema, faults
from .chat_schema import ChatCompletionRequest
from .models import check_allowed, find_model
from .service import Invocation, Service

DEFAULT_TEMPERATURE = 0.7
BYTES_PER_TOKEN = 4
# What one image, recording or file is taken for; its bytes are not text.
MEDIA_TOKENS = 1000
MEDIA = ("image_url", "input_audio", "file")
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
    sent = {key: value for key, value in parsed.items() if value is not None}
    sent["model"] = model.served_name
    sent.setdefault("temperature", DEFAULT_TEMPERATURE)
    allowed = checked.max_completion_tokens or checked.max_tokens or model.max_tokens_default
    if checked.max_completion_tokens:
        sent.pop("max_tokens", None)
    else:
        sent["max_tokens"] = allowed
    sent.pop("stream_options", None)
    reader: Callable[[], Reader] = partial(ChatReply, model=model.id, n=checked.n, request_id=request_id)
    if checked.stream:
        sent["stream_options"] = {"include_usage": True}
        include_usage = bool(checked.stream_options and checked.stream_options.include_usage)
        reader = partial(ChatStream, model=model.id, n=checked.n, include_usage=include_usage)
    raw = body.to_json(sent)
    media = [part for message in checked.messages for part in _media(message)]
    text_bytes = len(raw) - sum(len(body.to_json(part)) for part in media)
    media_tokens = MEDIA_TOKENS * len(media)
    return EngineRequest(
        model=model,
        path="chat/completions",
        body=raw,
        stream=checked.stream,
        reader=reader,
        request_id=request_id,
        prompt_tokens=text_bytes // BYTES_PER_TOKEN + media_tokens + 1,
        prompt_tokens_most=(
            text_bytes + media_tokens + TEMPLATE_TOKENS + MESSAGE_TOKENS * len(checked.messages)
        ),
        max_completion=checked.n * allowed,
    )


def _media(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [part for part in content if part["type"] in MEDIA] if isinstance(content, list) else []


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
