"""What the todo function is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.shared.environment import SettingsError, count, seconds, switch
from functions.shared.keys import keys_from

from .limits import Limits


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The function's settings.

    Shape:  `graphiql`: the folder of GraphiQL's files; None: there is no page.
            `keys`: SHA-256 (hex) of each API key. `keys_table`: the DynamoDB table that keeps keys and limits
            instead; it wins. Neither: no key is needed, and all todos are everyone's.
    Units:  `…_s` seconds.
    """

    database_url: str = field(repr=False)
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    keys_table: str | None = None
    dynamodb_endpoint: str | None = None
    introspection: bool = True
    graphiql: Path | None = None
    query_timeout_s: float = 5.0
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from variables.

        Raises: SettingsError, naming the variable.
        """
        _check_engine(environ)
        return cls(
            database_url=_database_url(environ),
            keys=keys_from(environ),
            keys_table=environ.get("KEYS_TABLE") or None,
            dynamodb_endpoint=environ.get("DYNAMODB_ENDPOINT") or None,
            introspection=switch(environ, "INTROSPECTION", default="on"),
            graphiql=Path(environ["GRAPHIQL"]) if environ.get("GRAPHIQL") else None,
            query_timeout_s=seconds(environ.get("QUERY_TIMEOUT_S", "5"), "QUERY_TIMEOUT_S"),
            limits=Limits(**_limits(environ)),
        )


LIMITS = {
    "MAX_BODY_BYTES": "max_body_bytes",
    "MAX_TOKENS": "max_tokens",
    "MAX_DEPTH": "max_depth",
    "MAX_ALIASES": "max_aliases",
    "MAX_ROOT_FIELDS": "max_root_fields",
    "MAX_COST": "max_cost",
}


def _limits(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: count(environ[variable], variable) for variable, name in LIMITS.items() if variable in environ
    }


def _check_engine(environ: Mapping[str, str]) -> None:
    """Refuse to start without what Prisma itself reads: it would look for an engine in odd places."""
    if not environ.get("PRISMA_QUERY_ENGINE_BINARY"):
        raise SettingsError(
            "PRISMA_QUERY_ENGINE_BINARY is missing: it says where Prisma's query engine is. "
            "`make run` sets it; when deployed, it is /opt/query-engine, from the layer."
        )


def _database_url(environ: Mapping[str, str]) -> str:
    """Return where the database is; its text is in no message, for it has the password in it."""
    url = environ.get("DATABASE_URL", "")
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(
            f"DATABASE_URL {'is not of the form' if url else 'is missing: it has the form'} "
            "postgresql://<user>:<password>@<host>:<port>/<database>. "
            "`make run` sets it; when deployed, it is a variable of the todo function."
        )
    return url
