"use strict";
/** The connections of the query engine. */
const os = require("node:os");
const { openPool, quoted, withSession } = require("../connections");

const IDLE_MS = 300_000;

/** Open the pool and its first connection. */
function openQueryPool({ client, schema, connectionLimit, poolTimeoutMs, socketTimeoutMs }) {
  const session = withSession(client, { TimeZone: "UTC", search_path: schema && quoted(schema) }); // the adapter reads instants as UTC
  const pool = openPool(
    { ...session, query_timeout: socketTimeoutMs || undefined },
    {
      max: connectionLimit ?? os.cpus().length * 2 + 1,
      connectionTimeoutMillis: poolTimeoutMs,
      idleTimeoutMillis: IDLE_MS,
    },
  );
  pool.connect().then(
    (connection) => connection.release(),
    () => {}, // the first query will say so
  );
  return pool;
}

module.exports = { openQueryPool };
