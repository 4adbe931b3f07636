"""One engine with a database of its own, that answers steps.

Kinds: `here`, the engine in process; `literal`, the same without parameters in its requests; `sync`, the same
through a synchronous client. The recording was made beside a fourth, Prisma 5.17's engine under Node.js.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.integration.prisma.equivalence import clients, steps, variants
from tests.integration.prisma.equivalence.notation import Reader
from tests.postgres import Postgres


@dataclass
class Side:
    """One engine, and its database."""

    postgres: Postgres
    kind: str
    package: str
    database: str
    client: Any = None

    async def __aenter__(self) -> Side:
        client = clients.client(self.package, self.postgres.url(self.database))
        self.client = variants.Awaited(client) if self.kind == "sync" else client
        await self.client.connect()
        if self.kind == "literal":
            variants.make_literal(client)
        self.reader = Reader(self.package)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()

    async def answer(self, step: steps.Step) -> Any:
        if "sql" in step:
            await asyncio.to_thread(self.postgres.run_sql, step["sql"], self.database)
            return {"value": "done"}
        answer = await steps.run(self.client, self.reader, step)
        if _changes(step) and (_failed(answer) or _may_fail_inside(step)):
            await self.client.query_raw(clients.ALIGN)
        return answer


def _changes(step: steps.Step) -> bool:
    return "on" not in step or not step["call"].startswith(("find", "count", "group", "query"))


def _failed(answer: Any) -> bool:
    return "error" in json.dumps(answer)


def _may_fail_inside(step: steps.Step) -> bool:
    """Whether numbers of sequences may be lost though the step succeeds."""
    text = json.dumps(step)
    return any(word in text for word in ("upsert", "connect_or_create", "skip", "raise", "expire"))
