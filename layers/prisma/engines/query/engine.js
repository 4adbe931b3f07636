"use strict";
/** Prisma's query engine in WebAssembly, on a pool of Postgres connections. */
const fs = require("node:fs");
const path = require("node:path");
const { datasourceSetting } = require("../datasource");
const { readDatabaseUrl } = require("../database-url");
const { translate } = require("./graphql");
const { jsonFields } = require("./json-fields");
const { render, renderBatch, renderTransaction } = require("./replies");

const RUNTIME = path.join(path.dirname(require.resolve("@prisma/client/package.json")), "runtime");
const NO_TRACE = "{}";

/** Start the engine as the environment of Prisma's clients describes it. */
async function startEngine(environment, write) {
  const compiling = compile(); // in threads of its own, while the driver loads and connects
  compiling.catch(() => {}); // the `await` below reports it
  const datamodel = fs.readFileSync(environment.PRISMA_DML_PATH, "utf8");
  const settings = readDatabaseUrl(databaseUrl(datamodel, environment));
  const pool = require("./pool").openQueryPool(settings);
  const { adapter, failures } = require("./adapter").bindPool(pool, settings);
  const { QueryEngine } = await compiling;
  const logQueries = Boolean(environment.LOG_QUERIES);
  const engine = new QueryEngine(
    {
      datamodel,
      logQueries,
      logLevel: logQueries ? "info" : "error",
      env: environment,
      ignoreEnvVarErrors: true,
      datasourceOverrides: {},
      configDir: ".",
      engineProtocol: "json",
    },
    (line) => logQueries && write(`${line}\n`),
    adapter,
  );
  await engine.connect(NO_TRACE);
  return new Engine(engine, pool, failures, jsonFields(datamodel));
}

async function compile() {
  const glue = require(path.join(RUNTIME, "query_engine_bg.postgresql.js"));
  const code = fs.readFileSync(path.join(RUNTIME, "query_engine_bg.postgresql.wasm"));
  const { instance } = await WebAssembly.instantiate(code, { "./query_engine_bg.js": glue });
  glue.__wbg_set_wasm(instance.exports);
  return glue;
}

function databaseUrl(datamodel, environment) {
  const overrides = JSON.parse(environment.OVERWRITE_DATASOURCES || "[]");
  return overrides.find((each) => each.url)?.url ?? datasourceSetting(datamodel, "url", environment);
}

class Engine {
  constructor(engine, pool, failures, fields) {
    this._engine = engine;
    this._pool = pool;
    this._failures = failures;
    this._jsonFields = fields;
  }

  /** Run a query of the GraphQL protocol, or a batch of them. */
  async query(body, transaction) {
    const { query: text, batch, transaction: atomic, isolationLevel = null } = JSON.parse(body);
    if (!batch) {
      const one = translate(text, this._jsonFields);
      return render(await this._execute(one.query, transaction), one, this._failures);
    }
    if (!batch.length) return { batchResult: [] };
    const many = batch.map((each) => translate(each.query, this._jsonFields));
    const request = { batch: many.map(({ query }) => query), ...(atomic && { transaction: { isolationLevel } }) };
    return renderBatch(await this._execute(request, transaction), many, this._failures);
  }

  async startTransaction(options) {
    return renderTransaction(JSON.parse(await this._engine.startTransaction(options, NO_TRACE)), this._failures);
  }

  async commitTransaction(id) {
    return renderTransaction(JSON.parse(await this._engine.commitTransaction(id, NO_TRACE)), this._failures);
  }

  async rollbackTransaction(id) {
    return renderTransaction(JSON.parse(await this._engine.rollbackTransaction(id, NO_TRACE)), this._failures);
  }

  async close() {
    await this._pool.end();
  }

  async _execute(request, transaction) {
    return JSON.parse(await this._engine.query(JSON.stringify(request), NO_TRACE, transaction));
  }
}

module.exports = { startEngine };
