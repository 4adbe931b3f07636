"""The sizes of functions: what the count sees, and that the tree keeps to them."""

from pathlib import Path

import pytest

from tests.tools import functions

# One worker reads the tree, once.
pytestmark = pytest.mark.xdist_group("functions")


def called_once(tmp_path: Path, source: str) -> list[str]:
    path = tmp_path / "module.py"
    path.write_text(source)
    return [each.name for each in functions.functions_in(path) if each.is_called_once]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def _one(): ...\n_one()", ["_one"]),
        ("def _two(): ...\n_two()\n_two()", []),
        ("def _none(): ...", []),
        ("def public(): ...\npublic()", []),
        ("def _recursive(): _recursive()\n_recursive()", ["_recursive"]),
        ("def _callback(): ...\ncall_soon(_callback)", []),
        ("@app.get('/')\ndef _route(): ...", []),
        ("def outer():\n    def _inner(): ...\n    _inner()", []),
        ("class A:\n    def _one(self): ...\n    def b(self): self._one()", ["_one"]),
        ("class A:\n    @property\n    def _one(self): ...\n    def b(self): self._one", ["_one"]),
        ("class A(Protocol):\n    def _one(self): ...\n\ndef f(a): a._one()", []),
        ("class A:\n    def __enter__(self): ...", []),
    ],
)
def test_private_functions_called_once_are_found(tmp_path: Path, source: str, found: list[str]) -> None:
    assert called_once(tmp_path, source) == found


def test_less_than_twelve_percent_of_the_functions_are_private_and_called_once() -> None:
    share = functions.share_called_once(functions.functions())
    assert share < functions.GOAL, f"expected less, but got {share:.1%} (`python -m tests.tools.functions`)"


def test_no_function_is_too_long_or_too_complex() -> None:
    long = [str(each) for each in functions.functions() if each.lines > functions.MAX_LINES]
    assert long + functions.too_complex() == []
