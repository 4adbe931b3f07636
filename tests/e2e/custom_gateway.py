"""A gateway, opened as a library, whose function has settings that `make run` does not offer."""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.deployment import chat_function
from infra.local.lambda_service.service import run_lambda_service
from infra.local.processes import Guardian
from infra.local.settings import Settings


@contextmanager
def custom_gateway(backend: str, *, key: str, keep_alive_s: float) -> Iterator[str]:
    """Open a gateway in a thread, its model `scripted` behind `backend`, and yield its URL."""
    function = chat_function(Settings(backend=backend), {"scripted": {"base_url": backend}})
    keys = json.dumps({hashlib.sha256(key.encode()).hexdigest(): []})
    changed = {**function.environment, "API_KEYS": keys, "KEEP_ALIVE_S": str(keep_alive_s)}
    function = replace(function, environment=changed)
    console = Console(out=io.StringIO(), log=io.StringIO())
    with Guardian() as guardian, start_blocking_portal() as portal:
        opening = run_lambda_service([("/", function)], guardian=guardian, console=console)
        with portal.wrap_async_context_manager(opening) as gateway:
            yield gateway.url
