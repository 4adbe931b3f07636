import json
import urllib.error
import urllib.request
from typing import Any

from infra.local.errors import CannotStart

Models = dict[str, dict[str, Any]]

EMBEDDED = "smollm2-135m-instruct"
KEY_VARIABLE = "BACKEND_KEY"
# Of the embedded engine's paths: llama.cpp serves some without a key, but none that has a prefix.
PREFIX = "/engine"
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


def embedded_models(base_url: str) -> Models:
    """Return the table for the embedded engine, whose key is in `KEY_VARIABLE`."""
    return {
        EMBEDDED: {
            "base_url": base_url,
            "engine": "llama.cpp",
            "key_variable": KEY_VARIABLE,
            "max_tokens_default": 512,
            "max_tokens_limit": 2048,
        }
    }


def backend_models(base_url: str, key: str) -> Models:
    """Return the table for an OpenAI-compatible server, with its models in its order: the first is `default`.

    Shape:  `engine` only where the server says what it is.
    Raises: CannotStart, where it does not return a list of models.
    """
    url = f"{base_url}/models"
    document = _fetch(url, key)
    try:
        owners = {str(model["id"]): str(model.get("owned_by")) for model in json.loads(document)["data"]}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise CannotStart(f"Expected a list of models at {url}, but got something else.") from error
    if not owners:
        raise CannotStart(f"The backend at {base_url} lists no models. Load one, then start again.")
    entry: dict[str, Any] = {"base_url": base_url, "max_tokens_default": 1024, "max_tokens_limit": 32768}
    if key:
        entry["key_variable"] = KEY_VARIABLE
    return {
        name: {**entry, **({"engine": _ENGINES[owner.lower()]} if owner.lower() in _ENGINES else {})}
        for name, owner in owners.items()
    }


def _fetch(url: str, key: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        error.close()
        hint = "Set BACKEND_KEY to its key." if error.code in (401, 403) else "Does BACKEND end in /v1?"
        raise CannotStart(f"The backend answered {error.code} at {url}. {hint}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise CannotStart(f"The backend cannot be reached at {url} ({reason}). Is it running?") from error
