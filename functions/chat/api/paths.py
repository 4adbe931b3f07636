"""What callers mean by a path: other spellings of our routes, and where every other path should have gone.

Shape:  paths begin behind what API Gateway puts before them (a stage, a base path), which is the `root`.
"""

from __future__ import annotations

import re

from starlette.types import Scope

_DOCS = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json"})
_SLASHES = re.compile("//+")
# The paths that OpenAI's clients add to their base URL, where that lacks its `/v1`.
_WITHOUT_VERSION = re.compile("/(?:chat/)?completions|/embeddings|/responses|/models(?:/.+)?")
_CHAT, _RESPONSES = "POST {root}/v1/chat/completions", "POST {root}/v1/responses"
# The first that fits the whole path, without `/v1`s and what other services put before theirs.
_MEANT = (
    (
        r"/(?:chat|chat/completions?(?:/.*)?|chat/complete|(?:engines|deployments)/[^/]+/chat/completions?)",
        f"Expected {_CHAT}: the base URL of your client is {{root}}/v1.",
    ),
    (
        r"/(?:completions?|(?:engines|deployments)/[^/]+/completions?)(?:/.*)?",
        "Expected POST {root}/v1/completions, with the `model` in the body.",
    ),
    (
        r"/(?:embed|embeddings?|(?:engines|deployments)/[^/]+/embeddings?)(?:/.*)?",
        "Expected POST {root}/v1/embeddings, with the `model` in the body.",
    ),
    (
        r"/(?:models?|tags)(?:/.*)?",
        "Expected GET {root}/v1/models: the base URL of your client is {root}/v1.",
    ),
    (
        r"/(?:responses?|(?:engines|deployments)/[^/]+/responses)",
        f"Expected {_RESPONSES}: the base URL of your client is {{root}}/v1.",
    ),
    (
        r"/responses/(?:input_tokens|compact)",
        f"This endpoint is not served here; the `usage` of {_RESPONSES} counts its tokens.",
    ),
    (
        r"/(?:responses|conversations|threads|assistants)(?:/.*)?",
        f"Responses are not kept: send the earlier items in `input` of {_RESPONSES}.",
    ),
    (
        r"/(?:files|uploads|images|audio)(?:/.*)?",
        f"Files, images and audio are not served here; a message of {_CHAT} may hold an image.",
    ),
    (
        r"/(?:batch|batches|realtime)(?:/.*)?",
        f"This endpoint is not served here: send each request to {_CHAT}.",
    ),
    (
        r"/(?:messages|generate|moderations|rerank|vector_stores|fine_tuning"
        r"|engines|deployments)(?:/.*)?",
        f"This endpoint is not served here: use your client's mode for chat completions, {_CHAT}.",
    ),
    (
        r"/(?:keys?|api_keys|auth|usage|spend|user|credits?|costs|organization|global|dashboard)(?:/.*)?",
        "Expected GET {root}/v1/key for what your key may do and what is left of it, or"
        " GET {root}/v1/key/usage for what it has used.",
    ),
    (r"/(?:health[^/]*|ping|status|livez|ready|readyz)", "Expected GET {root}/health."),
    (r"/?", "The base URL for clients is {root}/v1; {root}/docs shows what it serves."),
)
_BEFORE = r"(?:/(?:v\d+|api|openai|proxy|compatible-mode)(?=/|$))*"


def routed(scope: Scope) -> Scope:
    """Return a scope whose path is spelt as its route's, and whose HEAD is a GET."""
    root = scope.get("root_path", "")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "path": root + normal(scope["path"].removeprefix(root))}


def is_of_docs(scope: Scope) -> bool:
    """Return whether a request is for the documentation, which FastAPI serves beside our routes."""
    path = normal(scope["path"].removeprefix(scope.get("root_path", "")))
    return path in _DOCS or path.startswith("/static-offline-docs/")


def normal(path: str) -> str:
    """Return a path with single slashes, none at its end, and with `/v1` where that alone is missing."""
    path = _SLASHES.sub("/", path).rstrip("/") or "/"
    return f"/v1{path}" if _WITHOUT_VERSION.fullmatch(path) else path


def advice(path: str, root: str) -> str:
    """Return what to call in place of a path that is no route."""
    before = re.match(_BEFORE, path, re.IGNORECASE)
    rest = path[before.end() :] if before else path
    text = next((text for form, text in _MEANT if re.fullmatch(form, rest, re.IGNORECASE)), None)
    return (text or "The routes are listed at {root}/docs.").format(root=root)
