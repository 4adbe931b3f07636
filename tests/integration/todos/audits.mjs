// Hold a server to GraphQL over HTTP, by the package `graphql-http`, and print each audit's result as JSON:
// node audits.mjs <address>

import { serverAudits } from "graphql-http";

const results = {};
for (const { id, name, fn } of serverAudits({ url: process.argv[2] })) {
  const result = await fn();
  await result.response?.body?.cancel().catch(() => {}); // one that is read already is locked
  results[id] = { name, status: result.status, reason: result.reason ?? null };
}
console.log(JSON.stringify(results));
