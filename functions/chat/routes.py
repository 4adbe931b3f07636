"""HTTP in, HTTP out."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from functions.shared.keys import Keyring

from . import body, validation
from .completions import Completions
from .errors import BodyTooLarge, ModelNotAllowed
from .event_stream import EventStreamResponse
from .json_text import dump
from .settings import Model, Settings

_STARTED = int(time.time())


def create_router(settings: Settings, completions: Completions) -> APIRouter:
    """Return the API's routes."""
    router = APIRouter(tags=["Chat"])
    keyring = Keyring(settings.keys)

    @router.post("/v1/chat/completions", summary="Create a chat completion", response_model=None)
    async def create_chat_completion(request: Request) -> Response:
        """Answer a list of messages; with `"stream": true`, as server-sent events that end with `[DONE]`."""
        allowed = keyring.models_for(request.headers.get("authorization"))
        parsed = await _json_body(request, settings.max_body_bytes)
        checked = validation.check(parsed)
        call = completions.prepare(parsed, checked, _request_id(request))
        _check_allowed(call.model, completions, allowed)
        if not checked.stream:
            return Response(dump(await completions.complete(call)), media_type="application/json")
        return await EventStreamResponse.open(completions.stream(call), settings.keep_alive_s)

    @router.get("/v1/models", summary="List the models", response_model=None)
    async def list_models(request: Request) -> Response:
        """List the models that this key may use."""
        allowed = keyring.models_for(request.headers.get("authorization"))
        models = [model for model in completions.models if _is_allowed(model, completions, allowed)]
        return JSONResponse({"object": "list", "data": [_card(model) for model in models]})

    @router.get("/v1/models/{model:path}", summary="Describe a model", response_model=None)
    async def retrieve_model(request: Request, model: str) -> Response:
        """Describe one model; `default` stands for the first."""
        allowed = keyring.models_for(request.headers.get("authorization"))
        found = completions.model(model)
        _check_allowed(found, completions, allowed)
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


def _is_allowed(model: Model, completions: Completions, allowed: frozenset[str]) -> bool:
    names = {model.id, "default"} if model is completions.models[0] else {model.id}
    return not allowed or bool(names & allowed)


def _check_allowed(model: Model, completions: Completions, allowed: frozenset[str]) -> None:
    if not _is_allowed(model, completions, allowed):
        raise ModelNotAllowed(
            f"This API key may not use the model `{model.id}`. `GET /v1/models` lists those it may."
        )


def _card(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": _STARTED, "owned_by": "chatbot-api"}


def _request_id(request: Request) -> str:
    return str(request.state.request_id)
