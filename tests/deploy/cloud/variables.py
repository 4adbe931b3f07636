"""The variables of functions that differ here from those on AWS; all others are the same."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def variables_here(config: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function's configuration with the variables that this machine replaces.

    Shape:  `here` holds `variables`, name → value, replaced where the function has them at all; `engine` and
            `bedrock`, where an engine of MODELS and Amazon Bedrock are reached; and `endpoint`, ministack's
            address, at which it serves Lambda and all Function URLs.
    """
    variables = dict((config.get("Environment") or {}).get("Variables") or {})
    variables |= {name: value for name, value in here["variables"].items() if name in variables}
    if "MODELS" in variables:
        models = json.loads(variables["MODELS"])
        variables["MODELS"] = json.dumps(
            {name: {**model, "base_url": _address(model, here)} for name, model in models.items()}
        )
    if "LAMBDA_ENDPOINT" in variables:
        variables["LAMBDA_ENDPOINT"] = here["endpoint"]
    return {**config, "Environment": {"Variables": variables}}


def _address(model: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    match model.get("credentials"):
        case "bedrock":
            return str(here["bedrock"])
        case "function_url":
            parts = urlsplit(model["base_url"])
            function = (parts.hostname or "").partition(".")[0]
            return f"{here['endpoint']}/_aws/lambda-url/{function}{parts.path}"
    return str(here["engine"])
