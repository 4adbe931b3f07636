"""The bundles from layers/prisma, and what Lambda finds where.

engine       /opt/query-engine, /opt/rds-ca.pem, /opt/rds-ca/<region>.pem
migrations   /var/task/index.mjs, prisma/, node_modules/, rds-ca.pem, rds-ca/<region>.pem
"""

import shutil
from pathlib import Path

from infra.bundling.prisma_client import SCHEMA
from infra.bundling.prisma_layer import (
    LOCK,
    PRISMA,
    add_certificates,
    add_migrating_packages,
    certificate_sources,
    fetch_engine,
)
from infra.bundling.recipe import Recipe, copy_files, files_of
from infra.stages import Architecture

_MIGRATE = PRISMA / "migrate"
_WITHOUT_ENGINE = """\
Expected Prisma's native query engine here, but it had not been fetched when this layer was made.
`make deploy` fetches it. Without it the todo function does not start.
"""


def engine_recipe(*, architecture: Architecture, without_engine: bool) -> Recipe:
    """Return how the layer with Prisma's native engine is made; without it, a note takes its place."""

    def build(folder: Path) -> None:
        if without_engine:
            (folder / "NOT-INCLUDED.txt").write_text(_WITHOUT_ENGINE)
        else:
            shutil.copy2(fetch_engine(architecture), folder)
        add_certificates(folder)

    return Recipe(
        title=f"Prisma engine, {architecture}",
        sources=(PRISMA / "native-engine.mjs", *certificate_sources()),
        facts=("without" if without_engine else "with",),
        build=build,
    )


def migrations_recipe() -> Recipe:
    """Return how the migrating function is made; it suits either processor."""
    handler = [file for file in files_of(_MIGRATE) if not file.name.endswith(".test.mjs")]
    history = [SCHEMA, *files_of(SCHEMA.with_name("migrations"))]

    def build(folder: Path) -> None:
        copy_files(handler, folder, relative_to=_MIGRATE)
        copy_files(history, folder, relative_to=SCHEMA.parents[1])
        add_migrating_packages(folder)
        add_certificates(folder)

    packages = (LOCK, PRISMA / "engines")
    return Recipe(
        title="migrations", sources=(*handler, *history, *packages, *certificate_sources()), build=build
    )
