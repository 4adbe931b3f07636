"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { connectionError } = require("../database-errors");
const { readDatabaseUrl } = require("../database-url");
const { datasourceSetting } = require("../datasource");

const read = (rest = "", host = "db.example:6543") => readDatabaseUrl(`postgresql://us%40er:p%3Ass@${host}/todos${rest}`);
const ADDRESS = { host: "db.example", port: 6543, database: "todos", user: "us@er" };

test("an address and its password", () => {
  const { address, client } = read();
  assert.deepEqual(address, ADDRESS);
  assert.equal(client.password, "p:ss");
});

test("the defaults", () => {
  const { address, schema, connectionLimit, poolTimeoutMs, client } = readDatabaseUrl("postgres://u@localhost");
  assert.deepEqual(address, { host: "localhost", port: 5432, database: "postgres", user: "u" });
  assert.deepEqual([schema, connectionLimit, poolTimeoutMs], [undefined, undefined, 10_000]);
  assert.deepEqual([client.connectionTimeoutMillis, client.ssl, client.password], [5_000, false, undefined]);
});

test("the parameters", () => {
  const settings = read("?schema=a%20b&connection_limit=1&pool_timeout=0&connect_timeout=2&socket_timeout=3&host=/run/pg");
  assert.equal(settings.schema, "a b");
  assert.deepEqual([settings.connectionLimit, settings.poolTimeoutMs, settings.socketTimeoutMs], [1, 0, 3_000]);
  assert.deepEqual([settings.client.connectionTimeoutMillis, settings.client.host], [2_000, "/run/pg"]);
});

test("an IPv6 host", () => assert.equal(read("", "[::1]:1").address.host, "::1"));

for (const [mode, ssl] of [
  ["sslmode=disable", false],
  ["sslmode=prefer", false],
  ["sslmode=require", { rejectUnauthorized: false, ca: undefined }],
  ["sslmode=require&sslaccept=strict", { rejectUnauthorized: true, ca: undefined }],
  ["sslmode=verify-full", { rejectUnauthorized: true, ca: undefined }],
]) {
  test(mode, () => assert.deepEqual(read(`?${mode}`).client.ssl, ssl));
}

for (const url of ["hush", "mysql://u:hush@h/d", "postgresql://u:hush%zz@h/d", "postgresql://u:hush@h/d?pool_timeout=1s"]) {
  test(`refused without being shown: ${url}`, () =>
    assert.throws(() => readDatabaseUrl(url), (error) => error.code === "P1013" && !error.message.includes("hush")));
}

const SCHEMA = `
// datasource old { url = "no" }
datasource db {
  provider = "postgresql"
  // url   = env("OLD")
  url      = env("DATABASE_URL")
  directUrl = "postgresql://d"
}
model datasource { url String }`;

test("a setting is a variable's value, or a text, or missing", () => {
  assert.equal(datasourceSetting(SCHEMA, "url", { DATABASE_URL: "u" }), "u");
  assert.equal(datasourceSetting(SCHEMA, "directUrl", {}), "postgresql://d");
  assert.equal(datasourceSetting(SCHEMA, "shadowDatabaseUrl", {}), undefined);
  assert.throws(() => datasourceSetting(SCHEMA, "url", {}), { code: "P1012", message: /DATABASE_URL/ });
});

for (const [fields, code] of [
  [{ code: "ECONNREFUSED" }, "P1001"],
  [{ code: "57P03" }, "P1001"],
  [{ message: "timeout expired" }, "P1001"],
  [{ code: "ECONNRESET", connecting: true }, "P1001"],
  [{ code: "ECONNRESET" }, "P1017"],
  [{ code: "57P01" }, "P1017"],
  [{ message: "Connection terminated unexpectedly" }, "P1017"],
  [{ message: "timeout exceeded when trying to connect" }, "P2024"],
  [{ code: "28P01" }, "P1000"],
  [{ code: "3D000" }, "P1003"],
  [{ code: "53300" }, "P2037"],
  [{ message: "The server does not support SSL connections" }, "P1011"],
  [{ code: "23505" }, undefined],
]) {
  const error = Object.assign(new Error(fields.message ?? ""), fields);
  test(`${JSON.stringify(fields)} is ${code}`, () => assert.equal(connectionError(error, ADDRESS)?.code, code));
}

test("an error names host and port", () => {
  assert.match(connectionError({ code: "ECONNREFUSED" }, ADDRESS).message, /`db.example:6543`/);
  assert.match(connectionError({ code: "ECONNREFUSED" }, { ...ADDRESS, host: "::1" }).message, /`\[::1\]:6543`/);
});
