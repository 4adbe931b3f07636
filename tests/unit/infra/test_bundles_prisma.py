from pathlib import Path

import pytest

from infra.bundling.errors import BundleError
from infra.bundling.prisma_client import SCHEMA, add_client
from infra.bundling.prisma_recipes import migrations_recipe
from infra.paths import ROOT


def generated(folder: Path, schema: str) -> Path:
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__/client.pyc").touch()
    (folder / "schema.prisma").write_text(schema)
    (folder / "client.py").write_text(f"SCHEMA_PATH = Path('{SCHEMA}')\n")
    return folder


def test_the_client_forgets_this_machine(tmp_path: Path) -> None:
    installed = tmp_path / "packages" / "prisma"
    installed.mkdir(parents=True)
    (installed / "errors.py").touch()
    add_client(installed.parent, generated=generated(tmp_path / "generated", SCHEMA.read_text()))
    assert {path.name for path in installed.iterdir()} == {"errors.py", "client.py", "schema.prisma"}
    text = (installed / "client.py").read_text()
    assert text == "SCHEMA_PATH = Path('/var/task/functions/todos/prisma/schema.prisma')\n"


def test_our_own_client_forgets_it_too(tmp_path: Path) -> None:
    add_client(tmp_path)
    texts = [path.read_text() for path in (tmp_path / "prisma").rglob("*.py")]
    assert len(texts) > 20
    assert not [text for text in texts if str(ROOT) in text]


def test_a_client_of_another_schema(tmp_path: Path) -> None:
    other = generated(tmp_path / "generated", "model Other {}")
    with pytest.raises(
        BundleError, match=r"Expected the Prisma client of functions/todos/prisma/schema.prisma"
    ):
        add_client(tmp_path / "packages", generated=other)


def test_a_package_without_a_client(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"Expected a generated Prisma client, but found none.*make synth"):
        add_client(tmp_path / "packages", generated=tmp_path)


def test_migrations_decide_about_their_bundle() -> None:
    names = {source.relative_to(ROOT).as_posix() for source in migrations_recipe().sources}
    assert "functions/todos/prisma/migrations/20261122000000_init/migration.sql" in names
    assert "layers/prisma/package-lock.json" in names
    assert not [name for name in names if "test" in name]
