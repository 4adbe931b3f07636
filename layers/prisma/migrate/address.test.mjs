import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseUrl, urlOf } from "./address.mjs";

const SECRET = { username: "u", password: "hush", host: "db.example", port: 6543, dbname: "d", engine: "postgres" };
const secret = (changes = {}) => JSON.stringify({ ...SECRET, ...changes });
const ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:todos";

test("encrypted and verified", () =>
  assert.equal(
    urlOf(secret(), "/var/task/rds-ca.pem"),
    "postgresql://u:hush@db.example:6543/d?sslmode=require&connect_timeout=20" +
      "&sslcert=%2Fvar%2Ftask%2Frds-ca.pem&sslaccept=strict",
  ));

test("encrypted alone, without certificates", () =>
  assert.equal(new URL(urlOf(secret())).search, "?sslmode=require&connect_timeout=20"));

for (const password of ["p@ss/w:rd?#%+&= ", "%41", "é😀", "'\"`$(x)", "[]{}|\\^~"]) {
  test(`a password as it is: ${password}`, () =>
    assert.equal(decodeURIComponent(new URL(urlOf(secret({ password }))).password), password));
}

test("a port as text, or none", () => {
  assert.equal(new URL(urlOf(secret({ port: "1" }))).port, "1");
  assert.equal(new URL(urlOf(secret({ port: undefined }))).port, "5432");
});

for (const text of ["", "hush", "null", "[]", "{}", secret({ password: 7 }), secret({ host: null }), secret({ port: "hush" })]) {
  test(`refused without being quoted: ${text}`, () =>
    assert.throws(() => urlOf(text), ({ message }) => message.includes('"dbname"') && !message.includes("hush")));
}

test("a secret takes precedence over an address", async () => {
  const fetched = [];
  const fetchSecret = async (arn) => (fetched.push(arn), secret());
  const url = await databaseUrl({ DATABASE_SECRET: ARN, DATABASE_CA: "/ca", DATABASE_URL: "postgresql://x" }, fetchSecret);
  assert.equal(url, urlOf(secret(), "/ca"));
  assert.deepEqual(fetched, [ARN]);
});

test("an address is used unchanged, without the blanks around it", async () => {
  for (const DATABASE_URL of ["postgresql://x", " postgresql://x\r\n"]) {
    assert.equal(await databaseUrl({ DATABASE_URL, DATABASE_CA: "/ca" }), "postgresql://x");
  }
});

for (const DATABASE_URL of [undefined, " "]) {
  test(`neither: ${DATABASE_URL}`, () => assert.rejects(databaseUrl({ DATABASE_URL }), /DATABASE_URL, or in DATABASE_SECRET/));
}
