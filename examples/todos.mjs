const url = process.argv[2] ?? "http://localhost:8000/graphql";
const key = process.env.API_KEY ?? "your_api_key_here";

async function* todos(pageSize) {
  const query = `query ($first: Int, $after: String) {
    todosConnection(first: $first, after: $after, filter: { completed: false }) {
      totalCount
      edges { node { id title createdAt } }
      pageInfo { hasNextPage endCursor }
    }
  }`;
  for (let after = null, more = true; more; ) {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Authorization: `Bearer ${key}`,
      },
      body: JSON.stringify({ query, variables: { first: pageSize, after } }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(errors[0].message);
    const { edges, pageInfo } = data.todosConnection;
    yield* edges.map((edge) => edge.node);
    after = pageInfo.endCursor;
    more = pageInfo.hasNextPage;
  }
}

// Usage: what is still to be done, in pages of 10
for await (const todo of todos(10)) {
  console.log(todo.createdAt, todo.title);
}
