"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { readDatabaseUrl } = require("../database-url");
const { read, refused } = require("./database-urls.json");

const DEFAULTS = {
  host: "localhost",
  port: 5432,
  user: "",
  password: null,
  database: "postgres",
  schema: "public",
  application_name: null,
  options: null,
  connection_limit: null,
  pool_timeout_s: 10,
  connect_timeout_s: 5,
  socket_timeout_s: 0,
  tls: "prefer",
};

for (const [url, fields] of read) {
  test(`read: ${url}`, () => {
    const { address, schema, connectionLimit, poolTimeoutMs, socketTimeoutMs, tls, client } = readDatabaseUrl(url);
    assert.deepEqual(
      {
        ...address,
        password: client.password ?? (fields.password === "" ? "" : null), // an empty one is none for `pg`
        schema: schema ?? "public",
        application_name: client.application_name ?? null,
        options: client.options ?? null,
        connection_limit: connectionLimit ?? null,
        pool_timeout_s: poolTimeoutMs / 1000,
        connect_timeout_s: client.connectionTimeoutMillis / 1000,
        socket_timeout_s: socketTimeoutMs / 1000,
        tls,
      },
      { ...DEFAULTS, ...fields },
    );
  });
}

for (const [url, reason] of refused) {
  test(`refused without being shown: ${url}`, () =>
    assert.throws(
      () => readDatabaseUrl(url),
      ({ code, message }) => code === "P1013" && message.includes(reason) && !/hu.?sh/.test(message),
    ));
}

for (const [mode, ssl] of [
  ["sslmode=disable", false],
  ["sslmode=prefer", false],
  ["sslmode=require", { rejectUnauthorized: false }],
  ["sslmode=verify-full", { rejectUnauthorized: true }],
  ["sslaccept=strict&sslcert=/dev/null", { rejectUnauthorized: true, ca: Buffer.alloc(0) }],
]) {
  test(mode, () => assert.deepEqual(readDatabaseUrl(`postgresql://h?${mode}`).client.ssl, ssl));
}

test("verify-ca does not compare names", () =>
  assert.equal(readDatabaseUrl("postgresql://h?sslmode=verify-ca").client.ssl.checkServerIdentity("a", {}), undefined));

test("a file that is missing", () =>
  assert.throws(() => readDatabaseUrl("postgresql://u:hush@h?sslmode=require&sslcert=/none"), { code: "P1011", message: /ENOENT/ }));
