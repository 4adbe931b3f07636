"""The commands of the user's document, as written, in a fresh copy of what they need of the repository."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from infra.paths import ROOT
from tests.integration.prisma.project import Ended, assert_no_password, clean_environment, run
from tests.postgres import Postgres

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("prisma")]
_NEEDED = ("package.json", "pyproject.toml", "functions/todos/prisma", "layers/prisma")
_VENV_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    for name in _NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def prisma(clone: Path, *arguments: str, **variables: str) -> Ended:
    path = os.pathsep.join((str(_VENV_BIN), os.environ["PATH"]))
    return run(("prisma", *arguments), clone, clean_environment(PATH=path, **variables), within_s=50)


def test_from_a_clone_to_a_new_migration(clone: Path, postgres: Postgres) -> None:
    files = [(path, path.read_text()) for path in (clone / "layers/prisma").glob("package*.json")]
    assert len(files) == 2
    url = postgres.url(postgres.create_database())
    (clone / ".env").write_text(f"DATABASE_URL={url}\n")

    # the first use installs the command line, and touches nothing that is committed
    init = prisma(clone, "migrate", "dev", "--name", "init", "--skip-generate")
    assert init.status == 0, init.said
    assert all(path.read_text() == text for path, text in files)
    ours = json.loads((clone / "layers/prisma/node_modules/@prisma/engines/package.json").read_text())
    assert ours["name"] == "prisma-wasm-engines"
    migrations = clone / "functions/todos/prisma/migrations"
    assert len(list(migrations.glob("*/"))) == len(list((ROOT / migrations.relative_to(clone)).glob("*/")))

    schema = clone / "functions/todos/prisma/schema.prisma"
    schema.write_text(schema.read_text().replace("  completed ", "  note String?\n  completed ", 1))
    added = prisma(clone, "migrate", "dev", "--name", "add_note", "--skip-generate")
    assert added.status == 0, added.said
    [script] = migrations.glob("*_add_note/migration.sql")
    assert script.read_text().strip() == '-- AlterTable\nALTER TABLE "Todo" ADD COLUMN     "note" TEXT;'
    status = prisma(clone, "migrate", "status")
    assert "Database schema is up to date!" in status.said
    assert_no_password(init.said + added.said + status.said, url)


def test_no_file_names_a_registry(clone: Path) -> None:
    assert "http" not in (ROOT / "layers/prisma/package-lock.json").read_text()
    assert (
        "resolved"
        not in json.loads((clone / "layers/prisma/package-lock.json").read_text())["packages"][
            "node_modules/prisma"
        ]
    )
