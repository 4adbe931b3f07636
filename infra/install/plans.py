"""Compile the queries of the todo function: `.venv/bin/python infra/install/plans.py`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLANS = ROOT / "functions" / "todos" / "plans.json"

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "prisma" / "python")]
    sys.argv = ["functions.todos.plans", str(PLANS)]
    runpy.run_module("functions.todos.plans", run_name="__main__")
