"""SnapStart's hooks, in the order that AWS promises.

Source: AWS Lambda, "Lambda SnapStart runtime hooks", Python; awslambdaric 4.2.2; read 2026-11-22.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

Hook = tuple[Callable[..., object], Sequence[Any], Mapping[str, Any]]


def run_before_snapshot() -> None:
    """Run what was registered to run before a snapshot, the latest first."""
    if registry := _registry():
        _run(reversed(registry.get_before_snapshot()))


def run_after_restore() -> None:
    """Run what was registered to run after a restore, the earliest first."""
    if registry := _registry():
        _run(registry.get_after_restore())


def _registry() -> ModuleType | None:
    """Return the registry, part of the managed runtime; without it there are no hooks."""
    try:
        return importlib.import_module("snapshot_restore_py")
    except ModuleNotFoundError:
        return None


def _run(hooks: Iterable[Hook]) -> None:
    for function, arguments, keywords in hooks:
        function(*arguments, **keywords)
