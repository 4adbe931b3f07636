"""The function in processes of its own: what they load, and that they are killed under writers.

Real: the runtime, the handler, Prisma's client, Postgres, the kill. Simulated: the Runtime API.
"""

import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.integration.todos.conftest import MIGRATIONS, Database
from tests.integration.todos.functions import function_process
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("todos-database")]

CREATE = "mutation ($title: String!) { createTodo(title: $title) { title } }"
EVERYTHING = [
    'mutation { createTodo(title: "tea") { id } }',
    '{ todos(filter: {title: "É", completed: false}) { id } }',
    "{ todosConnection(first: 1, orderBy: {field: TITLE, direction: ASC}) { totalCount edges { cursor } } }",
]
MOST_MB = 75
COMPILER = "libwasmtime"


def loaded(process: psutil.Process, library: str) -> bool:
    return any(library in each.path for each in process.memory_maps())


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_function_is_one_small_process_without_the_compiler(empty: Database, tmp_path: Path) -> None:
    with function_process(empty.url, tmp_path / "log") as function:
        for query in EVERYTHING * 20:
            assert "errors" not in function.execute(query)
        process = psutil.Process(function.process.pid)
        assert process.children() == []
        assert not loaded(process, COMPILER)
        assert process.memory_info().rss <= MOST_MB * 1_000_000
        assert function.log.read_text() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_without_plans_for_its_schema_it_compiles_them_and_says_so_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    name = postgres.create_database()
    postgres.run_sql("CREATE EXTENSION pg_trgm; CREATE SCHEMA other", name)
    for migration in MIGRATIONS:
        postgres.run_sql(f"SET search_path = other, public; {migration.read_text()}", name)
    with function_process(postgres.url(name, schema="other"), tmp_path / "log") as function:
        for query in EVERYTHING * 2:
            assert "errors" not in function.execute(query)
        assert loaded(psutil.Process(function.process.pid), COMPILER)
        assert function.log.read_text().count("plans.json has no plans for this schema and version") == 1


def test_every_acknowledged_todo_outlives_the_function_and_is_there_once(
    empty: Database, tmp_path: Path
) -> None:
    def write(writer: int) -> tuple[set[str], set[str]]:
        """Create todos; a process is killed while it creates its last one, and another goes on."""
        acknowledged, unknown = set(), set()
        for life in range(2):
            with function_process(empty.url, tmp_path / f"log-{writer}-{life}") as function:
                for number in range(5 * life):
                    title = f"{writer} {life} {number}"
                    assert function.execute(CREATE, title=title) == {"data": {"createTodo": {"title": title}}}
                    acknowledged.add(title)
                title = f"{writer} {life} killed"
                function.start(CREATE, title=title)
                try:
                    function.api.posts.get(timeout=0.001 + 0.002 * writer)
                    acknowledged.add(title)
                except queue.Empty:
                    unknown.add(title)
        return acknowledged, unknown

    with ThreadPoolExecutor(2) as writers:
        written = list(writers.map(write, range(2)))
    titles = empty.titles()
    acknowledged = set().union(*(each for each, _ in written))
    unknown = set().union(*(each for _, each in written))
    assert len(titles) == len({*titles})
    assert acknowledged <= {*titles} <= acknowledged | unknown
