// With persisted queries, and pages in its cache. A bundler needs no `/index.js`.
import { createHash } from "node:crypto";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core/index.js";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries/index.js";
import { relayStylePagination } from "@apollo/client/utilities/index.js";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const todosConnection = relayStylePagination(["filter", "orderBy"]);
const connected = (options) => {
  const http = new HttpLink({
    uri: process.env.GRAPHQL_URL,
    headers: { authorization: `Bearer ${process.env.API_KEY}` },
  });
  return new ApolloClient({
    link: createPersistedQueryLink({ sha256, ...options }).concat(http),
    cache: new InMemoryCache({ typePolicies: { Query: { fields: { todosConnection } } } }),
  });
};
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
const client = connected({});

export async function create(title) {
  const { data } = await client.mutate({ mutation: CREATE, variables: { title } });
  return data.createTodo.title;
}

export async function forward(title) {
  return pages(connected({}), { title, first: 2 }, (page) => page.hasNextPage && { after: page.endCursor });
}

export async function backward(title) {
  return pages(connected({}), { title, last: 2 }, (page) => page.hasPreviousPage && { before: page.startCursor });
}

export async function hashed_get(title) {
  const client = connected({ useGETForHashedQueries: true });
  return pages(client, { title, first: 2 }, (page) => page.hasNextPage && { after: page.endCursor });
}

export async function failure(id) {
  await client.mutate({ mutation: DELETE, variables: { id } });
}

export async function subscription() {
  const results = client.subscribe({ query: ALL });
  const next = (result) => Promise.reject(result.error ?? result.errors[0]);
  await new Promise((resolve, reject) => results.subscribe({ next: (result) => resolve(next(result)), error: reject }));
}

async function pages(client, variables, next) {
  const todos = client.watchQuery({ query: TODOS, variables });
  const watched = todos.subscribe(() => {});
  let { data } = await client.query({ query: TODOS, variables });
  for (let more; (more = next(data.todosConnection.pageInfo)); ) {
    await todos.fetchMore({ variables: more });
    data = client.readQuery({ query: TODOS, variables });
  }
  watched.unsubscribe();
  return data.todosConnection.edges.map((edge) => edge.node.title);
}
