"""What is in the bundles that are deployed, for both processors."""

import json
import re
import struct
import subprocess
from pathlib import Path

import pytest

from infra.bundling.cache import BundleCache
from infra.bundling.interpreter import find_python
from infra.bundling.prisma_imports import UNUSED_PACKAGES
from infra.bundling.prisma_recipes import migrations_recipe
from infra.bundling.python_recipes import dependencies_recipe, function_recipe, streaming_recipe
from infra.emulator.bundled_function import available_version
from infra.paths import ROOT
from infra.stages import Architecture

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundles"), pytest.mark.timeout(300)]
_MB = 1_000_000
_UNCHECKED_HASH = 0b01
_MACHINES = {"x86_64": 62, "arm64": 183}  # of an ELF header
# Modules that import a package that is left out only where they are called for…
_ON_DEMAND = {
    "prisma/_base_client.py",  # Prisma(use_dotenv=True)
    "pydantic/v1/env_settings.py",  # settings of Pydantic 1
    "starlette/templating.py",  # templates
    "starlette/testclient.py",  # tests
}
# Of each module: the flags of its .pyc, whether it is of this source, the file that tracebacks name.
_COMPILED = """
import importlib.util, json, marshal, pathlib, sys
def read(source):
    content = pathlib.Path(importlib.util.cache_from_source(source)).read_bytes()
    fits = content[8:16] == importlib.util.source_hash(source.read_bytes())
    return int.from_bytes(content[4:8], "little"), fits, marshal.loads(content[16:]).co_filename
print(json.dumps([read(source) for source in pathlib.Path(sys.argv[1]).rglob("*.py")]))
"""


def layers(function: str, architecture: Architecture) -> list[Path]:
    """Return what becomes /opt."""
    python = available_version()
    dependencies = dependencies_recipe(function, architecture=architecture, python=python)
    return [BundleCache().get(recipe) for recipe in (streaming_recipe(python=python), dependencies)]


def task(function: str) -> Path:
    """Return what becomes /var/task."""
    return BundleCache().get(function_recipe(function, python=available_version()))


def files_in(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
@pytest.mark.parametrize(("function", "limit_mb"), [("chat", 25), ("todos", 57)])
def test_what_lambda_gets(function: str, limit_mb: int, architecture: Architecture) -> None:
    files = files_in(*layers(function, architecture), task(function))
    assert sum(path.stat().st_size for path in files) <= limit_mb * _MB
    libraries = [path for path in files if path.suffix == ".so"]
    assert libraries
    assert {_elf_machine(path) for path in libraries} == {_MACHINES[architecture]}
    clone = str(ROOT).encode()
    assert not [path for path in files if clone in path.read_bytes()], "expected nothing to name this machine"


def _elf_machine(library: Path) -> int:
    machine: int = struct.unpack_from("<H", library.read_bytes()[:20], 18)[0]
    return machine


@pytest.mark.parametrize("function", ["chat", "todos"])
def test_every_module_is_compiled_and_never_checked(function: str) -> None:
    for mounted, folder in (
        ("/var/task", task(function)),
        *(("/opt", each) for each in layers(function, "arm64")),
    ):
        for flags, fits, file in compiled(folder):
            assert (flags, fits) == (_UNCHECKED_HASH, True), file
            assert file.startswith(f"{mounted}/")


def compiled(folder: Path) -> list[tuple[int, bool, str]]:
    """Run the Python that is to load them; only it can read its .pyc files."""
    command = (find_python(available_version()), "-I", "-S", "-c", _COMPILED, str(folder))
    compiled_modules: list[tuple[int, bool, str]] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    assert len(compiled_modules) == sum(path.suffix == ".py" for path in files_in(folder)) > 10
    return compiled_modules


def test_what_is_left_out_is_imported_by_nothing_else() -> None:
    packages = layers("todos", "arm64")[1] / "python"
    assert not [name for name in UNUSED_PACKAGES if list(packages.glob(f"{name}*"))]
    imports = re.compile(rf"^ *(?:from|import) (?:{'|'.join(UNUSED_PACKAGES)})\b", re.MULTILINE)
    importing = {path for path in packages.rglob("*.py") if imports.search(path.read_text())}
    assert {path.relative_to(packages).as_posix() for path in importing} == _ON_DEMAND


def test_a_function_has_its_own_code_only() -> None:
    chat, todos = task("chat"), task("todos")
    assert {path.name for path in (chat / "functions").iterdir()} == {"chat", "shared"}
    assert {path.name for path in (todos / "functions").iterdir()} == {"todos", "shared"}
    assert (todos / "functions/todos/schema.graphql").exists()
    assert (todos / "functions/todos/graphiql.html").exists()
    assert (todos / "functions/todos/plans.json").exists()
    assert not (todos / "functions/todos/plans.py").exists()
    for page in ("chat", "usage"):
        assert (chat / f"functions/chat/page/{page}.html").exists()
        assert (chat / f"functions/chat/page/{page}.mjs").exists()
    assert not (todos / "functions/todos/prisma").exists()
    assert list((todos / "graphiql").glob("graphiql-*.js"))
    assert {path.name for path in chat.iterdir()} == {"chat-page", "functions"}


@pytest.mark.parametrize("function", ["chat", "todos"])
def test_time_zones_need_no_database_of_the_image(function: str) -> None:
    packages = layers(function, "arm64")[1] / "python"
    program = f"""
import sys, zoneinfo
sys.path.append({str(packages)!r})
zoneinfo.reset_tzpath(())
print(zoneinfo.ZoneInfo("Asia/Kolkata"))"""
    command = (find_python(available_version()), "-I", "-S", "-c", program)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Asia/Kolkata\n"


def test_programs_can_be_run() -> None:
    runtime = layers("chat", "arm64")[0]
    migrations = BundleCache().get(migrations_recipe())
    programs = [runtime / "lambda-stream", migrations / "node_modules/@prisma/engines/schema-engine"]
    assert [path.stat().st_mode & 0o777 for path in programs] == [0o555, 0o555]
    assert (runtime / "python/lambda_stream/_loop.py").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("function", ["chat", "todos"])
def test_no_bundle_is_taken_for_a_custom_runtime(function: str) -> None:
    """SAM and AWS's emulator start a file named `bootstrap` at the top of a layer or function."""
    bundles = [*layers(function, "arm64"), task(function), BundleCache().get(migrations_recipe())]
    assert [bundle for bundle in bundles if (bundle / "bootstrap").exists()] == []
    assert (bundles[0] / "lambda-stream").exists()


def test_the_migrations_are_small() -> None:
    migrations = BundleCache().get(migrations_recipe())
    assert sum(path.stat().st_size for path in files_in(migrations)) <= 15 * _MB
    assert not list(migrations.rglob("*.test.mjs"))
