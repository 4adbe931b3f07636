"""The environment variables of a function: this shell's, and those that it cannot work without."""

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.emulator.errors import CannotInvoke
from infra.local.errors import CannotStart
from infra.local.services.env_file import read_env_file
from infra.local.services.models import EMBEDDED, backend_models
from infra.local.settings import REGION, Settings
from infra.paths import ROOT

ENV_FILE = ROOT / ".env"
# Not passed on: another Python's, and another Lambda's.
_NOT_PASSED_ON = ("PYTHON", "LAMBDA_", "AWS_LAMBDA_", "_")


def variables_of(function: str, task: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a function's variables; `task` is the folder of its code.

    Raises: CannotInvoke.
    """
    kept = {name: text for name, text in environ.items() if text and not name.startswith(_NOT_PASSED_ON)}
    try:
        needed = _chat(environ, task) if function == "chat" else _todos(environ, task)
    except CannotStart as error:
        raise CannotInvoke(str(error)) from error
    return {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "PATH": os.defpath, **needed, **kept}


def _chat(environ: Mapping[str, str], task: Path) -> dict[str, str]:
    return {"CHAT_PAGE": str(task / "chat-page"), **_models(environ)}


def _models(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an engine: that of MODELS or BACKEND, else that of `make run`."""
    if environ.get("MODELS"):
        return {}
    settings = Settings.from_environment(environ)
    if settings.backend:
        table = backend_models(settings.backend, settings.backend_key, serves=settings.serves)
        return {"MODELS": json.dumps(table)}
    try:
        socket.create_connection(("127.0.0.1", settings.port), timeout=1).close()
    except OSError:
        print(
            f"No engine: `make run` is not running on port {settings.port}. BACKEND names another.",
            file=sys.stderr,
        )
    base_url = f"http://127.0.0.1:{settings.port}/v1"
    return {"MODELS": json.dumps({EMBEDDED: {"base_url": base_url, "served_name": "default"}})}


def _todos(environ: Mapping[str, str], task: Path) -> dict[str, str]:
    variables = {"GRAPHIQL": str(task / "graphiql")}
    if environ.get("DATABASE_URL") or environ.get("DATABASE_SECRET"):
        return variables
    url = read_env_file(ENV_FILE)
    if not url:
        raise CannotInvoke(
            f"Expected the todos' database in DATABASE_URL or {ENV_FILE}, but found none. "
            "`make run` starts one and writes the file."
        )
    return {**variables, "DATABASE_URL": url}
