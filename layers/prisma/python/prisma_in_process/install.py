"""The hook: a generated client's calls come as they are, before they would become GraphQL."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def install(package: str = "prisma", *, plans: Path | None = None) -> None:
    """Let a generated client use this engine; call it before the first `connect()`."""
    from . import engine  # not before: the module `url` is for those who have no client, too

    engine.PLANS = plans
    base = importlib.import_module(f"{package}._base_client")
    client = importlib.import_module(f"{package}.client")
    if package != "prisma":
        engine.utils = importlib.import_module(f"{package}.engine.utils")

    async def execute(
        self: Any, *, method: Any, arguments: Any, model: Any = None, root_selection: Any = None
    ) -> Any:
        builder = self._make_query_builder(
            method=method, model=model, arguments=arguments, root_selection=root_selection
        )
        return await self._engine.ask(builder, self._tx_id)

    def add(self: Any, **kwargs: Any) -> None:
        self._Batch__queries.append(
            client.QueryBuilder(
                **kwargs,
                prisma_models=client.PRISMA_MODELS,
                relational_field_mappings=client.RELATIONAL_FIELD_MAPPINGS,
            )
        )

    async def commit(self: Any) -> None:
        queries, self._Batch__queries = self._Batch__queries, []
        db = self._Batch__client
        await db._engine.ask_all(queries, db._tx_id)

    base.AsyncQueryEngine = engine.InProcessEngine
    base.AsyncBasePrisma._execute = execute
    client.Batch._add, client.Batch.commit = add, commit
