"use strict";
/**
 * A Postgres URL as Prisma reads it, turned into settings for the driver `pg`.
 *
 * Source: Prisma's "PostgreSQL connection URL", read 2026-11-22.
 */
const fs = require("node:fs");
const { DatabaseError } = require("./database-errors");

const EXPECTED = "Expected postgresql://user:password@host:port/database";
const CONNECT_TIMEOUT_S = 5;
const POOL_TIMEOUT_S = 10;

/**
 * Read a URL.
 *
 * Shape: `address` {host, port, database, user} is fit to be shown, `client` holds the password.
 * Units: `poolTimeoutMs`, `socketTimeoutMs`: 0 waits for ever. `connectionLimit`: undefined where the URL has none.
 * Raises: DatabaseError P1013, without the URL in its text.
 */
function readDatabaseUrl(text) {
  const url = parse(text);
  const parameter = (name) => url.searchParams.get(name) ?? undefined;
  const number = (name, otherwise) => readNumber(name, parameter(name), otherwise);
  const schema = parameter("schema");
  const address = {
    host: parameter("host") ?? (url.hostname.replace(/^\[|\]$/g, "") || "localhost"),
    port: Number(url.port) || 5432,
    database: decode(url.pathname.slice(1)) || "postgres",
    user: decode(url.username),
  };
  return {
    address,
    schema,
    connectionLimit: number("connection_limit"),
    poolTimeoutMs: 1000 * number("pool_timeout", POOL_TIMEOUT_S),
    socketTimeoutMs: 1000 * number("socket_timeout", 0),
    client: {
      ...address,
      user: address.user || undefined,
      password: decode(url.password) || undefined,
      ssl: tls(parameter),
      options: parameter("options"),
      keepAlive: true,
      application_name: parameter("application_name"),
      connectionTimeoutMillis: 1000 * number("connect_timeout", CONNECT_TIMEOUT_S),
    },
  };
}

function parse(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new DatabaseError("P1013", `The database URL is invalid. ${EXPECTED}, but got no URL.`);
  }
  if (!/^postgres(ql)?:$/.test(url.protocol)) {
    throw new DatabaseError("P1013", `The database URL is invalid. ${EXPECTED}, but got ${url.protocol}//.`);
  }
  return url;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new DatabaseError("P1013", `The database URL is invalid. ${EXPECTED}, each % followed by two digits.`);
  }
}

function readNumber(name, text, otherwise) {
  if (text === undefined) return otherwise;
  if (/^\d+$/.test(text)) return Number(text);
  throw new DatabaseError("P1013", `The database URL is invalid. Expected a whole number as ${name}.`);
}

/** Prisma checks a server's certificate only with `sslaccept=strict`; libpq's verify modes are supported too. */
function tls(parameter) {
  const mode = parameter("sslmode") ?? "prefer";
  if (mode === "disable" || mode === "prefer" || mode === "allow") return false;
  const authority = parameter("sslcert") ?? parameter("sslrootcert");
  const strict = parameter("sslaccept") === "strict" || mode.startsWith("verify-");
  return { rejectUnauthorized: strict, ca: authority && fs.readFileSync(authority, "utf8") };
}

module.exports = { readDatabaseUrl };
