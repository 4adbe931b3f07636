"""`GET /v1/models` and `GET /v1/models/{id}`: the models that a key may use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.chat.errors import ModelNotAllowed, ModelNotFound, ModelNotServed
from functions.chat.models import SERVES, Model
from functions.chat.settings import Settings
from functions.shared.keys import Key

from .service import Service

_STARTED = int(time.time())


async def list_models(service: Service, request: Request) -> Response:
    """List the models that this key may use."""
    key = await service.authenticate(request)
    allowed = list(usable(service.settings, key))
    lengths = await service.context_lengths.of(allowed)
    return JSONResponse({"object": "list", "data": [_card(model, lengths) for model in allowed]})


async def retrieve_model(service: Service, request: Request) -> Response:
    """Describe one model; `default` stands for the first."""
    key = await service.authenticate(request)
    model = find_model(request.path_params["model"], service.settings, key)
    check_allowed(model, service.settings, key)
    return JSONResponse(_card(model, await service.context_lengths.of([model])))


def usable(settings: Settings, key: Key | None, what: str | None = None) -> Iterator[Model]:
    """Yield the listed models that a key may use, all of them or those that serve this."""
    for model in settings.listed.values():
        if _is_allowed(model, settings, key) and (what is None or what in model.serves):
            yield model


def find_model(name: str, settings: Settings, key: Key | None = None, what: str | None = None) -> Model:
    """Return the model that a name stands for.

    Raises: ModelNotFound, which names one that the key may use, and that serves what is requested.
    """
    if name not in settings.listed and name != "default":
        found = list(usable(settings, key, what))
        shown = "default" if settings.default_model in found else found[0].id if found else None
        advice = f" `{shown}` exists; `GET /v1/models` lists all that you may use." if shown else ""
        raise ModelNotFound(name[:60], advice=advice)
    return settings.listed.get(name) or settings.default_model


def check_allowed(model: Model, settings: Settings, key: Key | None) -> None:
    """Return if a key may use a model.

    Raises: ModelNotAllowed.
    """
    if not _is_allowed(model, settings, key):
        raise ModelNotAllowed(
            f"This API key may not use the model `{model.id}`. `GET /v1/models` lists those it may."
        )


def check_serves(model: Model, what: str, settings: Settings, key: Key | None) -> None:
    """Return if a model serves what is requested: `chat`, `completions` or `embeddings`.

    Raises: ModelNotServed, which names a model that does, if the key may use one.
    """
    if what not in model.serves:
        other = next(usable(settings, key, what), None)
        advice = f"`{other.id}` does." if other else "`GET /v1/models` lists what each model serves."
        serves = " and ".join(_served(model))
        raise ModelNotServed(f"The model `{model.id}` serves {serves}, not {what}. {advice}")


def fallbacks_of(model: Model, what: str, settings: Settings, key: Key | None) -> list[Model]:
    """Return the models that may answer for another: of those that it names, the ones that serve this.

    A model that callers can name answers only keys that may use it. An embedding is of use only beside others
    of the same model, whose name its engines have in common.
    """
    return [
        each
        for each in map(settings.models.__getitem__, model.fallback)
        if what in each.serves
        and (not each.listed or _is_allowed(each, settings, key))
        and (what != "embeddings" or each.served_name == model.served_name)
    ]


def _served(model: Model) -> list[str]:
    return [each for each in SERVES if each in model.serves]


def _is_allowed(model: Model, settings: Settings, key: Key | None) -> bool:
    names = {model.id, "default"} if model is settings.default_model else {model.id}
    return key is None or not key.models or bool(names & key.models)


def _card(model: Model, lengths: Mapping[str, int]) -> dict[str, Any]:
    card = {
        "id": model.id,
        "object": "model",
        "created": _STARTED,
        "owned_by": "chatbot-api",
        "serves": _served(model),
    }
    return {**card, "max_model_len": lengths[model.id]} if model.id in lengths else card
