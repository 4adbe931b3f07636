"""The bundles of Python code, and what Lambda finds where.

streaming      /opt/lambda-stream, /opt/python/lambda_stream
dependencies   /opt/python/<packages>; those of the todo function also have /opt/rds-ca/<region>.pem
function       /var/task/functions/{<its name>,shared}; and what its page loads:
               /var/task/chat-page of the chat function, /var/task/graphiql of the todo function
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from infra.bundling.bytecode import compile_modules
from infra.bundling.errors import BundleError
from infra.bundling.interpreter import find_python
from infra.bundling.packages import install, prune, strip_libraries
from infra.bundling.prisma_client import ENGINE, SCHEMA, add_client
from infra.bundling.prisma_imports import leave_out_unused
from infra.bundling.prisma_layer import add_certificates, certificate_sources
from infra.bundling.recipe import Recipe, copy_files, files_of
from infra.paths import ROOT
from infra.stages import Architecture

Fill = Callable[[Path], None]
_STREAMING = ROOT / "layers" / "streaming"
_FUNCTIONS = ROOT / "functions"
# The first makes the second, which is bundled.
_PLANS_MAKER, _PLANS = (_FUNCTIONS / "todos" / name for name in ("plans.py", "plans.json"))
_LAYER, _TASK = "/opt", "/var/task"


def streaming_recipe(*, python: str) -> Recipe:
    """Return how the layer with the runtime is made."""
    files = (_STREAMING / "lambda-stream", *files_of(_STREAMING / "python"))
    return _compiled("streaming runtime", files, _copy(files, _STREAMING), mounted=_LAYER, python=python)


def dependencies_recipe(function: str, *, architecture: Architecture, python: str) -> Recipe:
    """Return how the layer with what a function imports is made."""
    requirements = ROOT / "requirements" / f"{function}.txt"
    sources, more = _MORE_PACKAGES.get(function, ((), _nothing))

    def fill(folder: Path) -> None:
        packages = folder / "python"
        install(requirements, packages, architecture=architecture, python=python)
        prune(packages)
        strip_libraries(packages)
        more(folder)

    title = f"packages of {function}, {architecture}"
    return _compiled(title, (requirements, *sources), fill, mounted=_LAYER, python=python)


def function_recipe(function: str, *, python: str) -> Recipe:
    """Return how a function's own code is bundled."""
    folders = (_FUNCTIONS / function, _FUNCTIONS / "shared")
    files = tuple(
        file
        for folder in folders
        for file in files_of(folder)
        if SCHEMA.parent not in file.parents and file != _PLANS_MAKER
    )
    sources, more = _MORE_FILES.get(function, ((), _nothing))

    def fill(folder: Path) -> None:
        _copy(files, ROOT)(folder)
        more(folder)

    return _compiled(f"{function} function", (*files, *sources), fill, mounted=_TASK, python=python)


def _compiled(title: str, sources: Iterable[Path], fill: Fill, *, mounted: str, python: str) -> Recipe:
    def build(folder: Path) -> None:
        fill(folder)
        compile_modules(folder, python=find_python(python), mounted=mounted)

    return Recipe(title=f"{title}, Python {python}", sources=tuple(sources), build=build)


def _copy(files: Iterable[Path], relative_to: Path) -> Fill:
    return lambda folder: copy_files(files, folder, relative_to=relative_to)


def _nothing(_: Path) -> None:
    pass


def _page(name: str) -> tuple[tuple[Path, ...], Fill]:
    """Return what decides about the files that a page loads, and what adds them as a folder of this name."""
    local = ROOT / ".local"

    def fill(folder: Path) -> None:
        if not (local / name).is_dir():
            raise BundleError(
                f"Expected the files of a web page in {local / name}, but found none. "
                f"`make synth` and `make test` fetch them; so does `python3 infra/pages.py {name}`."
            )
        copy_files(files_of(local / name), folder, relative_to=local)

    return (ROOT / "infra" / "pages.py",), fill


def _todos_packages(folder: Path) -> None:
    add_client(folder / "python")
    leave_out_unused(folder / "python")
    add_certificates(folder)


def _todos_files() -> tuple[tuple[Path, ...], Fill]:
    """Return the same as `_page`; its queries' plans are among the function's own files."""
    sources, add_page = _page("graphiql")

    def fill(folder: Path) -> None:
        if not _PLANS.exists():
            raise BundleError(
                f"Expected the todos' compiled queries in {_PLANS}, but found none. "
                "`make synth` and `make test` make it; so does `.venv/bin/python infra/install/plans.py`."
            )
        add_page(folder)

    return sources, fill


# What only one function has: its sources, and what adds it.
_MORE_PACKAGES: dict[str, tuple[tuple[Path, ...], Fill]] = {
    "todos": ((SCHEMA, *files_of(ENGINE), *certificate_sources()), _todos_packages)
}
_MORE_FILES: dict[str, tuple[tuple[Path, ...], Fill]] = {
    "chat": _page("chat-page"),
    "todos": _todos_files(),
}
