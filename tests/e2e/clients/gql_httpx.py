"""Queries as Python expressions, made of the schema of the service."""

import os
from typing import Any

from gql import Client
from gql.dsl import DSLMutation, DSLQuery, DSLSchema, dsl_gql
from gql.transport.httpx import HTTPXTransport

HEADERS = {"authorization": f"Bearer {os.environ['API_KEY']}"}
client = Client(
    transport=HTTPXTransport(url=os.environ["GRAPHQL_URL"], headers=HEADERS), fetch_schema_from_transport=True
)
client.connect_sync()
ds = DSLSchema(client.schema)


def create(title: str) -> str:
    field = ds.Mutation.createTodo(title=title).select(ds.Todo.id, ds.Todo.title, ds.Todo.createdAt)
    return client.session.execute(dsl_gql(DSLMutation(field)))["createTodo"]["title"]


def forward(title: str) -> list[str]:
    titles, after, more = list[str](), None, True
    while more:
        page = fetched(title, first=2, after=after)
        titles += [edge["node"]["title"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return titles


def backward(title: str) -> list[str]:
    titles, before, more = list[str](), None, True
    while more:
        page = fetched(title, last=2, before=before)
        titles = [edge["node"]["title"] for edge in page["edges"]] + titles
        before, more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]
    return titles


def failure(todo_id: str) -> None:
    client.session.execute(dsl_gql(DSLMutation(ds.Mutation.deleteTodo(id=todo_id).select(ds.Todo.id))))


def fetched(title: str, **window: object) -> dict[str, Any]:
    order = {"field": "TITLE", "direction": "ASC"}
    info = ds.TodoConnection.pageInfo.select(
        ds.PageInfo.hasNextPage, ds.PageInfo.hasPreviousPage, ds.PageInfo.startCursor, ds.PageInfo.endCursor
    )
    edges = ds.TodoConnection.edges.select(ds.TodoEdge.node.select(ds.Todo.title))
    field = ds.Query.todosConnection(filter={"title": title}, orderBy=order, **window).select(edges, info)
    return client.session.execute(dsl_gql(DSLQuery(field)))["todosConnection"]
