"""REST API events: the caller's path, and the prefix of it that leads to the API.

| the API is called by | `path` of the event | `path` of its request context |
| --- | --- | --- |
| its own address | `/docs` | `/dev/docs`: with the stage |
| a domain of one's own | `/base/docs`: with the base path, if it is mapped to one | the same |

The app sees the caller's path, and the prefix as ASGI's `root_path`, so that the links it makes lead back to
it. Both come from API Gateway alone: no header of the caller's has a part in it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from mangum.handlers import APIGateway as MangumAPIGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Scope

_PARAMETER = re.compile(r"\{([^{}+]+)\+?\}")


class APIGateway(MangumAPIGateway):
    """Payload v1 of a REST API, under Mangum's name for it; an HTTP API's has a version."""

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:
        """Say whether an event is one."""
        return "version" not in event and super().infer(event, context, config)

    @property
    def scope(self) -> Scope:
        """Return the ASGI scope of the request."""
        prefix, path = split_path(self.event)
        return {**super().scope, "path": unquote(prefix + path), "root_path": unquote(prefix)}


def split_path(event: dict[str, Any]) -> tuple[str, str]:
    """Return the prefix, and the path behind it.

    Shape:  the prefix is empty or `/dev`, without a slash at its end; the path begins with one.
    Source: Amazon API Gateway, "Lambda proxy integrations"; what the paths hold, from issues with events of
            each kind (serverless-express 86 and 216, localstack 12296); read 2026-11-23.
    """
    context, path = event["requestContext"], event["path"] or "/"
    stage = f"/{context.get('stage')}"
    visible = context.get("path") or path
    if visible.rstrip("/") == (stage + path).rstrip("/"):
        return stage, path
    # The resource's own path is what a domain's mapping leads to; where it cannot be found, all is path.
    own, prefix = _resource_path(event).rstrip("/"), path.rstrip("/")
    if not prefix.endswith(own):
        return "", path
    prefix = prefix.removesuffix(own)
    return prefix, path[len(prefix) :] or "/"


def _resource_path(event: dict[str, Any]) -> str:
    """Return the resource with its parameters filled in: `/docs` for `/{proxy+}`."""
    parameters = event.get("pathParameters") or {}
    return _PARAMETER.sub(lambda found: parameters.get(found[1], found[0]), event["resource"])
