// With persisted queries, which it sends by GET, and pages in its normalised cache.
import { Client, fetchExchange, gql } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";

const resolvers = { Query: { todosConnection: relayPagination() } };
const connected = () =>
  new Client({
    url: process.env.GRAPHQL_URL,
    fetchOptions: { headers: { authorization: `Bearer ${process.env.API_KEY}` } },
    exchanges: [cacheExchange({ resolvers }), persistedExchange(), fetchExchange],
    fetchSubscriptions: true,
  });
const TODOS = gql`
  query Todos($title: String, $first: Int, $after: String, $last: Int, $before: String) {
    todosConnection(
      filter: { title: $title }, orderBy: { field: TITLE, direction: ASC }
      first: $first, after: $after, last: $last, before: $before
    ) {
      edges { cursor node { id title } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;
const CREATE = gql`
  mutation Create($title: String!) { createTodo(title: $title) { id title completed createdAt } }
`;
const DELETE = gql`
  mutation Delete($id: ID!) { deleteTodo(id: $id) { id } }
`;
const ALL = gql`
  subscription { todos { id } }
`;

export async function create(title) {
  return checked(await connected().mutation(CREATE, { title })).createTodo.title;
}

export async function forward(title) {
  const client = connected();
  let found = checked(await client.query(TODOS, { title, first: 2 })).todosConnection;
  while (found.pageInfo.hasNextPage) {
    const after = found.pageInfo.endCursor;
    found = checked(await client.query(TODOS, { title, first: 2, after })).todosConnection;
  }
  return found.edges.map((edge) => edge.node.title);
}

export async function backward(title) {
  const client = connected();
  let found = checked(await client.query(TODOS, { title, last: 2 })).todosConnection;
  while (found.pageInfo.hasPreviousPage) {
    const before = found.pageInfo.startCursor;
    found = checked(await client.query(TODOS, { title, last: 2, before })).todosConnection;
  }
  return found.edges.map((edge) => edge.node.title);
}

export async function failure(id) {
  checked(await connected().mutation(DELETE, { id }));
}

export async function subscription() {
  checked(await new Promise((resolve) => connected().subscription(ALL, {}).subscribe(resolve)));
}

function checked({ data, error }) {
  if (error) throw error;
  return data;
}
