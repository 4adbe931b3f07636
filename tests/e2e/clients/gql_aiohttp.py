"""With the schema of the service, against which it checks operations before it sends them."""

import os

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport

HEADERS = {"authorization": f"Bearer {os.environ['API_KEY']}"}
TODOS = gql("""
  query Todos($title: String, $first: Int, $after: String, $last: Int, $before: String) {
    todosConnection(
      filter: { title: $title }, orderBy: { field: TITLE, direction: ASC }
      first: $first, after: $after, last: $last, before: $before
    ) {
      edges { cursor node { id title } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
""")
CREATE = gql("mutation ($title: String!) { createTodo(title: $title) { id title completed createdAt } }")
DELETE = gql("mutation ($id: ID!) { deleteTodo(id: $id) { id } }")


def connected() -> Client:
    transport = AIOHTTPTransport(url=os.environ["GRAPHQL_URL"], headers=HEADERS)
    return Client(transport=transport, fetch_schema_from_transport=True)


async def create(title: str) -> str:
    async with connected() as session:
        return (await session.execute(CREATE, variable_values={"title": title}))["createTodo"]["title"]


async def forward(title: str) -> list[str]:
    titles, after, more = list[str](), None, True
    async with connected() as session:
        while more:
            variables = {"title": title, "first": 2, "after": after}
            page = (await session.execute(TODOS, variable_values=variables))["todosConnection"]
            titles += [edge["node"]["title"] for edge in page["edges"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return titles


async def backward(title: str) -> list[str]:
    titles, before, more = list[str](), None, True
    async with connected() as session:
        while more:
            variables = {"title": title, "last": 2, "before": before}
            page = (await session.execute(TODOS, variable_values=variables))["todosConnection"]
            titles = [edge["node"]["title"] for edge in page["edges"]] + titles
            before, more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]
    return titles


async def failure(todo_id: str) -> None:
    async with connected() as session:
        await session.execute(DELETE, variable_values={"id": todo_id})
