import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from infra.local.errors import CannotStart

Models = dict[str, dict[str, Any]]

EMBEDDED = "smollm2-135m-instruct"
KEY_VARIABLE, FALLBACK_KEY_VARIABLE = "BACKEND_KEY", "FALLBACK_KEY"
EMBEDDING_KEY_VARIABLE = "EMBEDDING_KEY"
# Of the embedded engine's paths: llama.cpp serves some without a key, but none that has a prefix.
PREFIX = "/engine"
# What a model can serve → its path.
SERVES = {"chat": "chat/completions", "completions": "completions", "embeddings": "embeddings"}
_TIMEOUT_S = 5
# What an engine's list of models says of their owner → the kind of engine.
_ENGINES = {
    "vllm": "vllm",
    "llamacpp": "llama.cpp",
    "sglang": "sglang",
    "library": "ollama",
    "openai": "openai",
    "system": "openai",
}


class Unreachable(CannotStart):
    """Nothing answers at the address of a server."""


def embedded_models(base_url: str, key_variable: str = KEY_VARIABLE, *, embeds: bool = True) -> Models:
    """Return the table for the embedded engine, whose key is in the variable.

    Shape:  `embeds`: there is no embedding model.
    """
    return {
        EMBEDDED: {
            "base_url": base_url,
            "engine": "llama.cpp",
            "key_variable": key_variable,
            "max_tokens_default": 512,
            "max_tokens_limit": 2048,
            "serves": [name for name in SERVES if embeds or name != "embeddings"],
            "dimensions": 576,
        }
    }


def embedding_models(name: str, base_url: str) -> Models:
    """Return the table for the engine of an embedding model."""
    return {
        name: {
            "base_url": base_url,
            "engine": "llama.cpp",
            "key_variable": EMBEDDING_KEY_VARIABLE,
            "serves": ["embeddings"],
        }
    }


def backend_models(
    base_url: str, key: str, key_variable: str = KEY_VARIABLE, serves: Sequence[str] = ()
) -> Models:
    """Return the table for an OpenAI-compatible server, with its models in its order: the first is `default`.

    Shape:  `engine` only where the server says what it is; `serves` where that is given, or where it is a
            vLLM, which has chat or embeddings.
    Raises: CannotStart, where it does not return a list of models; Unreachable.
    """
    url = f"{base_url}/models"
    document = _fetch(url, key, key_variable)
    try:
        owners = {str(model["id"]): str(model.get("owned_by")) for model in json.loads(document)["data"]}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        hint = f"Does {key_variable.removesuffix('_KEY')} end in /v1?"
        raise CannotStart(f"Expected a list of models at {url}, but got something else. {hint}") from error
    if not owners:
        raise CannotStart(f"The server at {base_url} lists no models. Load one, then start again.")
    entry: dict[str, Any] = {"base_url": base_url, "max_tokens_default": 1024, "max_tokens_limit": 32768}
    if key:
        entry["key_variable"] = key_variable
    models = {
        name: {**entry, **({"engine": _ENGINES[owner.lower()]} if owner.lower() in _ENGINES else {})}
        for name, owner in owners.items()
    }
    is_vllm = all(entry.get("engine") == "vllm" for entry in models.values())
    if is_vllm and not serves:
        serves = [name for name, path in SERVES.items() if _has_route(f"{base_url}/{path}", key)]
    return {name: {**entry, "serves": list(serves)} for name, entry in models.items()} if serves else models


def with_fallbacks(models: Models, others: Models | None = None) -> Models:
    """Return a table where others answer for models: the one of the same name, else the first of the others.

    Shape:  the models in their order, then the others that answer for any; callers cannot name these.
    """
    if not others:
        return models
    chosen = {name: name if name in others else next(iter(others)) for name in models}
    ids = {name: f"fallback/{name}" if name in models else name for name in chosen.values()}
    return {
        **{name: {**entry, "fallback": [ids[chosen[name]]]} for name, entry in models.items()},
        **{own: {**others[name], "served_name": name, "listed": False} for name, own in ids.items()},
    }


def _has_route(url: str, key: str) -> bool:
    """Return whether a server takes POST at an address: then it says that it does not take GET.

    One that says nothing in time may take it.
    """
    try:
        urllib.request.urlopen(_request(url, key), timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 405
    except TimeoutError:
        return True
    except (OSError, ValueError):
        pass
    return False


def _request(url: str, key: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})


def _fetch(url: str, key: str, key_variable: str) -> bytes:
    try:
        with urllib.request.urlopen(_request(url, key), timeout=_TIMEOUT_S) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        error.close()
        variable = key_variable.removesuffix("_KEY")
        hint = (
            f"Set {key_variable} to its key." if error.code in (401, 403) else f"Does {variable} end in /v1?"
        )
        raise CannotStart(f"The server answered {error.code} at {url}. {hint}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"The server cannot be reached at {url} ({reason}). Is it running?") from error
