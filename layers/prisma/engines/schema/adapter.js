"use strict";
/**
 * Prisma's Postgres adapter, fit for the schema engine. Of the stock one
 *
 *  - the shadow database is the real one (its connection string wins over the database's name): ours is another database;
 *  - a script is split at every `;`, also within functions and strings: ours is sent whole;
 *  - the catalogue's types `name` and `"char"` are refused: ours reads them.
 */
const crypto = require("node:crypto");

const { openPool, quoted, withSession } = require("../connections");
const { connectionError } = require("../database-errors");
const { PrismaPg } = require("adapter-pg-6");
const { ColumnTypeEnum } = require("driver-adapter-utils-6");

const CHAR = 18;
const NAME = 19;
const TEXT = 25;

/**
 * Make the engine's source of connections: to the database, and to one that it may wipe.
 *
 * `onScriptError` gets what the database said to a script of the former's: the engine keeps only a part of it.
 */
function migrationAdapter(settings, shadowSettings, onScriptError) {
  return {
    provider: "postgres",
    adapterName: "@prisma/adapter-pg",
    connect: () => connect(settings, onScriptError),
    connectToShadowDb: () => (shadowSettings ? emptied(shadowSettings) : created(settings)),
  };
}

async function connect({ client, address, schema }, onScriptError = () => {}) {
  const pool = openPool(withSession(client, { search_path: schema && quoted(schema) }), { max: 1 });
  return fit(await new PrismaPg(pool, { schema, disposeExternalPool: true }).connect(), address, onScriptError);
}

async function emptied(settings) {
  const shadow = await connect(settings);
  const schema = quoted(settings.schema ?? "public");
  await shadow.executeScript(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`);
  return shadow;
}

/** Create a database of its own, which goes when the engine is done with it. */
async function created(settings) {
  const database = `prisma_migrate_shadow_db_${crypto.randomUUID()}`;
  const client = { ...settings.client, database };
  await administer(settings, `CREATE DATABASE "${database}"`);
  const shadow = await connect({ ...settings, client });
  if (settings.schema) await shadow.executeScript(`CREATE SCHEMA IF NOT EXISTS ${quoted(settings.schema)}`);
  const dispose = shadow.dispose.bind(shadow);
  shadow.dispose = async () => {
    await dispose();
    await administer(settings, `DROP DATABASE "${database}"`);
  };
  return shadow;
}

/** Run one statement on a connection of its own. */
async function administer({ client, address }, statement) {
  const pool = openPool(client, { max: 1 });
  try {
    await pool.query(statement);
  } catch (error) {
    throw connectionError(error, address) ?? error;
  } finally {
    await pool.end();
  }
}

function fit(queryable, address, onScriptError) {
  const onError = queryable.onError.bind(queryable);
  queryable.onError = (error) => {
    throw connectionError(error, address) ?? onError(error);
  };
  readCatalogue(queryable);
  if (!queryable.startTransaction) return queryable;
  queryable.executeScript = async (script) => {
    await queryable.client.query(script).catch((error) => {
      onScriptError(error);
      queryable.onError(error);
    });
  };
  const start = queryable.startTransaction.bind(queryable);
  queryable.startTransaction = async (isolationLevel) => fit(await start(isolationLevel), address);
  return queryable;
}

/** The stock adapter maps types by number, and knows neither of these two. */
function readCatalogue(queryable) {
  const { queryRaw } = queryable;
  queryable.queryRaw = async (query) => {
    let chars = [];
    const reader = Object.create(queryable);
    reader.performIO = async (each) => {
      const result = await queryable.performIO(each);
      chars = result.fields.flatMap((field, i) => (field.dataTypeID === CHAR ? [i] : []));
      for (const field of result.fields) {
        if (field.dataTypeID === CHAR || field.dataTypeID === NAME) field.dataTypeID = TEXT;
      }
      return result;
    };
    const result = await queryRaw.call(reader, query);
    for (const i of chars) result.columnTypes[i] = ColumnTypeEnum.Character;
    return result;
  };
}

module.exports = { administer, migrationAdapter };
