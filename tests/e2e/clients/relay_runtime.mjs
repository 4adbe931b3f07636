// Its compiler checks operations against `schema.graphql`, and Relay keeps a connection's pages in its store.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import relay from "relay-runtime";

const TODOS = `
  query TodosQuery($title: String, $first: Int, $after: String, $last: Int, $before: String) {
    todosConnection(
      filter: { title: $title }, orderBy: { field: TITLE, direction: ASC }
      first: $first, after: $after, last: $last, before: $before
    ) @connection(key: "Todos_todosConnection", filters: ["filter"]) {
      edges { node { id title } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;
const CREATE = `
  mutation CreateMutation($title: String!) { createTodo(title: $title) { id title completed createdAt } }
`;
const DELETE = `
  mutation DeleteMutation($id: ID!) { deleteTodo(id: $id) { id } }
`;
const compiled = compile({ Todos: TODOS, Create: CREATE, Delete: DELETE });
const network = relay.Network.create(async ({ text }, variables) => {
  const headers = { authorization: `Bearer ${process.env.API_KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ query: text, variables });
  return (await fetch(process.env.GRAPHQL_URL, { method: "POST", headers, body })).json();
});
const opened = () => new relay.Environment({ network, store: new relay.Store(new relay.RecordSource()) });

export async function create(title) {
  return (await mutated(compiled.CreateMutation, { title })).createTodo.title;
}

export async function forward(title) {
  const environment = opened();
  const fetched = (after) =>
    relay.fetchQuery(environment, compiled.TodosQuery, { title, first: 2, after }).toPromise();
  let found = (await fetched()).todosConnection;
  while (found.pageInfo.hasNextPage) found = (await fetched(found.pageInfo.endCursor)).todosConnection;
  return found.edges.map((edge) => edge.node.title);
}

export async function backward(title) {
  const environment = opened();
  const fetched = (before) =>
    relay.fetchQuery(environment, compiled.TodosQuery, { title, last: 2, before }).toPromise();
  let found = (await fetched()).todosConnection;
  while (found.pageInfo.hasPreviousPage) found = (await fetched(found.pageInfo.startCursor)).todosConnection;
  return found.edges.map((edge) => edge.node.title);
}

export async function failure(id) {
  await mutated(compiled.DeleteMutation, { id });
}

function mutated(mutation, variables) {
  return new Promise((onCompleted, onError) =>
    relay.commitMutation(opened(), { mutation, variables, onCompleted, onError }),
  );
}

// What a bundler's plugin does in an application.
function compile(sources) {
  const require = createRequire(import.meta.url);
  const folder = new URL("relay/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  copyFileSync(process.env.GRAPHQL_SCHEMA, new URL("schema.graphql", folder));
  const config = { src: ".", schema: "schema.graphql", language: "javascript" };
  writeFileSync(new URL("relay.config.json", folder), JSON.stringify(config));
  for (const [name, text] of Object.entries(sources))
    writeFileSync(new URL(`${name}.js`, folder), `graphql\`${text}\`;`);
  execFileSync(require.resolve("relay-compiler/cli.js"), ["relay.config.json"], { cwd: folder, stdio: "pipe" });
  const kinds = { Todos: "TodosQuery", Create: "CreateMutation", Delete: "DeleteMutation" };
  return Object.fromEntries(
    Object.values(kinds).map((name) => [name, require(`./relay/__generated__/${name}.graphql.js`)]),
  );
}
