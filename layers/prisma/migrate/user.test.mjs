import assert from "node:assert/strict";
import { test } from "node:test";
import { userSql } from "./user.mjs";

const SECRET = { username: "todos_function", password: "hush'); DROP", host: "h", dbname: "to\"dos" };
const sql = (changes = {}) => userSql(JSON.stringify({ ...SECRET, ...changes }), "master");

test("no password, and names as they are", () => {
  const text = sql();
  assert.ok(!text.includes("hush"));
  assert.match(text, /ALTER ROLE "todos_function" LOGIN PASSWORD 'SCRAM-SHA-256\$4096:[\w+/]+=*\$[\w+/]+=*:[\w+/]+=*';/);
  assert.match(text, /GRANT CONNECT ON DATABASE "to""dos" TO "todos_function";/);
});

test("the tables of a schema, in it only", () => {
  const text = userSql(JSON.stringify(SECRET), "master", 'of "mine');
  assert.match(text, /GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "of ""mine" TO "todos_function";/);
  assert.ok(!text.includes("SCHEMA public"));
});

test("salted: the same password twice is not the same text", () => assert.notEqual(sql(), sql()));

for (const changes of [
  { username: "master" },
  { username: "Todos" },
  { username: 'x"; DROP' },
  { username: "x'" },
  { username: "" },
  { username: "x".repeat(64) },
  { username: undefined },
  { password: "" },
  { password: "hüsh" },
  { password: "hush\n" },
  { password: undefined },
  { dbname: undefined },
]) {
  test(`refused without being quoted: ${JSON.stringify(changes)}`, () =>
    assert.throws(() => sql(changes), ({ message }) => message.startsWith("Expected the todo function's secret") && !/h[uü]sh|DROP/.test(message)));
}

test("not JSON", () => assert.throws(() => userSql("hush", "master"), ({ message }) => !message.includes("hush")));
