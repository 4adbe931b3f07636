"""Notes the order of SnapStart's hooks; FAIL_HOOK names one that fails."""

import os

from snapshot_restore_py import (  # type: ignore[import-untyped]
    register_after_restore,
    register_before_snapshot,
)

from tests.integration.streaming import apps


def hook(name: str) -> None:
    apps.note(name)
    if os.environ.get("FAIL_HOOK") == name:
        raise RuntimeError("hook failed")


register_before_snapshot(hook, "before 1")
register_before_snapshot(hook, "before 2")
register_after_restore(hook, "after 1")
register_after_restore(hook, "after 2")
apps.note("imported")

handler = apps.handler
