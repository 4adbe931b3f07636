import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.settings import CONCURRENCY, LOCAL, Settings
from infra.paths import ROOT

_TEXT = """\
The chat API answers on http://localhost:{port}

  chat      http://localhost:{port}/, or in another terminal: make chat{at}
  docs      http://localhost:{port}/docs
  graphql   {graphql}
  model     {models}
  engine    {engine}
  database  {database}
  functions {functions}
{keys}
Try it:

  curl -N http://localhost:{port}/v1/chat/completions -H 'Content-Type: application/json' \\
    {key}-d '{request}'

Ctrl-C stops everything.
"""
_FUNCTIONS = (
    "functions/chat, functions/todos: one process per request, as on Lambda, each at most {concurrency}"
)
_CONCURRENT = """\
functions/chat: {per_environment} requests in a process, as on Lambda Managed Instances, at most {concurrency}
            functions/todos: one process per request, at most {others}"""
_KEYS = """\
  key       {key}
  keys      moto's DynamoDB on {url}, in memory: keys and usage are lost when it stops

Make and manage keys:

  {environment} \\
    {python} -m functions.keys list
"""
_REQUEST = '{"model": "default", "stream": true, "messages": [{"role": "user", "content": "Tell me a joke"}]}'
_SHOWN_MODELS = 5
# Those that the command needs; the others only shield it from settings of this machine.
_SHOWN_VARIABLES = (
    "KEYS_TABLE",
    "DYNAMODB_ENDPOINT",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)


def welcome(
    settings: Settings,
    port: int,
    models: list[str],
    engine: str,
    database: str,
    key: str = "",
    keys: Mapping[str, str] | None = None,
) -> str:
    """Return the text that says what runs where; a part that does not run is "".

    Shape:  `keys` are the variables with which the command reaches the keys, None where none is required.
    """
    python, embedded = Path(sys.executable), f"llama.cpp on {engine}"
    addresses = ", ".join(dict.fromkeys(entry["base_url"] for entry in settings.models.values()))
    engines = [
        addresses or settings.backend or embedded,
        embedded if settings.fallback == LOCAL else settings.fallback,
    ]
    functions = _FUNCTIONS if settings.per_environment == 1 else _CONCURRENT
    more = f" and {len(models) - _SHOWN_MODELS} more" if len(models) > _SHOWN_MODELS else ""
    return _TEXT.format(
        port=port,
        at="" if port == 8000 else f" PORT={port}",
        graphql=f"http://localhost:{port}/graphql" if database else "not served",
        models=f'{", ".join(models[:_SHOWN_MODELS])}{more} ("default" is {models[0]})',
        engine=", else ".join(filter(None, engines)),
        database=database or "none",
        functions=functions.format(
            concurrency=settings.chat_concurrency,
            per_environment=settings.per_environment,
            others=settings.concurrency or CONCURRENCY,
        ),
        request=_REQUEST,
        keys=_KEYS.format(
            key=key,
            url=keys["DYNAMODB_ENDPOINT"],
            environment=" ".join(f"{name}={keys[name]}" for name in _SHOWN_VARIABLES),
            python=python.relative_to(ROOT) if python.is_relative_to(ROOT) else python,
        )
        if keys
        else "",
        key=f"-H {shlex.quote(f'Authorization: Bearer {key}')} \\\n    " if keys else "",
    )
