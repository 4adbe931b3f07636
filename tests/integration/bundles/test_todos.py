"""The todos from their bundles alone: migrated by one, served by the other, with a real Postgres."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.bundling.cache import BundleCache
from infra.bundling.interpreter import is_python
from infra.bundling.prisma_recipes import migrations_recipe
from infra.bundling.python_recipes import dependencies_recipe, function_recipe, streaming_recipe
from infra.emulator.bundled_function import BundledFunction
from tests.integration.bundles.conftest import golden
from tests.integration.bundles.deployed import Deployed, deploy, running
from tests.integration.streaming.runtime_api import TIMEOUT_S
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundles"), pytest.mark.timeout(300)]
_MIGRATE = """
const { handler } = await import(process.argv[1]);
console.log(JSON.stringify(await handler({}, { getRemainingTimeInMillis: () => 30_000 })));
"""
# A query that the function never makes.
_UNSEEN = """
import asyncio, platform, sys
sys.path[:0] = sys.argv[2:]
import prisma_in_process
from prisma import Prisma
prisma_in_process.install()
async def main():
    async with Prisma(use_dotenv=False, datasource={"url": sys.argv[1]}) as client:
        found = await client.todo.find_many(where={"NOT": [{"title": {"startswith": "b"}}]})
        print(platform.machine(), [todo.title for todo in found])
asyncio.run(main())
"""
_IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", re.MULTILINE)
# Of the packages, what a function imports that answered a query and a mutation.
_PACKAGES = {
    *("annotated_types", "anyio", "ariadne", "asyncpg", "graphql", "lambda_stream", "prisma"),
    *("prisma_in_process", "pydantic", "pydantic_core", "starlette", "typing_extensions"),
    *("typing_inspection",),
}
_MOST_MODULES = 690
# Parts of packages that are, which infra/bundling leaves out.
_NOT_IMPORTED = {"prisma.types", "prisma._config", "prisma._metrics", "prisma.generator", "pydantic.v1"}


def migrate(bundle: Path, url: str) -> Any:
    """Run the migrating function as Lambda would, with its own folder as all there is."""
    node = shutil.which("node")
    assert node
    done = subprocess.run(
        (node, "--input-type=module", "-e", _MIGRATE, str(bundle / "index.mjs")),
        cwd=bundle,
        env={"PATH": os.defpath, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """The address of a database that the bundle has migrated."""
    bundle, url = BundleCache().get(migrations_recipe()), postgres.url(postgres.create_database())
    before = digest(bundle)
    names = [path.parent.name for path in sorted(bundle.glob("prisma/migrations/*/migration.sql"))]
    assert migrate(bundle, url) == names
    assert migrate(bundle, url) == []
    assert digest(bundle) == before, "expected nothing to be written: Lambda's disk is read-only there"
    return url


def digest(folder: Path) -> str:
    """Return what changes with any file's name or content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@dataclass(frozen=True)
class Served:
    """What a function replied, and logged."""

    created: Any
    listed: Any
    page: bytes
    log: str


def serve(
    todos: Deployed, url: str, folder: Path, *, flags: Sequence[str] = (), timeout_s: float = TIMEOUT_S
) -> Served:
    """Make a todo, list all, and load the page; each reply comes within `timeout_s`."""
    event, log = golden("todos_v1"), folder / "log"
    mutation = {"body": json.dumps({"query": 'mutation { createTodo(title: "a") { id } }'})}
    headers = {"Accept": "text/html", "Host": event["headers"]["Host"]}
    many = {name: [value] for name, value in headers.items()}
    page = {"httpMethod": "GET", "headers": headers, "multiValueHeaders": many, "body": None}
    variables = {"DATABASE_URL": url, "GRAPHIQL": str(todos.task / "graphiql"), "HOME": str(folder)}
    with running(todos, log, flags=flags, **variables) as api:
        replies = []
        for change in (mutation, {}, page):
            api.deliver(event | change, deadline_s=timeout_s)
            replies.append(api.posts.get(timeout=timeout_s).body)
    return Served(json.loads(replies[0]), json.loads(replies[1]), replies[2], log.read_text())


@pytest.fixture(scope="module")
def served(todos: Deployed, database: str, tmp_path_factory: pytest.TempPathFactory) -> Served:
    todos.poison_sources()
    return serve(todos, database, tmp_path_factory.mktemp("served"), flags=("-X", "importtime"))


def test_migrated_and_served(served: Served) -> None:
    assert "errors" not in served.created
    todos = served.listed["data"]["todos"]
    assert [(todo["title"], todo["completed"]) for todo in todos] == [("a", False)]
    assert b"graphiql" in served.page
    assert "Traceback" not in served.log


def test_only_what_is_used_is_imported(served: Served, todos: Deployed) -> None:
    """Above all not wasmtime: all of the function's queries were compiled with the bundle."""
    modules = set(_IMPORTED.findall(served.log))
    packages = {path.name.removesuffix(".py") for path in (todos.opt / "python").iterdir()}
    assert {module.partition(".")[0] for module in modules} & packages == _PACKAGES
    assert not modules & _NOT_IMPORTED
    assert len(modules) <= _MOST_MODULES, len(modules)


def test_a_query_that_was_not_foreseen_is_compiled_then(todos: Deployed, database: str) -> None:
    assert run_unseen(todos, database) == f"{platform.machine()} ['a']\n"


def run_unseen(todos: Deployed, url: str) -> str:
    """Send a query that the function never sends; return the processor and the titles, as printed."""
    command = (todos.python, "-I", "-S", "-c", _UNSEEN, url, str(todos.task), str(todos.opt / "python"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.nightly
def test_the_same_on_arm64(database: str, tmp_path: Path) -> None:
    """ARM64_PYTHON is a program that runs such a Python, as this one does where qemu-aarch64 and ROOT are:

    exec qemu-aarch64-static -L ROOT ROOT/usr/bin/python3.11 "$@"
    """
    python = os.environ.get("ARM64_PYTHON")
    if not python:
        pytest.skip("ARM64_PYTHON names no Python for arm64")
    version = next(version for version in ("3.11", "3.12", "3.13") if is_python(python, version))
    recipes = (
        streaming_recipe(python=version),
        dependencies_recipe("todos", architecture="arm64", python=version),
        function_recipe("todos", python=version),
    )
    *layers, task = (BundleCache().get(recipe) for recipe in recipes)
    function = BundledFunction(name="todos", python=python, task=task, layers=tuple(layers))
    todos = deploy(function, tmp_path / "deployed")
    served = serve(todos, database, tmp_path, timeout_s=150)
    assert "errors" not in served.created
    assert {todo["title"] for todo in served.listed["data"]["todos"]} == {"a"}
    assert run_unseen(todos, database).startswith("aarch64 ['a'")
