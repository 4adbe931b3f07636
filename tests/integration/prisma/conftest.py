"""One Postgres for all tests of the engines; each test module has a database or a schema of its own."""

from collections.abc import Iterator

import pytest

from tests.integration.prisma.project import Project
from tests.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with run_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def project(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a schema of one model, no migrations, and a database of its own that is empty."""
    return Project.make(tmp_path_factory.mktemp("project"), postgres.url(postgres.create_database()))
