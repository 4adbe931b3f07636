"use strict";
/**
 * The query language of Prisma's clients: one GraphQL operation of one field, without variables.
 * Read here straight into the JSON protocol, the only one that the WASM engine knows.
 *
 *     query { result: findManyTodo ( where: {title: "a"} ) { id title } }
 *     {action: "findMany", modelName: "Todo", query: {arguments: {where: {title: "a"}}, selection: {id: true, title: true}}}
 */

const { markJson } = require("./json-fields");

const OPERATION =
  /^(findUnique|findFirst|findMany|createOne|createMany|updateOne|updateMany|deleteOne|deleteMany|upsertOne|aggregate|groupBy|executeRaw|queryRaw)(\w*?)(OrThrow)?$/;
const TOKEN = /[\s,]*(?:([_A-Za-z]\w*)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(["{}()[\]:]))/y;
const LITERALS = { true: true, false: false, null: null };

/** A text that this engine cannot run. */
class QueryTextError extends Error {
  code = "P2009";
}

/**
 * Translate one operation.
 *
 * Shape:  {query, alias}: the JSON protocol's query, and the name under which its result is expected.
 * Raises: QueryTextError, naming what was expected and where.
 */
function translate(text, jsonFields = new Set()) {
  const reader = new Reader(text, jsonFields);
  if (!["query", "mutation"].includes(reader.name())) reader.fail("`query` or `mutation`");
  reader.expect("{");
  let name = reader.name();
  const alias = name;
  if (reader.skip(":")) name = reader.name();
  const operation = OPERATION.exec(name);
  if (!operation) throw new QueryTextError(`Unsupported operation ${name}.`);
  const field = reader.field();
  reader.expect("}");
  reader.end();
  const [, action, modelName, orThrow = ""] = operation;
  return { alias, query: { ...(modelName && { modelName }), action: action + orThrow, query: field } };
}

class Reader {
  constructor(text, jsonFields) {
    this.text = text;
    this.jsonFields = jsonFields;
    this.position = 0;
    this.advance();
  }

  /** Read the next token: its kind is "name", "number", the sign itself, or "end". */
  advance() {
    TOKEN.lastIndex = this.position;
    const match = TOKEN.exec(this.text);
    if (!match) {
      if (/[^\s,]/.test(this.text.slice(this.position))) this.fail("a name, a value or a sign");
      this.kind = "end";
      return;
    }
    const [, name, number, sign] = match;
    this.kind = sign ?? (name === undefined ? "number" : "name");
    this.token = name ?? number ?? sign;
    this.position = TOKEN.lastIndex;
  }

  fail(expected) {
    throw new QueryTextError(`Expected ${expected} at character ${this.position} of the query.`);
  }

  skip(kind) {
    if (this.kind !== kind) return false;
    this.advance();
    return true;
  }

  expect(kind) {
    if (!this.skip(kind)) this.fail(`\`${kind}\``);
  }

  end() {
    if (this.kind !== "end") this.fail("the end");
  }

  name() {
    const name = this.token;
    this.expect("name");
    return name;
  }

  field() {
    return { arguments: this.skip("(") ? this.pairs(")") : {}, selection: this.skip("{") ? this.selection() : {} };
  }

  selection() {
    const selected = {};
    while (!this.skip("}")) {
      const name = this.name();
      selected[name] = this.kind === "(" || this.kind === "{" ? this.field() : true;
    }
    return selected;
  }

  pairs(end) {
    const pairs = {};
    while (!this.skip(end)) {
      const name = this.name();
      this.expect(":");
      const value = this.value();
      pairs[name] = this.jsonFields.has(name) ? markJson(value) : value;
    }
    return pairs;
  }

  value() {
    const { kind, token } = this;
    if (kind === '"') return this.string();
    if (!["name", "number", "{", "["].includes(kind)) this.fail("a value");
    this.advance();
    if (kind === "{") return this.pairs("}");
    if (kind === "[") return this.list();
    if (kind === "number") return number(token);
    return Object.hasOwn(LITERALS, token) ? LITERALS[token] : token;
  }

  list() {
    const values = [];
    while (!this.skip("]")) values.push(this.value());
    return values;
  }

  /** GraphQL's one-line strings are JSON's; the opening quote has been read. */
  string() {
    const start = this.position - 1;
    let end = this.position;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    let value;
    try {
      value = JSON.parse(this.text.slice(start, end + 1));
    } catch {
      this.fail("a string");
    }
    this.position = end + 1;
    this.advance();
    return value;
  }
}

/** Integers that JavaScript would round travel as text. */
function number(text) {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? { $type: "BigInt", value: text } : value;
}

module.exports = { QueryTextError, translate };
