"""What a bundled Prisma client imports in the place of its generator, httpx and Pydantic 1.

`prisma_imports` copies this file into the client; nothing else imports it.
"""

from __future__ import annotations

import enum
import os
import types
from contextvars import ContextVar
from typing import Any, Literal, Union, get_args, get_origin

from typing_extensions import is_typeddict

__all__ = ["get_args", "get_origin", "is_typeddict"]

# Of prisma.generator.
PartialModelField = dict[str, Any]
partial_models_ctx: ContextVar[list[Any]] = ContextVar("partial_models_ctx")


class EngineType(enum.StrEnum):
    """The kinds of engine; the client knows one."""

    binary = "binary"


class BinaryPaths:
    """Where the generator found engines: nothing reads it."""

    @classmethod
    def model_validate(cls, paths: object) -> object:
        """Return them."""
        return paths


class OptionalValueFromEnvVar:
    """An address in the schema, or the name of the variable that has it."""

    def __init__(self, *, value: str | None, fromEnvVar: str | None) -> None:  # noqa: N803
        self._value, self._name = value, fromEnvVar

    def resolve(self) -> str:
        """Return the address.

        Raises: RuntimeError, where the variable is not set.
        """
        value = os.environ.get(self._name or "") if self._value is None else self._value
        if value is None:
            raise RuntimeError(f"Environment variable not found: {self._name}")
        return value


class _Named:
    """Stands for classes that annotations name, and of which defaults of calls are made."""

    def __init__(self, *_: object, **__: object) -> None:
        pass


AsyncClient = Client = Headers = Limits = Response = Timeout = _Named

# Of an engine's process, which there is not.
Metric = Metrics = MetricHistogram = _Named
config = None


# Of pydantic.v1.
class Extra(enum.StrEnum):
    """What a model does with other fields."""

    forbid = "forbid"


def is_union(annotation: object) -> bool:
    """Return whether an annotation's origin is that of a union."""
    return annotation is Union or annotation is types.UnionType


def is_literal_type(annotation: object) -> bool:
    """Return whether an annotation is a Literal."""
    return get_origin(annotation) is Literal
