"""The bundle from layers/prisma, and what Lambda finds where.

migrations   /var/task/index.mjs, prisma/, node_modules/, rds-ca/<region>.pem
"""

from pathlib import Path

from infra.bundling.prisma_client import SCHEMA
from infra.bundling.prisma_layer import (
    LOCK,
    PRISMA,
    add_certificates,
    add_migrating_packages,
    certificate_sources,
)
from infra.bundling.recipe import Recipe, copy_files, files_of

_MIGRATE = PRISMA / "migrate"


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
