"""Translate Prisma's query compiler for every processor: `.venv/bin/python infra/install/compiler.py`."""

from __future__ import annotations

import sys
from pathlib import Path

PRISMA = Path(__file__).resolve().parents[2] / "layers" / "prisma"
WASM = PRISMA / "node_modules/@prisma/query-compiler-wasm/postgresql/query_compiler_small_bg.wasm"
sys.path.insert(0, str(PRISMA / "python"))

if __name__ == "__main__":
    from prisma_in_process.compiler import precompile

    precompile(WASM)
