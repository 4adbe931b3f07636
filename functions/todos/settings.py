"""The todo function's settings, read from environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from prisma_in_process.url import InvalidUrl, read_url

from functions.shared.environment import SettingsError, count, seconds, switch
from functions.shared.settings import AccessSettings, access_from

from .limits import Limits


class Settings(AccessSettings, kw_only=True):
    """The function's settings.

    Shape:  `database_secret`: the ARN of the secret with the database's address; it takes precedence over
            `database_url`. `database_ca`: the file of the certificate authorities of that database.
            `graphiql`: the folder of GraphiQL's files; None: there is no page.
            If no key is needed, every caller shares all todos.
    Units:  `…_s` seconds.
    """

    database_url: str = field(default="", repr=False)
    database_secret: str | None = None
    database_ca: Path | None = None
    introspection: bool = True
    graphiql: Path | None = None
    query_timeout_s: float = 5.0
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from variables.

        Raises: SettingsError, naming the variable.
        """
        limits = {
            name: count(environ[variable], variable)
            for variable, name in LIMITS.items()
            if variable in environ
        }
        return cls(
            database_url="" if environ.get("DATABASE_SECRET") else _database_url(environ),
            database_secret=_database_secret(environ),
            database_ca=Path(environ["DATABASE_CA"]) if environ.get("DATABASE_CA") else None,
            introspection=switch(environ, "INTROSPECTION", default="on"),
            graphiql=Path(environ["GRAPHIQL"]) if environ.get("GRAPHIQL") else None,
            query_timeout_s=seconds(environ.get("QUERY_TIMEOUT_S", "5"), "QUERY_TIMEOUT_S"),
            limits=Limits(**limits),
            **access_from(environ),
        )


LIMITS = {
    "MAX_BODY_BYTES": "max_body_bytes",
    "MAX_TOKENS": "max_tokens",
    "MAX_DEPTH": "max_depth",
    "MAX_ALIASES": "max_aliases",
    "MAX_ROOT_FIELDS": "max_root_fields",
    "MAX_COST": "max_cost",
}


def _database_url(environ: Mapping[str, str]) -> str:
    """Return the database's address. No message quotes it, because it contains the password."""
    url = environ.get("DATABASE_URL", "")
    try:
        return read_url(url).text()
    except InvalidUrl as error:
        expected = str(error).partition(": ")[2]
        raise SettingsError(
            f"DATABASE_URL is {'invalid' if url else 'missing'}: {expected} "
            "`make run` sets it; when deployed, DATABASE_SECRET takes its place."
        ) from None


def _database_secret(environ: Mapping[str, str]) -> str | None:
    """Return the secret's ARN. No message quotes another text, because it may be the secret itself."""
    arn = environ.get("DATABASE_SECRET") or None
    if arn and not arn.startswith("arn:"):
        raise SettingsError(
            "DATABASE_SECRET: expected the ARN of a secret of Secrets Manager, which begins with arn:. "
            "It is a variable of the todo function."
        )
    return arn
