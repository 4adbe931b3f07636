"""SnapStart takes a snapshot of a function after its start; work in progress would be cut off by it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress


def before_snapshot(work: Callable[[], None]) -> None:
    """Run work before the snapshot, where one is taken."""
    with suppress(ModuleNotFoundError):  # part of the managed runtime
        from snapshot_restore_py import register_before_snapshot  # type: ignore[import-untyped]

        register_before_snapshot(work)
