"""The documents name what the code knows."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from functions.chat import errors, settings

ROOT = Path(__file__).resolve().parents[2]
API = (ROOT / "docs/api.md").read_text()
VARIABLES = sorted(set(re.findall(r'"([A-Z][A-Z_]{3,})"', inspect.getsource(settings))))
KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ApiError)
]


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_setting_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in API


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.__name__)
def test_every_error_is_documented(kind: type[errors.ApiError]) -> None:
    rows = [line for line in API.splitlines() if line.startswith("| ") and str(kind.status) in line]
    row = "".join(rows)
    assert f"`{kind.type}`" in row
    assert kind.default_code is None or f"`{kind.default_code}`" in row


@pytest.mark.parametrize(
    "document",
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("layers/*/*.md")],
    ids=lambda p: p.name,
)
def test_links_between_files_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"
