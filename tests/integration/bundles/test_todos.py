"""The todos from their bundles alone: migrated by one, served by the other, with a real Postgres."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.bundling.cache import BundleCache
from infra.bundling.prisma_recipes import migrations_recipe
from tests.integration.bundles.conftest import golden
from tests.integration.bundles.deployed import Deployed, running
from tests.integration.prisma.project import ENGINES
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundles"), pytest.mark.timeout(300)]
_MIGRATE = """
const { handler } = await import(process.argv[1]);
console.log(JSON.stringify(await handler({}, { getRemainingTimeInMillis: () => 30_000 })));
"""


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


def digest(folder: Path) -> str:
    """Return what changes with any file's name or content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


def test_migrated_and_served(todos: Deployed, postgres: Postgres, tmp_path: Path) -> None:
    bundle, url = BundleCache().get(migrations_recipe()), postgres.url(postgres.create_database())
    before = digest(bundle)
    names = [path.parent.name for path in sorted(bundle.glob("prisma/migrations/*/migration.sql"))]
    assert migrate(bundle, url) == names
    assert migrate(bundle, url) == []
    assert digest(bundle) == before, "expected nothing to be written: Lambda's disk is read-only there"

    todos.poison_sources()
    variables = {
        "DATABASE_URL": url,
        "PRISMA_QUERY_ENGINE_BINARY": str(ENGINES / "query-engine"),
        "GRAPHIQL": str(todos.task / "graphiql"),
        "PATH": os.pathsep.join((str(Path(shutil.which("node") or "").parent), os.defpath)),
        "HOME": str(tmp_path),
    }
    with running(todos, tmp_path / "log", **variables) as api:
        event = golden("todos_v1")
        created = api.invoke(
            event | {"body": json.dumps({"query": 'mutation { createTodo(title: "a") { id } }'})}
        )
        assert "errors" not in json.loads(created.body)
        listed = json.loads(api.invoke(event).body)["data"]["todos"]
        assert [(todo["title"], todo["completed"]) for todo in listed] == [("a", False)]
        page = api.invoke(_page(event))
        assert b"graphiql" in page.body
    assert "Traceback" not in (tmp_path / "log").read_text()


def _page(event: Any) -> Any:
    headers = {"Accept": "text/html", "Host": event["headers"]["Host"]}
    many = {name: [value] for name, value in headers.items()}
    return event | {"httpMethod": "GET", "headers": headers, "multiValueHeaders": many, "body": None}
