"""What functions are told otherwise here than on AWS, and nothing else is."""

import json
from collections.abc import Mapping
from typing import Any


def told_here(config: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function's configuration with the variables that this machine replaces.

    Shape:  `here` holds `variables`, name → value, replaced where the function has them at all, and `engine`,
            the base URL at which every model of MODELS is reached.
    """
    told = dict((config.get("Environment") or {}).get("Variables") or {})
    told |= {name: value for name, value in here["variables"].items() if name in told}
    if "MODELS" in told:
        models = json.loads(told["MODELS"])
        told["MODELS"] = json.dumps(
            {name: {**model, "base_url": here["engine"]} for name, model in models.items()}
        )
    return {**config, "Environment": {"Variables": told}}
