"""A gateway, opened as a library, whose function has settings that `make run` does not offer."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.deployment import chat_function
from infra.local.lambda_service.service import run_lambda_service
from infra.local.processes import Guardian
from infra.local.settings import Settings
from tests.local_service import PER_ENVIRONMENT

CONCURRENCY = 24


@contextmanager
def custom_gateway(
    models: Mapping[str, Any], out: io.StringIO | None = None, /, **variables: str
) -> Iterator[str]:
    """Open a gateway in a thread, for a function with these models and variables, and yield its URL.

    Shape:  `out` gets the lines of its request log.
    """
    settings = Settings(backend="http://unused/v1", concurrency=CONCURRENCY, per_environment=PER_ENVIRONMENT)
    function = chat_function(settings, dict(models))
    function = replace(function, environment={**function.environment, **variables})
    console = Console(out=out or io.StringIO(), log=io.StringIO())
    with Guardian() as guardian, start_blocking_portal() as portal:
        opening = run_lambda_service([("/", function)], guardian=guardian, console=console)
        with portal.wrap_async_context_manager(opening) as gateway:
            yield gateway.url
