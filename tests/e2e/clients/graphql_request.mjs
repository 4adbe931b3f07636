// It keeps nothing: each page is a request.
import { GraphQLClient, gql } from "graphql-request";

const headers = { authorization: `Bearer ${process.env.API_KEY}` };
const client = new GraphQLClient(process.env.GRAPHQL_URL, { headers });
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

export async function create(title) {
  return (await client.request(CREATE, { title })).createTodo.title;
}

export async function forward(title) {
  const titles = [];
  for (let after, more = true; more; ) {
    const { edges, pageInfo } = (await client.request(TODOS, { title, first: 2, after })).todosConnection;
    titles.push(...edges.map((edge) => edge.node.title));
    [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
  }
  return titles;
}

export async function backward(title) {
  const titles = [];
  for (let before, more = true; more; ) {
    const { edges, pageInfo } = (await client.request(TODOS, { title, last: 2, before })).todosConnection;
    titles.unshift(...edges.map((edge) => edge.node.title));
    [before, more] = [pageInfo.startCursor, pageInfo.hasPreviousPage];
  }
  return titles;
}

export async function failure(id) {
  await client.request(DELETE, { id });
}
