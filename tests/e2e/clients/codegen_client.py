"""A typed client, generated from `schema.graphql` and the operations."""

import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

OPERATIONS = """
  query Todos($title: String, $first: Int, $after: String, $last: Int, $before: String) {
    todosConnection(
      filter: { title: $title }, orderBy: { field: TITLE, direction: ASC }
      first: $first, after: $after, last: $last, before: $before
    ) {
      edges { cursor node { id title } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
  mutation Create($title: String!) { createTodo(title: $title) { id title completed createdAt } }
  mutation Delete($id: ID!) { deleteTodo(id: $id) { id } }
"""
CONFIG = """
  [tool.ariadne-codegen]
  schema_path = "schema.graphql"
  queries_path = "operations.graphql"
  target_package_name = "todo_client"
"""


def connected() -> Any:
    headers = {"authorization": f"Bearer {os.environ['API_KEY']}"}
    return generated().Client(url=os.environ["GRAPHQL_URL"], headers=headers)


async def create(title: str) -> str:
    async with connected() as client:
        return (await client.create(title=title)).create_todo.title


async def forward(title: str) -> list[str]:
    titles, after, more = list[str](), None, True
    async with connected() as client:
        while more:
            page = (await client.todos(title=title, first=2, after=after)).todos_connection
            titles += [edge.node.title for edge in page.edges]
            after, more = page.page_info.end_cursor, page.page_info.has_next_page
    return titles


async def backward(title: str) -> list[str]:
    titles, before, more = list[str](), None, True
    async with connected() as client:
        while more:
            page = (await client.todos(title=title, last=2, before=before)).todos_connection
            titles = [edge.node.title for edge in page.edges] + titles
            before, more = page.page_info.start_cursor, page.page_info.has_previous_page
    return titles


async def failure(todo_id: str) -> None:
    async with connected() as client:
        await client.delete(id=todo_id)


def generated() -> Any:
    if "todo_client" not in sys.modules:
        folder = Path(tempfile.mkdtemp())
        (folder / "schema.graphql").write_bytes(Path(os.environ["GRAPHQL_SCHEMA"]).read_bytes())
        (folder / "operations.graphql").write_text(OPERATIONS)
        (folder / "pyproject.toml").write_text(CONFIG)
        subprocess.run((sys.executable, "-m", "ariadne_codegen", "client"), cwd=folder, check=True, stdout=2)
        sys.path.append(str(folder))
    return import_module("todo_client")
