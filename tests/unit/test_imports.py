"""Who may import what. CONTRIBUTING.md says why."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_CODE = ("functions", "lambda_stream")

# Each module of a function, outermost first: it imports only from those below it.
CHAT = (
    ("handler",),
    ("failures",),
    ("app",),
    ("api.openapi",),
    ("api.routes", "api.json_schema", "api.reply_schema"),
    ("api.responses",),
    ("api.chat_completions", "api.completions", "api.embeddings", "api.key", "api.pages"),
    ("api.answer",),
    ("api.response_input",),
    ("api.models", "api.call_grammar", "api.fields", "api.prompt_size", "api.messages"),
    ("api.media",),
    ("api.response_schema",),
    ("api.completion_schema", "api.embedding_schema"),
    ("api.response_tools", "api.response_input_schema"),
    ("api.chat_schema",),
    ("api.message_schema", "api.schema_limits"),
    ("api.checks",),
    ("api.faults",),
    ("api.service", "api.body", "api.paths", "api.browser_pages"),
    ("streams.responses", "streams.completions", "streams.echo"),
    (
        "streams.response_items",
        "usage",
        "streams.chat_writer",
        "streams.response",
        "streams.chat",
        "streams.embeddings",
        "streams.grammar_call",
    ),
    ("streams.whole",),
    ("engines.context_lengths", "engines.fallback", "engines.http", "engines.scale_from_zero"),
    ("engines.credentials", "engines.hedge", "engines.refusals", "engines.transport"),
    (
        "engines.connection",
        "engines.engine",
        "engines.errors",
        "streams.sse",
        "streams.template",
        "streams.normalise",
    ),
    ("streams.calls", "streams.tagged", "engines.reports", "engines.scaler"),
    ("settings",),
    ("models", "json_text", "engines.wordings"),
    ("errors", "prices", "engines.kinds"),
)
TODOS = (
    ("handler", "plans"),
    ("app", "store", "failures"),
    ("admission", "database", "graphql_http", "resolvers", "graphiql", "settings"),
    ("address", "execution"),
    ("todos", "limits", "wording"),
    ("titles",),
    ("pages",),
    ("errors",),
)
SCALER = (
    ("handler",),
    ("scaler",),
    ("causes", "fleet", "lines", "state"),
    ("settings",),
)
KEYS = (
    ("__main__",),
    ("commands",),
    ("changes", "replaying", "reports", "updates", "usage"),
    ("group", "key_options", "key_views", "selection", "usage_report"),
    ("change_views",),
    ("options", "replay", "spreadsheets", "views"),
    ("session", "tables"),
    ("audit", "delivery", "store"),
    ("books", "stored_keys"),
    ("key_writes", "progress"),
    ("characters", "forms", "history"),
)
SHARED = (
    ("access", "signed"),
    ("role", "secrets", "settings", "table"),
    ("dynamodb", "key_items", "limit_items", "usage_items"),
    ("boto", "https", "items", "limit_headers", "limiter", "metrics", "refusals"),
    ("limits",),
    ("budgets",),
    ("cors", "keys", "usage"),
    ("accept", "aws", "clock", "environment", "key_text", "logs", "signatures", "snapshot"),
    ("frozen", "traces", "version", "windows"),
)
PACKAGES = {
    "functions.chat": CHAT,
    "functions.todos": TODOS,
    "functions.scaler": SCALER,
    "functions.keys": KEYS,
    "functions.shared": SHARED,
}
# The CDK app, and what examines and deploys it: modules and packages of `infra`, outermost first. Each
# imports only from those below it, and nothing else of `infra`: a stack gives a construct what it needs of
# the network.
CDK = (
    ("app", "break_even", "doctor"),
    ("deploy", "places"),
    ("choice", "stacks"),
    ("watch",),
    ("inference",),
    ("constructs",),
    ("bundles", "costs", "environments", "nag"),
    ("bundling", "instances"),
    ("paths", "stages"),
)
# `python -m infra.local`, outermost first. The two packages do not import each other.
LOCAL = (
    ("__main__", "migrate"),
    ("deployment", "welcome"),
    ("lambda_service", "services"),
    ("console", "loopback", "processes", "settings"),
    ("database_url",),
    ("errors",),
)
# Third-party packages that only these modules may know.
ONE_HOME = {
    "httpx": set(),
    "httptools": {"functions.chat.engines.connection"},
    "orjson": {"functions.chat.json_text", "functions.chat.api.body"},
    "fastapi": {"functions.chat.app"},
    "pydantic": set(),
    "ariadne": {"functions.todos.resolvers", "functions.todos.execution"},
    "lambda_stream": {"functions.chat.handler", "functions.todos.handler"},
    "boto3": {"functions.shared.boto"},
    "botocore": {"functions.shared.boto"},
    "click": {
        "functions.keys.__main__",
        "functions.keys.changes",
        "functions.keys.group",
        "functions.keys.key_options",
        "functions.keys.options",
        "functions.keys.replaying",
        "functions.keys.reports",
        "functions.keys.selection",
        "functions.keys.session",
        "functions.keys.updates",
        "functions.keys.usage",
    },
    "rich": {"functions.keys.progress", "functions.keys.tables"},
    "snapshot_restore_py": {"functions.shared.snapshot"},
    "prisma": {"functions.todos.database", "functions.todos.store", "functions.todos.plans"},
    "prisma_in_process": {
        "functions.todos.address",
        "functions.todos.database",
        "functions.todos.handler",
        "functions.todos.plans",
        "functions.todos.settings",
        "functions.todos.store",
    },
}


def modules(folder: str, root: Path = ROOT) -> dict[str, Path]:
    """Return the modules below a folder by dotted name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / folder).rglob("*.py"))
    }


@cache
def imports(name: str, path: Path) -> tuple[str, ...]:
    """Return the absolute names that a module imports."""
    return tuple(_imports(name, path))


def _imports(name: str, path: Path) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


FUNCTIONS = modules("functions")
LAYER = modules("lambda_stream", ROOT / "layers/streaming/python")
INFRA = modules("infra")
# Every module of every function: its package, and its name within it.
OWN = [
    (".".join(name.split(".")[:2]), ".".join(name.split(".")[2:]))
    for name, path in FUNCTIONS.items()
    if path.name != "__init__.py"
]


@pytest.mark.parametrize("name", [f"{package}.{own}" for package, own in OWN])
def test_a_function_imports_only_from_below(name: str) -> None:
    package, own = next((package, own) for package, own in OWN if f"{package}.{own}" == name)
    level = {module: number for number, row in enumerate(PACKAGES[package]) for module in row}
    siblings = {
        imported.removeprefix(f"{package}.")
        for imported in imports(name, FUNCTIONS[name])
        if imported.startswith(f"{package}.")
    }
    upward = {sibling for sibling in siblings & level.keys() if level[sibling] <= level[own]}
    assert not upward, f"{own} imports {sorted(upward)}, which are not below it"


@pytest.mark.parametrize("package", ONE_HOME)
def test_packages_have_one_home(package: str) -> None:
    homes = {
        name
        for name, path in FUNCTIONS.items()
        if any(imported.split(".")[0] == package for imported in imports(name, path))
    }
    assert homes <= ONE_HOME[package]


@pytest.mark.parametrize(
    "adapter",
    [
        "functions.chat.engines.fallback",
        "functions.chat.engines.http",
        "functions.chat.engines.scale_from_zero",
        "functions.todos.store",
    ],
)
def test_only_the_composition_root_knows_the_adapter(adapter: str) -> None:
    users = {
        name
        for name, path in FUNCTIONS.items()
        if any(imported.startswith(adapter) for imported in imports(name, path))
    }
    function = ".".join(adapter.split(".")[:2])
    # The plans of its queries are made by running it.
    makers = {"functions.todos.plans"} if adapter == "functions.todos.store" else set()
    assert users == {f"{function}.handler"} | makers


def test_functions_import_no_infra_and_no_tests() -> None:
    assert not _crossing(FUNCTIONS, ("infra", "tests", "bench"))


def test_functions_never_meet() -> None:
    for name, path in FUNCTIONS.items():
        function = name.split(".")[1] if "." in name else ""
        for imported in imports(name, path):
            other = imported.split(".")[1] if imported.startswith("functions.") else function
            assert other in (function, "shared"), f"{name} imports {imported}"


def test_the_layer_imports_nothing_but_the_standard_library_and_mangum() -> None:
    allowed = sys.stdlib_module_names | {"mangum", "lambda_stream", "snapshot_restore_py"}
    foreign = {
        (name, imported)
        for name, path in LAYER.items()
        for imported in imports(name, path)
        if imported.split(".")[0] not in allowed
    }
    assert not foreign


def test_infra_imports_no_function_code() -> None:
    assert not _crossing(INFRA, (*FUNCTION_CODE, "tests", "bench"))


def test_the_cdk_app_imports_only_downward() -> None:
    level = {name: number for number, row in enumerate(CDK) for name in row}
    upward = {
        (name, imported)
        for name, path in INFRA.items()
        for imported in imports(name, path)
        if (own := name.split(".")[1]) in level
        and imported.startswith("infra.")
        and (other := imported.split(".")[1]) != own
        and level.get(other, -1) <= level[own]
    }
    assert not upward


def test_what_runs_locally_imports_only_downward() -> None:
    level = {name: number for number, row in enumerate(LOCAL) for name in row}
    parts = {name: name.split(".")[2] for name in INFRA if name.startswith("infra.local.")}
    upward = {
        (name, imported)
        for name, own in parts.items()
        for imported in imports(name, INFRA[name])
        if (other := parts.get(imported, own)) != own and level[other] <= level[own]
    }
    assert not upward
    assert set(parts.values()) == level.keys()


def test_only_composition_roots_read_the_process_environment() -> None:
    readers = {
        name
        for name, path in FUNCTIONS.items()
        if "environ" in _attributes(path) or "getenv" in _attributes(path)
    }
    assert readers == {
        "functions.chat.handler",
        "functions.todos.handler",
        "functions.scaler.handler",
        "functions.keys.__main__",
    }


def test_the_tables_above_name_every_module() -> None:
    named = {f"{package}.{module}" for package, rows in PACKAGES.items() for row in rows for module in row}
    assert named == {f"{package}.{own}" for package, own in OWN}


def _crossing(group: dict[str, Path], forbidden: tuple[str, ...]) -> set[tuple[str, str]]:
    return {
        (name, imported)
        for name, path in group.items()
        for imported in imports(name, path)
        if imported.split(".")[0] in forbidden
    }


def _attributes(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {node.attr for node in tree if isinstance(node, ast.Attribute)}
