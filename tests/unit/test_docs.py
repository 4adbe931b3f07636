"""The documents name what the code knows."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from functions.chat import errors
from functions.chat import models as chat_models
from functions.chat import settings as chat_settings
from functions.chat.engines.kinds import ENGINES, NEVER
from functions.todos import errors as todo_errors
from functions.todos import settings as todo_settings
from functions.todos.limits import Limits
from tests.e2e.clients import document as clients
from tests.tools import picture

ROOT = Path(__file__).resolve().parents[2]


def _kinds(base: type[todo_errors.ApiError]) -> set[type[todo_errors.ApiError]]:
    return {base, *(kind for each in base.__subclasses__() for kind in _kinds(each))}


README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
API = (ROOT / "docs/api.md").read_text()
CHAT, TODOS = API.split("\n# The todo API\n")
SETTINGS = {CHAT: (chat_settings, chat_models), TODOS: (todo_settings,)}
VARIABLES = [
    (text, name)
    for text, modules in SETTINGS.items()
    for name in [
        "API_KEYS",
        "CORS_ORIGINS",
        *sorted(set(re.findall(r'"([A-Z][A-Z_]{3,})"', "".join(map(inspect.getsource, modules))))),
    ]
]
KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ApiError)
]


@pytest.mark.parametrize(("text", "variable"), VARIABLES, ids=[name for _, name in VARIABLES])
def test_every_setting_is_documented(text: str, variable: str) -> None:
    assert f"| `{variable}` |" in text


def test_every_setting_of_a_model_is_documented() -> None:
    names = re.findall(r'entry(?:\.get\(|\[|, )"([a-z_]+)"', inspect.getsource(chat_models))
    (table,) = re.findall(r"^\| in `MODELS` \|.*?\n(?:\n|\Z)", CHAT, re.MULTILINE | re.DOTALL)
    assert len(set(names)) > 10
    assert {f"`{name}`" for name in names} <= set(re.findall("`[a-z_]+`", table))


@pytest.mark.parametrize("code", sorted({kind.code for kind in _kinds(todo_errors.ApiError)}))
def test_every_code_of_the_todo_api_is_documented(code: str) -> None:
    assert f"| `{code}` |" in TODOS


@pytest.mark.parametrize(("variable", "name"), todo_settings.LIMITS.items())
def test_limits_are_documented_as_they_are(variable: str, name: str) -> None:
    assert f"| `{variable}` | {getattr(Limits(), name)} |" in TODOS


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.__name__)
def test_every_error_is_documented(kind: type[errors.ApiError]) -> None:
    rows = [line for line in CHAT.splitlines() if line.startswith("| ") and str(kind.status) in line]
    row = "".join(rows)
    assert f"`{kind.type}`" in row
    assert kind.default_code is None or f"`{kind.default_code}`" in row


def test_the_clients_are_documented_as_their_programs_are() -> None:
    text = clients.DOCUMENT.read_text()
    assert clients.written(text) == text, f"run `.venv/bin/{clients.BEGIN[5:-5]}`"


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 700


def test_the_readme_shows_the_commands_of_its_picture() -> None:
    assert "\n".join(picture.CURL) in README


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/performance.md", "examples/README.md"]
)
def test_make_targets_that_are_named_exist(document: str) -> None:
    named = set(
        re.findall(r"`make ([a-z-]+)|^(?:\$ )?make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE)
    )
    assert {first or second for first, second in named} <= TARGETS


@pytest.mark.parametrize(
    "document",
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("layers/*/*.md")],
    ids=lambda p: p.name,
)
def test_links_lead_to_a_file_and_a_heading(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", document.read_text()):
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in _anchors(path), f"{document.name} links to {target}#{anchor}"


def _anchors(document: Path) -> set[str]:
    headings = re.findall("^#+ (.+)", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _listed(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_fields_of_each_engine_are_documented(engine: str) -> None:
    (shared,) = re.findall(r"^\| all \| (.*) \| \|$", CHAT, re.MULTILINE)
    ((openai, own),) = re.findall(rf"^\| `{re.escape(engine)}` \| (.*?)\|(.*)\|$", CHAT, re.MULTILINE)
    limits = {"max_tokens", "max_completion_tokens"}
    assert _listed(shared) | _listed(openai) == ENGINES[engine].openai - limits
    assert _listed(own) == ENGINES[engine].own


def test_the_fields_that_are_never_sent_are_documented() -> None:
    for reason, names in NEVER.items():
        (listed,) = re.findall(rf"^\| (.*) \| {re.escape(reason)} \|$", CHAT, re.MULTILINE)
        assert _listed(listed) == names
