"""The API's routes, as data: an app of any framework can be made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .chat_completions import create_chat_completion
from .completions import create_completion
from .embeddings import create_embeddings
from .models import list_models, retrieve_model
from .pages import health, index, page_file
from .responses import create_response
from .service import Service


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; the endpoint's docstring describes it.

    Shape:  `openapi` is added to the operation in `/openapi.json`; one that is not `listed` has none there.
    """

    method: str
    path: str
    endpoint: Callable[[Service, Request], Awaitable[Response]]
    summary: str
    openapi: Mapping[str, Any] = field(default_factory=dict)
    listed: bool = True


_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
ROUTES = (
    Route("POST", "/v1/chat/completions", create_chat_completion, "Create a chat completion"),
    Route("POST", "/v1/responses", create_response, "Create a response"),
    Route("POST", "/v1/completions", create_completion, "Create a completion"),
    Route("POST", "/v1/embeddings", create_embeddings, "Create embeddings"),
    Route("GET", "/v1/models", list_models, "List the models"),
    Route("GET", "/v1/models/{model:path}", retrieve_model, "Describe a model", {"parameters": [_MODEL]}),
    Route("GET", "/health", health, "Report that the function runs"),
    Route("GET", "/", index, "Open the chat page, or list what is served here", listed=False),
    Route("GET", "/page/{digest}/{name}", page_file, "Load a file of the chat page", listed=False),
)
