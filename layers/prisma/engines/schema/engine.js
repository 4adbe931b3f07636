"use strict";
/** Prisma's schema engine in WebAssembly, on Postgres connections. */
const { webcrypto } = require("node:crypto");
const fs = require("node:fs");
const { bindMigrationAwareSqlAdapterFactory } = require("driver-adapter-utils-6");
const { datasourceSetting } = require("../datasource");
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
 * A URL that is given wins over the schema's own.
 */
async function openEngine(files, environment, { url, shadowUrl } = {}) {
  const setting = (name) => datasourceSetting(files.map(({ content }) => content).join("\n"), name, environment);
  const shadow = shadowUrl ?? setting("shadowDatabaseUrl");
  let scriptError;
  const adapter = migrationAdapter(
    readDatabaseUrl(url ?? setting("directUrl") ?? setting("url")),
    shadow && readDatabaseUrl(shadow),
    (error) => (scriptError = error),
  );
  const factory = bindMigrationAwareSqlAdapterFactory(adapter);
  const SchemaEngine = await (loading ??= load());
  const options = { datamodels: files.map(({ path, content }) => [path, content]) };
  const engine = await revealing(factory, SchemaEngine.new(options, () => {}, factory));
  return {
    run: (method, input) => revealing(factory, engine[method](input)),
    /** What the database said to the last script that failed. */
    scriptError: () => scriptError,
  };
}

/** An error of the engine's may only point at one of the adapter's. */
async function revealing(factory, promise) {
  try {
    return await promise;
  } catch (error) {
    const [, id] = POINTER.exec(error.message ?? "") ?? [];
    throw (id && factory.errorRegistry.consumeError(Number(id))?.error) || error;
  }
}

module.exports = { openEngine };
