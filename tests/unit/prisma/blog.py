"""A schema, the models that `prisma generate` would write for it, its compiler, a database that records."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Optional

from prisma._builder import QueryBuilder
from prisma.bases import _PrismaModel
from prisma.fields import Base64, Json
from prisma_in_process.compiler import QueryCompiler

SCHEMA = """
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
enum Role {
  USER
  ADMIN @map("the-admin")
}
model User {
  id     Int       @id @default(autoincrement())
  email  String    @unique
  role   Role      @default(USER)
  roles  Role[]
  tags   String[]
  metas  Json[]
  meta   Json?
  raw    Bytes?
  price  Decimal?
  score  Float?
  big    BigInt?
  ok     Boolean?
  mode   String?
  seen   DateTime?
  token  String    @default(cuid())
  posts  Post[]
}
model Post {
  id       Int        @id @default(autoincrement())
  title    String
  views    Int        @default(0)
  authorId Int?
  author   User?      @relation(fields: [authorId], references: [id])
  labels   Label[]
}
model Label {
  name  String @id
  posts Post[]
}
model Line {
  page Int
  no   Int
  text String
  @@id([page, no])
}
"""


class Role(enum.StrEnum):
    USER = "USER"
    ADMIN = "ADMIN"


class User(_PrismaModel):
    __prisma_model__: ClassVar[str] = "User"
    id: int
    email: str
    role: Role
    roles: list[Role]
    tags: list[str]
    metas: list[Json]
    meta: Json | None = None
    raw: Base64 | None = None
    price: Decimal | None = None
    score: float | None = None
    big: int | None = None
    ok: bool | None = None
    mode: str | None = None
    seen: dt.datetime | None = None
    token: str
    posts: Optional[list[Post]] = None  # noqa: UP045 - as `prisma generate` writes it


class Post(_PrismaModel):
    __prisma_model__: ClassVar[str] = "Post"
    id: int
    title: str
    views: int
    authorId: int | None = None  # noqa: N815
    author: User | None = None
    labels: list[Label] | None = None


class Label(_PrismaModel):
    __prisma_model__: ClassVar[str] = "Label"
    name: str
    posts: list[Post] | None = None


class Line(_PrismaModel):
    __prisma_model__: ClassVar[str] = "Line"
    page: int
    no: int
    text: str


MODELS = (User, Post, Label, Line)
RELATIONS = {
    "User": {"posts": "Post"},
    "Post": {"author": "User", "labels": "Label"},
    "Label": {"posts": "Post"},
    "Line": {},
}
for model in MODELS:
    model.model_rebuild()


def call(method: Any, model: Any, selection: list[str] | None = None, **arguments: Any) -> QueryBuilder:
    """Return what the client hands over, where `arguments` are those of its methods."""
    return QueryBuilder(
        method=method,
        model=model,
        arguments=arguments,
        root_selection=selection,
        prisma_models=set(RELATIONS),
        relational_field_mappings=RELATIONS,
    )


@cache
def compiler() -> QueryCompiler:
    return QueryCompiler(SCHEMA)


class Recorded:
    """A database that answers each statement with the next of its rows, and a count where it has none."""

    def __init__(self, *results: list[dict[str, Any]] | int | Exception) -> None:
        self.statements: list[tuple[str, list[Any]]] = []
        self.events: list[str] = []
        self._results = list(results)

    def _next(self, sql: str, values: list[Any]) -> Any:
        self.statements.append((sql, values))
        self.events.append(sql.split()[0])
        result = self._results.pop(0) if self._results else []
        if isinstance(result, Exception):
            raise result
        return [dict(row) for row in result] if isinstance(result, list) else result

    async def rows(self, sql: str, values: list[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._next(sql, values)
        return found

    async def execute(self, sql: str, values: list[Any]) -> int:
        count: int = self._next(sql, values)
        return count

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.events.append("BEGIN")
        try:
            yield
        except BaseException:
            self.events.append("ROLLBACK")
            raise
        self.events.append("COMMIT")
