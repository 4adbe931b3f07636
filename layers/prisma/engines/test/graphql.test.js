"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { translate } = require("../query/graphql");
const { jsonFields } = require("../query/json-fields");

const query = (text) => translate(text).query;
const argument = (value) => query(`query { result: findManyTodo(x: ${value}) { id } }`).query.arguments.x;

test("a query as Prisma Client Python writes it", () => {
  const text = `query {
  result: findManyTodo
  (
    where: {
      OR: [
        {
          title: {
            in: ["a", "b"]
          }
        },
        {
          completed: true
        }
      ]
    }
    take: -2
    orderBy: [
      {
        createdAt: "asc"
      }
    ]
  )
  {
    id
    author {
      name
    }
    tags(
      take: 1
    )
    {
      name
    }
    _count { _all }
  }
}`;
  assert.deepEqual(translate(text), {
    alias: "result",
    query: {
      modelName: "Todo",
      action: "findMany",
      query: {
        arguments: {
          where: { OR: [{ title: { in: ["a", "b"] } }, { completed: true }] },
          take: -2,
          orderBy: [{ createdAt: "asc" }],
        },
        selection: {
          id: true,
          author: { arguments: {}, selection: { name: true } },
          tags: { arguments: { take: 1 }, selection: { name: true } },
          _count: { arguments: {}, selection: { _all: true } },
        },
      },
    },
  });
});

for (const [name, action, modelName] of [
  ["findUniqueTodoOrThrow", "findUniqueOrThrow", "Todo"],
  ["findFirstTodo", "findFirst", "Todo"],
  ["createManyTodo", "createMany", "Todo"],
  ["upsertOneTodo", "upsertOne", "Todo"],
  ["aggregateTodo", "aggregate", "Todo"],
  ["groupByTodo", "groupBy", "Todo"],
  ["queryRaw", "queryRaw", undefined],
]) {
  test(`operation ${name}`, () => {
    const { action: got, modelName: of } = query(`mutation { result: ${name} }`);
    assert.deepEqual([got, of], [action, modelName]);
  });
}

for (const [text, value] of [
  [String.raw`"a \"q\" \\ \n é😀 {x: [1]}"`, 'a "q" \\ \n é😀 {x: [1]}'],
  [String.raw`"\\"`, "\\"],
  ['""', ""],
  ["9007199254740993", { $type: "BigInt", value: "9007199254740993" }],
  ["-1.5e3", -1500],
  ["null", null],
  ["insensitive", "insensitive"],
  ["constructor", "constructor"],
  ["[]", []],
  ["{}", {}],
]) {
  test(`value ${text}`, () => assert.deepEqual(argument(text), value));
}

test("a string of a megabyte", () => {
  const long = 'é"\\'.repeat(300_000);
  assert.equal(argument(JSON.stringify(long)), long);
});

for (const [text, expected] of [
  ["", /Expected a name|Expected `name`|Expected `query`/],
  ["subscription { x }", /Expected `query` or `mutation` at character/],
  ["query { result: dropTodo { id } }", /Unsupported operation dropTodo/],
  ["query { result: findManyTodo { id } other: findManyTodo { id } }", /Expected `}` at character/],
  ["query { findManyTodo(where: $where) { id } }", /Expected a name, a value or a sign at character/],
  ['query { findManyTodo(x: "a) { id } }', /Expected a string/],
  ["query { findManyTodo(x: ) { id } }", /Expected a value/],
  ["query { findManyTodo { id }", /Expected `}`/],
]) {
  test(`refused: ${text}`, () => assert.throws(() => translate(text), expected));
}

test("texts of Json fields are JSON", () => {
  const fields = jsonFields("model A {\n  meta Json?\n  list Json[]\n  name String // Json\n}");
  const text = `mutation { result: findManyA(where: {meta: {equals: "{}", path: ["a"], not: null}, list: ["1"], name: "n"}) }`;
  assert.deepEqual(translate(text, fields).query.query.arguments.where, {
    meta: { equals: { $type: "Json", value: "{}" }, path: ["a"], not: null },
    list: [{ $type: "Json", value: "1" }],
    name: "n",
  });
});
