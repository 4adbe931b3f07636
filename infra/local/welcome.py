"""What the terminal says when everything is ready."""

from infra.local.settings import Settings

_TEXT = """\
The chat API answers on http://localhost:{port}

  docs      http://localhost:{port}/docs
  graphql   {graphql}
  model     {models}
  engine    {engine}
  database  {database}
  functions functions/chat, functions/todos: one process per request, as on Lambda, each at most {concurrency}

Try it:

  curl -N http://localhost:{port}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "default", "stream": true, "messages": [{{"role": "user", "content": "Tell me a joke"}}]}}'

Ctrl-C stops everything.
"""
_SHOWN_MODELS = 5


def welcome(settings: Settings, port: int, models: list[str], engine: str, database: str) -> str:
    """Say what runs where; a part that does not run is ""."""
    more = f" and {len(models) - _SHOWN_MODELS} more" if len(models) > _SHOWN_MODELS else ""
    return _TEXT.format(
        port=port,
        graphql=f"http://localhost:{port}/graphql" if database else "not served",
        models=f'{", ".join(models[:_SHOWN_MODELS])}{more} ("default" is {models[0]})',
        engine=f"llama.cpp on {engine}" if engine else settings.backend,
        database=database or "none",
        concurrency=settings.concurrency,
    )
