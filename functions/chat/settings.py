"""The chat function's settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from functions.chat.models import Model, models_from
from functions.shared.environment import count, seconds
from functions.shared.settings import AccessSettings, access_from
from functions.shared.usage import KEEP_RECORDS_DAYS

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS: dict[str, tuple[str, Any]] = {
    "max_body_bytes": ("MAX_BODY_BYTES", count),
    "max_event_bytes": ("MAX_EVENT_BYTES", count),
    "max_messages": ("MAX_MESSAGES", count),
    "max_n": ("MAX_N", count),
    "keep_alive_s": ("KEEP_ALIVE_S", seconds),
    "connect_timeout_s": ("CONNECT_TIMEOUT_S", seconds),
    "stream_silence_s": ("STREAM_SILENCE_S", seconds),
    "reply_timeout_s": ("REPLY_TIMEOUT_S", seconds),
    "warming_timeout_s": ("WARMING_TIMEOUT_S", seconds),
    "keep_records_days": ("KEEP_RECORDS_DAYS", count),
}


class Settings(AccessSettings, kw_only=True):
    """The function's settings.

    Shape:  `models` by public id, in the order given.
            `metrics`: the namespace of the metrics.
            `page`: the folder of what the chat page loads; None: there is no page.
            `lambda_endpoint`: where Lambda's API is, which calls scalers; None: where AWS has it.
    Units:  `…_s` seconds, `…_bytes` bytes.
    """

    models: Mapping[str, Model]
    metrics: str | None = None
    page: Path | None = None
    lambda_endpoint: str | None = None
    max_body_bytes: int = 4 * 1024 * 1024
    max_event_bytes: int = 16 * 1024 * 1024
    max_messages: int = 2048
    max_n: int = 8
    keep_alive_s: float = 10.0
    connect_timeout_s: float = 2.0
    stream_silence_s: float = 120.0
    reply_timeout_s: float = 600.0
    warming_timeout_s: float = 840.0
    keep_records_days: int = KEEP_RECORDS_DAYS

    @cached_property
    def listed(self) -> Mapping[str, Model]:
        """The models that callers can name; the first is `default`."""
        return {name: model for name, model in self.models.items() if model.listed}

    @property
    def currency(self) -> str | None:
        """That of the prices of its models; None, where none has prices."""
        return next((model.prices.currency for model in self.models.values() if model.prices), None)

    @property
    def default_model(self) -> Model:
        """The model that `default` stands for."""
        return next(iter(self.listed.values()))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from variables.

        Raises: SettingsError, naming the variable.
        """
        numbers = {
            name: number(environ[variable], variable)
            for name, (variable, number) in _NUMBERS.items()
            if variable in environ
        }
        page = None
        if environ.get("CHAT_PAGE"):
            from pathlib import Path  # here: without a page nothing else imports it

            page = Path(environ["CHAT_PAGE"])
        return cls(
            models=models_from(environ),
            metrics=environ.get("METRICS") or None,
            page=page,
            lambda_endpoint=environ.get("LAMBDA_ENDPOINT") or None,
            **access_from(environ),
            **numbers,
        )
