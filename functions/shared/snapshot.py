"""SnapStart keeps a function as it is once it has started: what is under way then is cut."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress


def before_snapshot(work: Callable[[], None]) -> None:
    """Have something done before the snapshot, where one is taken."""
    with suppress(ModuleNotFoundError):  # part of the managed runtime
        from snapshot_restore_py import register_before_snapshot  # type: ignore[import-untyped]

        register_before_snapshot(work)
