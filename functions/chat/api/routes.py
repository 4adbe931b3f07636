"""HTTP in, HTTP out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from functions.chat.api import body, validation
from functions.chat.completions import Completions
from functions.chat.errors import ApiError, BodyTooLarge, ModelNotAllowed
from functions.chat.json_text import dump
from functions.chat.settings import Model, Settings
from functions.chat.streams.response import EventStreamResponse
from functions.chat.usage import Meter
from functions.shared.keys import Key, Keyring, authorization_in

_STARTED = int(time.time())


def create_router(settings: Settings, completions: Completions, keyring: Keyring, meter: Meter) -> APIRouter:
    """Return the API's routes."""
    router = APIRouter(tags=["Chat"])

    @router.post("/v1/chat/completions", summary="Create a chat completion", response_model=None)
    async def create_chat_completion(request: Request) -> Response:
        """Answer a list of messages; with `"stream": true`, as server-sent events that end with `[DONE]`."""
        key = await keyring.authenticate(authorization_in(request.headers))
        account = request.state.account = meter.account(key, request.state.reply_id, _remaining_ms(request))
        try:
            parsed = await _json_body(request, settings.max_body_bytes)
            checked = validation.check(parsed)
            call = completions.prepare(parsed, checked, _request_id(request))
            _check_allowed(call.model, completions, key)
            await account.admit(call)
        except ApiError:
            await account.refused()
            raise
        if checked.stream:
            events = account.stream(completions.stream(call, account.tally))
            return await EventStreamResponse.open(events, settings.keep_alive_s)
        async with account:
            reply = await completions.complete(call, account.tally)
        return Response(dump(reply), media_type="application/json")

    @router.get("/v1/models", summary="List the models", response_model=None)
    async def list_models(request: Request) -> Response:
        """List the models that this key may use."""
        key = await keyring.authenticate(authorization_in(request.headers))
        models = [model for model in completions.models if _is_allowed(model, completions, key)]
        return JSONResponse({"object": "list", "data": [_card(model) for model in models]})

    @router.get("/v1/models/{model:path}", summary="Describe a model", response_model=None)
    async def retrieve_model(request: Request, model: str) -> Response:
        """Describe one model; `default` stands for the first."""
        key = await keyring.authenticate(authorization_in(request.headers))
        found = completions.model(model)
        _check_allowed(found, completions, key)
        return JSONResponse(_card(found))

    @router.get("/health", summary="Tell that the function runs", response_model=None)
    async def health() -> Response:
        """Tell that the function runs; no engine is asked."""
        return JSONResponse({"status": "ok"})

    return router


async def _json_body(request: Request, max_bytes: int) -> dict[str, Any]:
    body.check_media_type(
        request.headers.get("content-type", ""), request.headers.get("content-encoding", "")
    )
    raw = await request.body()
    if len(raw) > max_bytes:
        raise BodyTooLarge(f"The body is too large: {len(raw)} bytes. Expected at most {max_bytes}.")
    return body.parse_json(raw)


def _is_allowed(model: Model, completions: Completions, key: Key | None) -> bool:
    names = {model.id, "default"} if model is completions.models[0] else {model.id}
    return key is None or not key.models or bool(names & key.models)


def _check_allowed(model: Model, completions: Completions, key: Key | None) -> None:
    if not _is_allowed(model, completions, key):
        raise ModelNotAllowed(
            f"This API key may not use the model `{model.id}`. `GET /v1/models` lists those it may."
        )


def _card(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": _STARTED, "owned_by": "chatbot-api"}


def _request_id(request: Request) -> str:
    return str(request.state.request_id)


def _remaining_ms(request: Request) -> Callable[[], int] | None:
    """Return what tells how long the invocation may still take; None outside of Lambda."""
    return getattr(request.scope.get("aws.context"), "get_remaining_time_in_millis", None)
