"use strict";
/** Prisma's schema engine in WebAssembly, on Postgres connections. */
const { webcrypto } = require("node:crypto");
const fs = require("node:fs");
const { bindMigrationAwareSqlAdapterFactory } = require("driver-adapter-utils-6");
const { datasourceSetting } = require("../datasource");
const { DatabaseError, place, statementError } = require("../database-errors");
const { readDatabaseUrl } = require("../database-url");
const { migrationAdapter } = require("./adapter");

const GLUE = "@prisma/schema-engine-wasm/schema_engine_bg";
const POINTER = /external error.*?(\d+)/i;

let loading;

async function load() {
  globalThis.crypto ??= webcrypto; // Node.js 18
  const glue = await import(GLUE);
  const code = fs.readFileSync(require.resolve(GLUE).replace(/\.js$/, ".wasm"));
  const { instance } = await WebAssembly.instantiate(code, { "./schema_engine_bg.js": glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue.SchemaEngine;
}

/**
 * Open an engine for schema files, [{path, content}].
 *
 * A URL that is given wins over the schema's own; with `anyDatabase` the shadow database is the only one.
 */
async function openEngine(files, environment, { url, shadowUrl, anyDatabase = false } = {}) {
  const setting = (name) => datasourceSetting(files.map(({ content }) => content).join("\n"), name, environment);
  const shadow = shadowUrl ?? setting("shadowDatabaseUrl");
  const settings = readDatabaseUrl(url ?? setting("directUrl") ?? setting("url"));
  const { address } = settings;
  let lastError;
  const onError = (error) => (lastError = error);
  const adapter = migrationAdapter(settings, shadow && readDatabaseUrl(shadow), { onError, anyDatabase });
  const factory = bindMigrationAwareSqlAdapterFactory(adapter);

  /** An error of the engine's may only point at one of the adapter's, or lack what is known here. */
  const explained = async (promise) => {
    try {
      return await promise;
    } catch (error) {
      const [, id] = POINTER.exec(error.message ?? "") ?? [];
      const pointedAt = id && factory.errorRegistry.consumeError(Number(id))?.error;
      throw pointedAt || withAddress(error, address) || withCode(error, lastError, address) || error;
    }
  };

  const SchemaEngine = await (loading ??= load());
  const options = { datamodels: files.map(({ path, content }) => [path, content]) };
  const engine = await explained(SchemaEngine.new(options, () => {}, factory));
  return {
    run: (method, input) => explained(engine[method](input)),
    /** The database's error for the last statement that failed. */
    lastError: () => lastError,
  };
}

/** The engine does not know the address of a server that let it wait for another migration. */
function withAddress({ code, message, meta }, address) {
  if (code !== "P1002") return undefined;
  const where = `\`${place(address)}\``;
  const text = message.replace("database server was", `database server at ${where} was`).replace("the configured address", where);
  return new DatabaseError(code, text, meta);
}

/** Of a role's missing privileges the engine has the text alone, before a trace of its own; a migration's are P3018. */
function withCode({ code, message }, lastError, address) {
  const known = !code && lastError && message.includes(lastError.message) && !message.includes("migration_name=");
  return known ? statementError(lastError, address) : undefined;
}

module.exports = { openEngine };
