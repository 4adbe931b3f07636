"""The hook: a generated client's calls come as they are, before they would become GraphQL."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

_PRISMA = "0.15.0"
_MOST_SCHEMAS = 16  # plans have the name of their schema in their SQL


def install(package: str = "prisma", *, plans: Path | None = None, idle_check_s: float = 30) -> None:
    """Run a generated client's queries in this process; call it before the client's first `connect()`.

    `package` is the client's, where its generator has an `output`. `plans` is a file of plans made ahead of
    time. A connection that was not used for `idle_check_s` is checked before it is used.

    Raises: ImportError, where this cannot work; its text has the next step.
    """
    version = getattr(importlib.import_module(package), "__version__", "none")
    if version != _PRISMA:
        advice = f"Run: pip install prisma=={_PRISMA}, then: prisma generate"
        raise ImportError(f"Expected version {_PRISMA} of `{package}`, but got {version}. {advice}")
    try:
        client: Any = importlib.import_module(f"{package}.client")
    except ModuleNotFoundError as error:
        raise ImportError(f"Expected a generated client in `{package}`. Run: prisma generate") from error
    provider = client.Prisma(use_dotenv=False)._active_provider
    if provider not in ("postgresql", "postgres"):
        raise ImportError(f"Expected a client for postgresql in `{package}`, but it is for {provider}.")
    _hook(package, client, plans, idle_check_s)


def _hook(package: str, client: Any, ahead: Path | None, idle_check_s: float) -> None:
    # Not above: `prisma_in_process.url` is also for processes that have no driver.
    from .cache import Plans
    from .engine import Engine
    from .sync import SyncEngine

    sync = issubclass(client.Prisma, importlib.import_module(f"{package}._base_client").SyncBasePrisma)
    utils = importlib.import_module(f"{package}.engine.utils")

    @lru_cache(_MOST_SCHEMAS)
    def plans(schema: str) -> Plans:
        return Plans(client.PACKAGED_SCHEMA_PATH.read_text(), schema, ahead)

    def create_engine(self: Any, **_: object) -> Engine | SyncEngine:
        url = "" if self._datasource else self._default_datasource["url"]
        engine = Engine(utils, plans, url, log_queries=self._log_queries, idle_check_s=idle_check_s)
        return SyncEngine(engine) if sync else engine

    # A synchronous engine returns results, the other one coroutines.
    def execute(self: Any, method: str, arguments: dict[str, Any], **more: Any) -> Any:
        engine, more = self._engine, {"model": None, "root_selection": None, **more}
        return engine.run(self._make_query_builder(method=method, arguments=arguments, **more), self._tx_id)

    def add(self: Any, **call: Any) -> None:
        models, relations = client.PRISMA_MODELS, client.RELATIONAL_FIELD_MAPPINGS
        self._Batch__queries.append(
            client.QueryBuilder(**call, prisma_models=models, relational_field_mappings=relations)
        )

    def commit(self: Any) -> Any:
        calls, self._Batch__queries = self._Batch__queries, []
        return self._Batch__client._engine.run_batch(calls, self._Batch__client._tx_id)

    client.Prisma._create_engine, client.Prisma._execute = create_engine, execute
    client.Batch._add, client.Batch.commit = add, commit
