"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { connectionError, statementError } = require("../database-errors");
const { datasourceSetting } = require("../datasource");

const ADDRESS = { host: "db.example", port: 6543, database: "todos", user: "us@er" };

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
  [{ code: "42501", connecting: true }, "P1010"],
  [{ code: "55000", connecting: true }, "P1010"],
  [{ message: "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string" }, "P1000"],
  [{ message: "self-signed certificate in certificate chain" }, "P1011"],
  [{ code: "42501" }, undefined],
  [{ code: "23505" }, undefined],
]) {
  const error = Object.assign(new Error(fields.message ?? ""), fields);
  test(`${JSON.stringify(fields)} is ${code}`, () => assert.equal(connectionError(error, ADDRESS)?.code, code));
}

test("an error names host and port", () => {
  assert.match(connectionError({ code: "ECONNREFUSED" }, ADDRESS).message, /`db.example:6543`/);
  assert.match(connectionError({ code: "ECONNREFUSED" }, { ...ADDRESS, host: "::1" }).message, /`\[::1\]:6543`/);
});

test("a role without a privilege, once it is connected", () => {
  const { code, message } = statementError({ code: "42501", message: "permission denied for schema public" }, ADDRESS);
  assert.deepEqual([code, message], ["P1010", "User `us@er` was denied access on the database `todos`: permission denied for schema public"]);
  assert.equal(statementError({ code: "42P01", message: "" }, ADDRESS), undefined);
});
