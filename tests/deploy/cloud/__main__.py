"""ministack, with what it lacks: `python -m tests.deploy.cloud`, or `… abilities` to print what it can do.

Runs in ministack's own environment, so nothing but the standard library and ministack is imported here.
"""

import json
import os
import sys
from typing import Any

from ministack import app
from ministack.services.cloudformation import provisioners

from tests.deploy.cloud import (
    alarms,
    aurora,
    builds,
    environments,
    grants,
    ipv6,
    parameters,
    secrets,
    streamed,
)
from tests.deploy.noops import NO_OPS, NoOp

_CORRECTIONS = (alarms, grants, ipv6, parameters, secrets, streamed)


def print_abilities() -> None:
    """Print the types that ministack knows, and which of our corrections it still needs."""
    needed = [module.__name__.rpartition(".")[2] for module in _CORRECTIONS if module.needed()]
    print(json.dumps({"types": sorted(provisioners._RESOURCE_HANDLERS), "needed": needed}))


def serve() -> None:
    """Serve until SIGTERM; ministack's own variables have the address."""
    # Functions are started with our environment: they must not see this clone on their search path.
    os.environ.pop("PYTHONPATH", None)
    for name, no_op in NO_OPS.items():
        provisioners._RESOURCE_HANDLERS[name] = _handler(no_op)
    aurora.install(json.loads(os.environ.pop("DEPLOY_POSTGRES")))
    here = json.loads(os.environ.pop("DEPLOY_VARIABLES"))
    environments.install({**here, "endpoint": os.environ["AWS_ENDPOINT_URL"]})
    alarms.install()
    builds.install()
    grants.install()
    ipv6.install()
    parameters.install()
    secrets.install()
    streamed.install()
    sys.argv = ["ministack"]
    app.main()


def _handler(no_op: NoOp) -> dict[str, Any]:
    attributes = {name: f"none-{name.lower()}" for name in no_op.attributes}
    return {
        "create": lambda logical_id, _properties, stack: (f"{stack}-{logical_id}", attributes),
        "update": lambda physical_id, _old, _new, _stack: (physical_id, attributes),
        "delete": lambda _physical_id, _properties: None,
    }


if __name__ == "__main__":
    print_abilities() if sys.argv[1:] == ["abilities"] else serve()
