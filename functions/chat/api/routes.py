"""The API's routes, as data: an app of any framework can be made of them.

What is only needed by some requests is imported by the first of them: most functions only chat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.shared.frozen import Frozen

from .answer import answer
from .chat_completions import create_chat_completion
from .models import list_models, retrieve_model
from .pages import health, index, page_file, usage_page
from .service import Service


class Route(Frozen):
    """One method of one path, and what `/openapi.json` says of it beside the endpoint's docstring.

    Shape:  `reply` is of `reply_schema.SCHEMAS`; "": nothing is said. `example`: a body without its model.
            `serves`: what a model must serve to answer it. `of_keys`: it is about the caller's key.
    """

    method: str
    path: str
    endpoint: Callable[[Service, Request], Awaitable[Response]]
    summary: str
    reply: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    serves: str = ""
    needs_key: bool = True
    of_keys: bool = False


async def create_response(service: Service, request: Request) -> Response:
    """Answer a text or a list of items; with `"stream": true`, as server-sent events."""
    from .responses import RESPONSES

    return await answer(service, request, RESPONSES)


async def create_completion(service: Service, request: Request) -> Response:
    """Continue a text; with `"stream": true`, as server-sent events that end with `[DONE]`."""
    from .completions import COMPLETIONS

    return await answer(service, request, COMPLETIONS)


async def create_embeddings(service: Service, request: Request) -> Response:
    """Turn texts into lists of numbers that are close to each other where the texts mean the same."""
    from .embeddings import EMBEDDINGS

    return await answer(service, request, EMBEDDINGS)


async def retrieve_key(service: Service, request: Request) -> Response:
    """Return what the key that is sent may do, and what is left of its limits; that uses nothing of them."""
    from . import key

    return await key.retrieve_key(service, request)


async def list_key_usage(service: Service, request: Request) -> Response:
    """List what the key that is sent has used, by day of UTC and model, the oldest first."""
    from . import key

    return await key.list_key_usage(service, request)


_JOKE = "Tell me a joke"
ROUTES = (
    Route(
        "POST",
        "/v1/chat/completions",
        create_chat_completion,
        "Create a chat completion",
        "ChatCompletion",
        {
            "messages": [{"role": "user", "content": _JOKE}],
            "max_tokens": 0,
            "temperature": 0.7,
            "top_p": 1,
            "n": 1,
            "stream": False,
        },
        serves="chat",
    ),
    Route(
        "POST",
        "/v1/responses",
        create_response,
        "Create a response",
        "Response",
        {"input": _JOKE, "stream": False},
        serves="chat",
    ),
    Route(
        "POST",
        "/v1/completions",
        create_completion,
        "Create a completion",
        "Completion",
        {"prompt": "Once upon a time", "max_tokens": 32, "stream": False},
        serves="completions",
    ),
    Route(
        "POST",
        "/v1/embeddings",
        create_embeddings,
        "Create embeddings",
        "Embeddings",
        {"input": ["I forgot my password", "How do I log in?"]},
        serves="embeddings",
    ),
    Route("GET", "/v1/models", list_models, "List the models", "Models"),
    Route("GET", "/v1/models/{model:path}", retrieve_model, "Describe a model", "Model"),
    Route("GET", "/v1/key", retrieve_key, "Describe the key", "Key", of_keys=True),
    Route("GET", "/v1/key/usage", list_key_usage, "List what the key has used", "KeyUsage", of_keys=True),
    Route("GET", "/health", health, "Report that the function runs", "Health", needs_key=False),
    Route("GET", "/", index, "Open the chat page, or list what is served here", "Index", needs_key=False),
    Route("GET", "/usage", usage_page, "Open the usage page"),
    Route("GET", "/page/{digest}/{name}", page_file, "Load a file of a page"),
)
