"""`python -m tests.tools.functions [folder …]`: the functions that the rules on size question.

A private function counts as called once where its module calls it in one place, outside itself. One that is
passed as a value (a route, a callback) or declared by a Protocol does not count.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("functions", "layers", "infra")
GOAL = 0.12
MAX_LINES = 50
MAX_COMPLEXITY = 10

_Def = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """One `def` of the tree."""

    path: Path
    line: int
    name: str
    lines: int
    is_called_once: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}  {self.name}, {self.lines} lines"


@cache
def functions(folders: tuple[str, ...] = FOLDERS) -> list[Function]:
    """Return every function below the folders, nested ones too."""
    found = [each for path in _modules(folders) for each in functions_in(path)]
    return sorted(found, key=lambda each: (each.path, each.line))


def too_complex(folders: Iterable[str] = FOLDERS) -> list[str]:
    """Return where ruff counts a complexity over the maximum."""
    paths = [str(path) for path in _modules(folders)]
    rule = ("--select", "C901", "--config", f"lint.mccabe.max-complexity={MAX_COMPLEXITY}")
    command = (sys.executable, "-m", "ruff", "check", "--isolated", "--output-format", "json", *rule, *paths)
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    return [
        f"{Path(each['filename']).relative_to(ROOT)}:{each['location']['row']}  {each['message']}"
        for each in found
    ]


def share_called_once(found: list[Function]) -> float:
    """Return which part of the functions is private and called once."""
    return sum(each.is_called_once for each in found) / max(len(found), 1)


def _modules(folders: Iterable[str]) -> list[Path]:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in paths if "node_modules" not in path.parts)


def functions_in(path: Path) -> Iterator[Function]:
    """Yield every function of a module."""
    tree = ast.parse(path.read_text())
    uses, values = _uses(tree)
    nested = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, _Def)
        for inner in ast.walk(outer)
        if inner is not outer
    }
    declared = {
        method
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in each.bases)
        for method in each.body
    }
    ignored = nested | declared
    for node in ast.walk(tree):
        if isinstance(node, _Def):
            own, _ = _uses(node)
            private = node.name.startswith("_") and not node.name.endswith("__")
            once = private and uses[node.name] - own[node.name] == 1 and node.name not in values
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(path, node.lineno, node.name, lines, once and node not in ignored)


def _uses(tree: ast.AST) -> tuple[Counter[str], set[str]]:
    """Return how often each name is used, and the names that are used as values."""
    properties = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, _Def) and "property" in "".join(map(ast.unparse, node.decorator_list))
    }
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names: Counter[str] = Counter()
    values: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            names[name] += 1
            if node not in called and name not in properties:
                values.add(name)
    return names, values


def main(folders: list[str]) -> None:
    """Print the list and the totals."""
    found = functions(tuple(folders) or FOLDERS)
    once = [each for each in found if each.is_called_once]
    long = [each for each in found if each.lines > MAX_LINES]
    for title, rows in (
        ("private and called once", once),
        (f"over {MAX_LINES} lines", long),
        (f"complexity over {MAX_COMPLEXITY}", too_complex(folders or FOLDERS)),
    ):
        print(f"{title}: {len(rows)}", *rows, sep="\n  ")
    by_folder = Counter(each.path.relative_to(ROOT).parts[:2] for each in found)
    for folder, count in sorted(by_folder.items()):
        here = sum(each.path.relative_to(ROOT).parts[:2] == folder for each in once)
        print(f"{'/'.join(folder):<24} {here:>4} of {count:>4} called once, {here / count:.0%}")
    print(
        f"{len(once)} of {len(found)} functions are private and called once: {share_called_once(found):.1%},"
    )
    print(f"expected under {GOAL:.0%}.")


if __name__ == "__main__":
    main(sys.argv[1:])
