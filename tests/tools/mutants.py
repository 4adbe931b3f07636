"""`python -m tests.tools.mutants [count]`: how many small faults in functions and layers the tests find.

A fault is made from the syntax tree, in a copy of the clone; the tests of its folder run until the first
failure. The sample is drawn by a hash of the function's name and of the code, so a file that moves keeps its
faults. A fault that no test finds is printed with its file and line. Ends after 10 minutes at the latest.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
# How many faults of each 36 are in which folder, and which tests run for them.
SHARES = {
    "functions/chat": (14, ("tests/unit/chat", "tests/integration/chat")),
    "functions/todos": (7, ("tests/unit/todos", "tests/integration/todos")),
    "functions/shared": (6, ("tests/unit/shared", "tests/unit/keys", "tests/integration/shared")),
    "functions/keys": (3, ("tests/unit/keys", "tests/integration/keys")),
    "layers/streaming": (6, ("tests/unit/streaming", "tests/integration/streaming")),
}
COUNT = sum(share for share, _ in SHARES.values())
SEED = "2026-11-26"
AT_ONCE = 2
BUDGET_S = 600
TIMEOUT_S = 150
LEAST_KILLED = 0.8
OPTIONS = ("-x", "-q", "--no-header", "-m", "not slow and not nightly")
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".local", "node_modules", "__pycache__", "cdk.out")
# Made by the set-up: the copy shares them.
SHARED = (".venv", "node_modules", "layers/prisma/node_modules")
PAIRS = ((ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Is, ast.IsNot), (ast.In, ast.NotIn))
OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    one: other for pair in PAIRS for one, other in (pair, pair[::-1])
}
_Def = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """A piece of a file, and what stands there instead; `start` and `end` count bytes."""

    path: Path
    line: int
    function: str
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        place = f"{self.path.relative_to(ROOT)}:{self.line}"
        return f"{place}  {self.function}: {self.old[:50]!r} → {self.new[:50]!r}"

    @property
    def folder(self) -> str:
        return next(folder for folder in SHARES if self.path.is_relative_to(ROOT / folder))

    @property
    def rank(self) -> str:
        """Place in the draw: the same wherever the function stands."""
        return hashlib.sha256(f"{SEED} {self.function} {self.old} {self.new}".encode()).hexdigest()

    def source(self) -> bytes:
        whole = self.path.read_bytes()
        return whole[: self.start] + self.new.encode() + whole[self.end :]


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of the functions of a module."""
    source = path.read_bytes()
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, _Def):
            continue
        for node in (inner for statement in function.body for inner in ast.walk(statement)):
            for new in _replacements(node):
                assert isinstance(node, ast.expr | ast.stmt)
                start = starts[node.lineno - 1] + node.col_offset
                end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
                yield Mutant(path, node.lineno, function.name, start, end, ast.unparse(node), new)


def _replacements(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield f"({ast.unparse(ast.Compare(left, [OPPOSITE[type(op)]()], [right]))})"
        case ast.BoolOp(op=op, values=values):
            yield f"({ast.unparse(ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value)):
            yield str(value + 1)
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Raise():
            yield "pass"
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield "return None"


def sample(count: int) -> list[Mutant]:
    """Draw mutants, each folder's share of them, mixed."""
    drawn: list[Mutant] = []
    for folder, (share, _) in SHARES.items():
        paths = (path for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts)
        ranked = sorted((each for path in paths for each in mutants(path)), key=lambda each: each.rank)
        drawn += ranked[: round(share * count / COUNT)]
    return sorted(drawn, key=lambda each: each.rank)


def copy_clone(into: Path) -> Path:
    """Copy the clone; what the set-up made is shared by links."""
    shutil.copytree(ROOT, into, ignore=NOT_COPIED, symlinks=True)
    local = [path for path in (ROOT / ".local").iterdir() if not path.name.startswith(("pytest", "postgres"))]
    for path in (*(ROOT / name for name in SHARED), *local):
        link = into / path.relative_to(ROOT)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
    return into


def first_failure(clone: Path, folder: str, timeout_s: float) -> str:
    """Run the tests of a folder; return the first failure, empty where there is none."""
    command = (str(clone / ".venv/bin/python"), "-m", "pytest", *OPTIONS, *SHARES[folder][1])
    process = subprocess.Popen(
        command,
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}"},
    )
    try:
        lines = process.communicate(timeout=timeout_s)[0].splitlines()
    except subprocess.TimeoutExpired:
        return f"no end within {timeout_s:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return "" if process.returncode == 0 else (failures or lines or ["failed without output"])[-1]


def change(clone: Path, mutant: Mutant, source: bytes) -> None:
    """Write a module of a copy; what was compiled of it goes."""
    target = clone / mutant.path.relative_to(ROOT)
    target.write_bytes(source)
    for compiled in target.parent.glob(f"__pycache__/{target.stem}.*"):
        compiled.unlink()


class Run:
    """Copies of the clone, used in turn until the time is up."""

    def __init__(self, scratch: Path) -> None:
        self._deadline = time.monotonic() + BUDGET_S
        self._clones: SimpleQueue[Path] = SimpleQueue()
        for number in range(AT_ONCE):
            self._clones.put(copy_clone(scratch / str(number)))

    def check(self, folder: str) -> str:
        """Return what fails without any fault."""
        clone = self._clones.get()
        failure = first_failure(clone, folder, BUDGET_S)
        self._clones.put(clone)
        return failure

    def judge(self, mutant: Mutant) -> str:
        """Print and return what became of a mutant."""
        clone = self._clones.get()
        left_s = self._deadline - time.monotonic()
        outcome, failure = "not run", ""
        if left_s > 0:
            change(clone, mutant, mutant.source())
            failure = first_failure(clone, mutant.folder, min(TIMEOUT_S, left_s))
            change(clone, mutant, mutant.path.read_bytes())
            if time.monotonic() < self._deadline:
                outcome = "killed" if failure else "survived"
        self._clones.put(clone)
        print(f"{outcome:<9} {mutant}\n          {failure}".rstrip(), flush=True)
        return outcome


def main(count: int) -> int:
    """Print what became of each mutant, and the totals; return the exit status."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(AT_ONCE) as threads:
        run = Run(Path(scratch))
        if failures := list(filter(None, threads.map(run.check, SHARES))):
            print("Expected the tests to pass before any fault, but got:", *failures, sep="\n")
            return 1
        outcomes = list(threads.map(run.judge, sample(count)))
    killed, survived = outcomes.count("killed"), outcomes.count("survived")
    print(f"{killed} killed, {survived} survived, {outcomes.count('not run')} not run in {BUDGET_S} s.")
    return int(killed < LEAST_KILLED * (killed + survived))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else COUNT))
