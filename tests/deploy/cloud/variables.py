"""The variables of functions that differ here from those on AWS; all others are the same."""

import json
from collections.abc import Mapping
from typing import Any


def variables_here(config: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function's configuration with the variables that this machine replaces.

    Shape:  `here` holds `variables`, name → value, replaced where the function has them at all, and `engine`,
            the base URL at which every model of MODELS is reached.
    """
    variables = dict((config.get("Environment") or {}).get("Variables") or {})
    variables |= {name: value for name, value in here["variables"].items() if name in variables}
    if "MODELS" in variables:
        models = json.loads(variables["MODELS"])
        variables["MODELS"] = json.dumps(
            {name: {**model, "base_url": here["engine"]} for name, model in models.items()}
        )
    return {**config, "Environment": {"Variables": variables}}
