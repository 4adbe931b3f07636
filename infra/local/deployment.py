"""What is deployed on this machine: which functions, with which settings, behind which paths."""

import json

from infra.local.function import Function
from infra.local.models import KEY_VARIABLE, Models
from infra.local.settings import Settings


def chat_function(settings: Settings, models: Models) -> Function:
    """Describe the chat function, answering with these models."""
    environment = {"MODELS": json.dumps(models)}
    if settings.backend_key:
        environment[KEY_VARIABLE] = settings.backend_key
    if not settings.backend:
        environment["MAX_N"] = "4"
    return Function(
        name="chat",
        handler="functions/chat/handler.handler",
        environment=environment,
        timeout_s=settings.timeout_s,
        concurrency=settings.concurrency,
    )


def routes(settings: Settings, models: Models) -> list[tuple[str, Function]]:
    """Return (path prefix, function) for everything that is deployed; the first that fits wins."""
    return [("/", chat_function(settings, models))]
