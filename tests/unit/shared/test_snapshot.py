"""What is done before SnapStart's snapshot."""

import sys

import pytest
import snapshot_restore_py  # type: ignore[import-untyped]

from functions.shared.snapshot import before_snapshot


def test_work_is_registered_with_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_restore_py, "_before_snapshot_registry", [])
    before_snapshot(print)
    assert snapshot_restore_py.get_before_snapshot() == [(print, (), {})]


def test_elsewhere_there_is_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    before_snapshot(print)
