"""The shapes of replies, for `/openapi.json` only: JSON Schemas by name, and how a stream of each looks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

from functions.chat.models import SERVES
from functions.chat.streams.normalise import FINISH_REASONS
from functions.shared.keys import Period
from functions.shared.usage import UsageSum

Schema = dict[str, Any]


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _counts(*names: str) -> Schema:
    return _object({name: {"type": "integer"} for name in names})


def _limit(more: Schema) -> Schema:
    described = _object({"limit": _INTEGER, "used": _INTEGER, "remaining": _INTEGER, **more})
    return {**described, "type": ["object", "null"]}


_TEXT, _INTEGER, _OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "object"}
_NULLABLE_TEXT = {"type": ["string", "null"]}
_DATE = {"type": "string", "format": "date"}
_MODEL = _object(
    {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _INTEGER,
        "owned_by": _TEXT,
        "serves": _array({"enum": list(SERVES)}),
        "max_model_len": _INTEGER,
    },
    optional=("max_model_len",),
)
_MESSAGE = _object(
    {
        "role": {"const": "assistant"},
        "content": _NULLABLE_TEXT,
        "refusal": _NULLABLE_TEXT,
        "reasoning": _TEXT,
        "reasoning_content": _TEXT,
        "tool_calls": _array(_OBJECT),
    },
    optional=("reasoning", "reasoning_content", "tool_calls"),
)
_NULLABLE_INTEGER = {"type": ["integer", "null"]}
_AMOUNTS = {
    **{each.name: _INTEGER for each in fields(UsageSum) if each.name != "cost"},
    "cost": {"type": "number"},
}
_EMBEDDING = {"oneOf": [_array({"type": "number"}), {"type": "string", "contentEncoding": "base64"}]}
_USAGE = _counts("prompt_tokens", "completion_tokens", "total_tokens")
SCHEMAS: dict[str, Schema] = {
    "ChatCompletion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": _INTEGER,
            "model": _TEXT,
            "choices": _array(
                _object(
                    {
                        "index": _INTEGER,
                        "finish_reason": {"enum": sorted(FINISH_REASONS)},
                        "message": _MESSAGE,
                        "logprobs": {"type": ["object", "null"]},
                    }
                )
            ),
            "usage": _USAGE,
        },
        optional=("usage",),
    ),
    "Response": _object(
        {
            "id": _TEXT,
            "object": {"const": "response"},
            "created_at": _INTEGER,
            "status": {"enum": ["completed", "incomplete"]},
            "model": _TEXT,
            "output": _array(_OBJECT),
            "usage": _counts("input_tokens", "output_tokens", "total_tokens"),
        }
    ),
    "Completion": _object(
        {
            "id": _TEXT,
            "object": {"const": "text_completion"},
            "created": _INTEGER,
            "model": _TEXT,
            "choices": _array(
                _object(
                    {
                        "index": _INTEGER,
                        "text": _TEXT,
                        "logprobs": {"type": ["object", "null"]},
                        "finish_reason": {"enum": ["content_filter", "length", "stop"]},
                    }
                )
            ),
            "usage": _USAGE,
        },
        optional=("usage",),
    ),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "data": _array(
                _object({"object": {"const": "embedding"}, "index": _INTEGER, "embedding": _EMBEDDING})
            ),
            "model": _TEXT,
            "usage": _counts("prompt_tokens", "total_tokens"),
        }
    ),
    "Models": _object({"object": {"const": "list"}, "data": _array(_MODEL)}),
    "Model": _MODEL,
    "Key": _object(
        {
            "object": {"const": "key"},
            "id": _TEXT,
            "name": _TEXT,
            "models": _array(_TEXT),
            **dict.fromkeys(("created_at", "expires_at", "replaced_at"), _NULLABLE_INTEGER),
            "limits": _object(
                {
                    "requests_per_minute": _limit({"resets_in_s": {"type": "number"}}),
                    "tokens_per_minute": _limit({"resets_in_s": {"type": "number"}}),
                    "concurrent_requests": _limit({}),
                    "budget": _limit(
                        {
                            "period": {"enum": [*get_args(Period), None]},
                            "timezone": _NULLABLE_TEXT,
                            "resets_at": _NULLABLE_INTEGER,
                        }
                    ),
                }
            ),
        }
    ),
    "KeyUsage": _object(
        {
            "object": {"const": "list"},
            "data": _array(
                _object(
                    {
                        "object": {"const": "key.usage"},
                        "date": _DATE,
                        "model": _NULLABLE_TEXT,
                        **_AMOUNTS,
                    }
                )
            ),
            "since": _DATE,
            "until": _DATE,
            "total": _object(_AMOUNTS),
        }
    ),
    "Index": _object(
        {
            **dict.fromkeys(
                ("name", "version", "base_url", "models", "docs", "openapi", "chat", "usage"), _TEXT
            ),
            "endpoints": _array(_TEXT),
        },
        optional=("chat", "usage"),
    ),
    "Health": _object({"status": {"const": "ok"}}),
    "Error": _object(
        {
            "error": _object(
                {"message": _TEXT, "type": _TEXT, "param": _NULLABLE_TEXT, "code": _NULLABLE_TEXT},
            )
        }
    ),
}
# An event of a stream in the place of such a reply, and its end.
STREAMS = {
    "ChatCompletion": 'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795373005, '
    '"model": "tiny", "choices": [{"index": 0, "delta": {"content": "Why"}, "finish_reason": null}]}\n\n'
    "data: [DONE]\n\n",
    "Response": "event: response.output_text.delta\n"
    'data: {"type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1", '
    '"output_index": 0, "content_index": 0, "delta": "Why", "logprobs": []}\n\n',
    "Completion": 'data: {"id": "cmpl-1", "object": "text_completion", "created": 1795373005, '
    '"model": "tiny", "choices": [{"index": 0, "text": ", there", "logprobs": null, '
    '"finish_reason": null}]}\n\n'
    "data: [DONE]\n\n",
}
