"""The settings of `make run`, read once from the environment."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.database_url import read_database_url
from infra.local.errors import CannotStart

REGION = "us-east-1"
# The value of FALLBACK that stands for the embedded engine.
LOCAL = "local"
# Of one function, at a time.
CONCURRENCY = 10
# What Lambda takes, and the gateway.
MAX_REQUEST_BYTES = 6 * 1024 * 1024
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AWS = re.compile("AWS_.+")
_SERVES = re.compile("chat|completions|embeddings")
_ORIGIN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#,*]+")


@dataclass(frozen=True)
class Settings:
    """The local deployment's settings.

    Shape:  `backend` is the base URL of an OpenAI-compatible server, "" for the embedded engine; `fallback`
            of another that answers where it cannot, LOCAL for the embedded engine, "" for none; `port` 0
            takes a free one. `database_url` is the todo API's database, "" for a Postgres that is started
            here and keeps its data in `postgres_dir`, None for the clone's. `concurrency` limits the requests
            of a function at a time; None is CONCURRENCY. `per_environment` is how many of them an environment
            of the chat function serves at a time. `auth`: API keys are required;
            `dev_key` is the first of them, "" for a generated one. `cors_origins` is for the functions, ""
            for none. `hosts` are names of this machine, beside localhost, that clients may use. `serves` is
            what the backend's models do, () where that is to be found out. `models` are all of them, in the
            place of a backend's, and `engine_variables` hold their keys and credentials. `embedding_model` is
            a GGUF file. The other settings are the chat function's and its models'; None, () and {} leave its
            defaults.
    """

    port: int = 8000
    backend: str = ""
    backend_key: str = field(default="", repr=False)
    fallback: str = ""
    fallback_key: str = field(default="", repr=False)
    concurrency: int | None = None
    per_environment: int = 1
    timeout_s: int = 900
    database_url: str = field(default="", repr=False)
    postgres_dir: Path | None = None
    auth: bool = False
    dev_key: str = field(default="", repr=False)
    cors_origins: str = ""
    hosts: tuple[str, ...] = ()
    max_body_bytes: int | None = None
    max_event_bytes: int | None = None
    media_hosts: tuple[str, ...] = ()
    extra_fields: tuple[str, ...] = ()
    prices: Mapping[str, Any] = field(default_factory=dict)
    serves: tuple[str, ...] = ()
    models: Mapping[str, Any] = field(default_factory=dict)
    engine_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    embedding_model: Path | None = None
    embedding_key: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables of `make run`, which docs/local.md lists.

        Raises: CannotStart, naming the variable.
        """
        models = _models(environment)
        return cls(
            port=_number(environment, "PORT", cls.port, 0, 65535),
            backend=_base_url(environment, "BACKEND"),
            backend_key=environment.get("BACKEND_KEY", ""),
            fallback=_fallback(environment),
            fallback_key=environment.get("FALLBACK_KEY", ""),
            concurrency=_number_if_given(environment, "CONCURRENCY", 1000),
            per_environment=_number(environment, "PER_ENVIRONMENT", cls.per_environment, 1, 64),
            timeout_s=_number(environment, "TIMEOUT_S", cls.timeout_s, 1, 900),
            database_url=read_database_url(environment.get("DATABASE_URL", "")),
            postgres_dir=Path(directory).resolve()
            if (directory := environment.get("POSTGRES_DIR"))
            else None,
            auth=_switch(environment, "AUTH"),
            dev_key=_key(environment.get("DEV_KEY", "")),
            cors_origins=_origins(environment.get("CORS_ORIGINS", "")),
            hosts=_names(environment, "HOSTS", _HOST, "host names like box.example, without a port"),
            max_body_bytes=_number_if_given(environment, "MAX_BODY_BYTES", MAX_REQUEST_BYTES),
            max_event_bytes=_number_if_given(environment, "MAX_EVENT_BYTES", 2**30),
            media_hosts=_names(environment, "MEDIA_HOSTS", _HOST, "host names like images.example.com"),
            extra_fields=_names(environment, "EXTRA_FIELDS", _FIELD, "fields of requests, like mirostat_tau"),
            embedding_model=Path(file).absolute() if (file := environment.get("EMBEDDING_MODEL")) else None,
            prices=_object(environment, "PRICES", '{"input": 0.15, "output": 0.6}'),
            models=models,
            engine_variables=_engine_variables(environment, models),
            serves=_names(environment, "SERVES", _SERVES, "of chat, completions and embeddings"),
        )

    @property
    def chat_concurrency(self) -> int:
        """The chat function's limit: by default no less than one environment serves."""
        return self.concurrency or max(CONCURRENCY, self.per_environment)


def _number(environment: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise CannotStart(f"Expected {name} to be a number from {lowest} to {highest}, but got {text!r}.")
    return int(text)


def _base_url(environment: Mapping[str, str], name: str, otherwise: str = "") -> str:
    text = environment.get(name, "")
    if text and not text.startswith(("http://", "https://")):
        expected = f"a URL like http://localhost:1234/v1{otherwise}"
        raise CannotStart(f"Expected {name} to be {expected}, but got {text!r}.")
    return text.rstrip("/")


def _fallback(environment: Mapping[str, str]) -> str:
    if environment.get("FALLBACK") != LOCAL:
        return _base_url(environment, "FALLBACK", f" or {LOCAL}")
    if not environment.get("BACKEND"):
        raise CannotStart("FALLBACK=local needs a BACKEND: without one, the local engine answers already.")
    return LOCAL


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "off"
    if text not in ("on", "off"):
        raise CannotStart(f"Expected {name} to be on or off, but got {text!r}.")
    return text == "on"


def _key(text: str) -> str:
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise CannotStart(
            "Expected DEV_KEY to be what a header can carry: printable ASCII, no space around it."
        )
    return text


def _origins(text: str) -> str:
    if text in ("", "*") or all(_ORIGIN.fullmatch(each.strip()) for each in text.split(",")):
        return text
    raise CannotStart(
        f"Expected CORS_ORIGINS to be origins like http://localhost:3000, separated by commas, or *, "
        f"but got {text!r}."
    )


def _number_if_given(environment: Mapping[str, str], name: str, highest: int) -> int | None:
    return _number(environment, name, 0, 1, highest) if environment.get(name) else None


def _object(environment: Mapping[str, str], name: str, example: str) -> dict[str, Any]:
    text = environment.get(name) or "{}"
    with suppress(ValueError, RecursionError):
        if isinstance(value := json.loads(text), dict):
            return value
    raise CannotStart(f"Expected {name} to be like {example}, but got {text!r}.")


def _models(environment: Mapping[str, str]) -> dict[str, Any]:
    models = _object(environment, "MODELS", '{"<name>": {"base_url": "http://localhost:1234/v1"}}')
    if models and (environment.get("BACKEND") or environment.get("FALLBACK")):
        raise CannotStart(
            "Expected MODELS without BACKEND and FALLBACK: it has all models, with their addresses."
        )
    if _needs_role(models) and _switch(environment, "AUTH"):
        raise CannotStart(
            "Expected no `scaler` and no `credentials` of AWS in MODELS together with AUTH=on, which gives "
            "the function the keys of its local DynamoDB instead."
        )
    return models


def _engine_variables(environment: Mapping[str, str], models: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the models' keys, and where a model needs yours, those of AWS's SDK."""
    keys = {entry.get("key_variable") for entry in models.values() if isinstance(entry, dict)}
    aws = _needs_role(models)
    return {
        name: value for name, value in environment.items() if name in keys or (aws and _AWS.fullmatch(name))
    }


def _needs_role(models: Mapping[str, Any]) -> bool:
    entries = [entry for entry in models.values() if isinstance(entry, dict)]
    return any(entry.get("scaler") or entry.get("credentials", "key") != "key" for entry in entries)


def _names(
    environment: Mapping[str, str], name: str, pattern: re.Pattern[str], expected: str
) -> tuple[str, ...]:
    names = tuple(each.strip() for each in environment.get(name, "").split(",") if each.strip())
    for each in names:
        if not pattern.fullmatch(each):
            raise CannotStart(f"Expected {name} to be {expected}, separated by commas, but got {each!r}.")
    return names
