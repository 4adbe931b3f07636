"""The document behind `/docs` and `/openapi.json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST
from functions.chat.api.checks import Object
from functions.chat.api.completion_schema import COMPLETION_REQUEST
from functions.chat.api.embedding_schema import EMBEDDING_REQUEST
from functions.chat.api.json_schema import REF, add_object
from functions.chat.api.response_schema import RESPONSE_REQUEST, SAME
from functions.chat.settings import SERVES, Model
from functions.chat.streams.normalise import FINISH_REASONS

_EXAMPLE = {
    "model": "default",
    "messages": [{"role": "user", "content": "Tell me a joke"}],
    "max_tokens": 0,
    "temperature": 0.7,
    "top_p": 1,
    "n": 1,
    "stream": False,
}
_STREAM = (
    'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795373005, "model": "tiny", '
    '"choices": [{"index": 0, "delta": {"content": "Why"}, "finish_reason": null}]}\n\ndata: [DONE]\n\n'
)
_RESPONSE_EXAMPLE = {"model": "default", "input": "Tell me a joke", "stream": False}
_RESPONSE_STREAM = (
    "event: response.output_text.delta\n"
    'data: {"type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1", '
    '"output_index": 0, "content_index": 0, "delta": "Why", "logprobs": []}\n\n'
)
_COMPLETION_EXAMPLE = {"model": "default", "prompt": "Once upon a time", "max_tokens": 32, "stream": False}
_COMPLETION_STREAM = (
    'data: {"id": "cmpl-1", "object": "text_completion", "created": 1795373005, "model": "tiny", '
    '"choices": [{"index": 0, "text": ", there", "logprobs": null, "finish_reason": null}]}\n\n'
    "data: [DONE]\n\n"
)
_EMBEDDING_EXAMPLE = {"model": "default", "input": ["I forgot my password", "How do I log in?"]}
_REQUESTS: dict[str, tuple[Object, dict[str, Any], str | None]] = {
    "/v1/chat/completions": (CHAT_COMPLETION_REQUEST, _EXAMPLE, _STREAM),
    "/v1/responses": (RESPONSE_REQUEST, _RESPONSE_EXAMPLE, _RESPONSE_STREAM),
    "/v1/completions": (COMPLETION_REQUEST, _COMPLETION_EXAMPLE, _COMPLETION_STREAM),
    "/v1/embeddings": (EMBEDDING_REQUEST, _EMBEDDING_EXAMPLE, None),
}


class Application(Protocol):
    """What is described."""

    title: str
    version: str
    description: str

    @property
    def routes(self) -> Sequence[Any]:
        """The routes of Starlette, each with its summary, description and tags."""


def describe(app: Application, models: Iterable[Model]) -> dict[str, Any]:
    """Return the OpenAPI document: the routes, with the bodies of requests, replies and errors.

    Shape:  a request has OpenAI's fields, and those that the engine of any of the models is sent.
    """
    from fastapi.openapi.utils import get_openapi  # with a lighter application, only this needs FastAPI

    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas: dict[str, Any] = {}
    models = tuple(models)
    extra = {name for model in models for name in model.extra_fields}
    own = extra.union(*(model.kind.own for model in models))
    for rule, *_ in _REQUESTS.values():
        add_object(rule, schemas)
        described = schemas[rule.name]
        described["additionalProperties"] = False
        for name in sorted(extra if rule is EMBEDDING_REQUEST else own):
            only = {"description": "Only for models whose engine reads it."}
            described["properties"].setdefault(name, only)
    properties = schemas[CHAT_COMPLETION_REQUEST.name]["properties"]
    schemas[RESPONSE_REQUEST.name]["properties"] |= {name: properties[name] for name in sorted(SAME)}
    components["schemas"] = {
        **schemas,
        "ChatCompletion": _COMPLETION,
        "Response": _RESPONSE,
        "Completion": _TEXT,
        "Embeddings": _EMBEDDINGS,
        "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}}),
        "Model": _MODEL,
        "Health": _object({"status": {"const": "ok"}}),
        "Error": _object({"error": _ERROR}),
    }
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{}, {"key": []}]
    for path, schema in _REPLIES.items():
        for operation in document["paths"][path].values():
            operation["responses"] = _responses(schema)
    for path, (rule, example, stream) in _REQUESTS.items():
        operation = document["paths"][path]["post"]
        reference = {"$ref": REF + rule.name}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference, "example": example}},
        }
        if stream:
            operation["responses"]["200"]["content"]["text/event-stream"] = {"example": stream}
    return document


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_NULLABLE_STRING = {"type": ["string", "null"]}
_ERROR = _object(
    {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "param": _NULLABLE_STRING,
        "code": _NULLABLE_STRING,
    }
)
_MODEL = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
        "serves": {"type": "array", "items": {"enum": list(SERVES)}},
        "max_model_len": {"type": "integer"},
    },
    optional=("max_model_len",),
)
_USAGE = _object(
    {name: {"type": "integer"} for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
)
_COMPLETION = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {
            "type": "array",
            "items": _object(
                {
                    "index": {"type": "integer"},
                    "finish_reason": {"enum": sorted(FINISH_REASONS)},
                    "message": _object(
                        {
                            "role": {"const": "assistant"},
                            "content": _NULLABLE_STRING,
                            "refusal": _NULLABLE_STRING,
                            "tool_calls": {"type": "array", "items": {"type": "object"}},
                        },
                        optional=("tool_calls",),
                    ),
                    "logprobs": {"type": ["object", "null"]},
                }
            ),
        },
        "usage": _USAGE,
    },
    optional=("usage",),
)
_TEXT = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "text_completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {
            "type": "array",
            "items": _object(
                {
                    "index": {"type": "integer"},
                    "text": {"type": "string"},
                    "logprobs": {"type": ["object", "null"]},
                    "finish_reason": {"enum": ["content_filter", "length", "stop"]},
                }
            ),
        },
        "usage": _USAGE,
    },
    optional=("usage",),
)
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_EMBEDDINGS = _object(
    {
        "object": {"const": "list"},
        "data": {
            "type": "array",
            "items": _object(
                {
                    "object": {"const": "embedding"},
                    "index": {"type": "integer"},
                    "embedding": {"oneOf": [_NUMBERS, {"type": "string", "contentEncoding": "base64"}]},
                }
            ),
        },
        "model": {"type": "string"},
        "usage": _object({name: {"type": "integer"} for name in ("prompt_tokens", "total_tokens")}),
    }
)
_RESPONSE = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "response"},
        "created_at": {"type": "integer"},
        "status": {"enum": ["completed", "incomplete"]},
        "model": {"type": "string"},
        "output": {"type": "array", "items": {"type": "object"}},
        "usage": _object(
            {name: {"type": "integer"} for name in ("input_tokens", "output_tokens", "total_tokens")}
        ),
    }
)
_REPLIES = {
    "/v1/chat/completions": "ChatCompletion",
    "/v1/responses": "Response",
    "/v1/completions": "Completion",
    "/v1/embeddings": "Embeddings",
    "/v1/models": "Models",
    "/v1/models/{model}": "Model",
    "/health": "Health",
}


def _responses(schema: str) -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": REF + name}}}

    return {
        "200": {"description": "The answer.", "content": content(schema)},
        "4XX": {"description": "The request cannot be answered as it is.", "content": content("Error")},
        "5XX": {"description": "The engine or this API failed.", "content": content("Error")},
    }
