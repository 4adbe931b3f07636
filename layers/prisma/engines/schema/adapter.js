"use strict";
/**
 * Prisma's Postgres adapter, fit for the schema engine. Of the stock one
 *
 *  - the shadow database is the real one (its connection string wins over the database's name): ours is another database;
 *  - a script is split at every `;`, also within functions and strings: ours is sent whole;
 *  - the catalogue's types `name` and `"char"` are refused: ours reads them;
 *  - operator classes in another schema are not found: ours names their schema;
 *  - times depend on the style and the zone that the database, or the role, sets: ours do not;
 *  - tables go where the search path of the role begins: ours go into the schema of the URL, or `public`.
 */
const crypto = require("node:crypto");

const { openPool, quoted } = require("../connections");
const { DatabaseError, connectionError, errorText } = require("../database-errors");
const { PrismaPg } = require("adapter-pg-6");
const { ColumnTypeEnum } = require("driver-adapter-utils-6");
const { withOperatorClasses } = require("./operator-classes");

const SAME_DATABASE =
  "The shadow database you configured appears to be the same as the main database. Please specify another shadow database: " +
  "it is emptied.";
const SHADOW_NOT_CREATED =
  "Prisma Migrate could not create the shadow database. Please make sure the database user has permission to create databases. " +
  "Read more about the shadow database (and workarounds) at https://pris.ly/d/migrate-shadow";
const NOT_EMPTIED =
  "The fallback method for database resets failed, meaning Migrate could not clean up the database entirely. Original error: ";
const DROP_ALL = `
DO $$ DECLARE statement text; BEGIN
  FOREACH statement IN ARRAY ARRAY(
    SELECT format('DROP %s IF EXISTS %s CASCADE', kind, name) FROM (
      SELECT oid, relnamespace AS namespace, oid::regclass::text AS name, CASE relkind WHEN 'v' THEN 'VIEW'
        WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
      UNION ALL SELECT oid, pronamespace, oid::regprocedure::text, 'ROUTINE' FROM pg_proc
      UNION ALL SELECT oid, typnamespace, oid::regtype::text, 'TYPE' FROM pg_type WHERE typtype IN ('d', 'e')
    ) AS object
    WHERE namespace = current_schema()::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = object.oid AND deptype = 'e')
  ) LOOP EXECUTE statement; END LOOP;
END $$`;
const IDENTITY = "SELECT oid, pg_postmaster_start_time() FROM pg_database WHERE datname = current_database()";
const CHAR = 18;
const NAME = 19;
const TEXT = 25;
const TIMESTAMPTZ = 1184;

/**
 * Make the engine's source of connections: to the database, and to one that it may wipe, with the same schema.
 *
 * `onError` gets the database's errors for statements of the former's: the engine keeps only a part of them.
 * `anyDatabase`: these may be the same.
 */
function migrationAdapter(settings, shadowSettings, { onError, anyDatabase }) {
  const shadow = shadowSettings && { ...shadowSettings, schema: settings.schema };
  return {
    provider: "postgres",
    adapterName: "@prisma/adapter-pg",
    connect: () => connect(settings, onError),
    connectToShadowDb: () => (shadow ? emptied(shadow, anyDatabase ? undefined : settings) : created(settings)),
  };
}

async function connect({ client, address, schema }, onError = () => {}) {
  const pool = openPool(client, { max: 1 });
  // a pooler of connections may refuse these as startup parameters; the order of day and month stays, for scripts
  const session = `SET search_path = ${quoted(schema ?? "public")}; SET DateStyle = ISO`;
  pool.on("connect", (connection) => connection.query(session).catch(() => {})); // it broke: so will the query that follows
  return fit(await new PrismaPg(pool, { schema, disposeExternalPool: true }).connect(), address, onError);
}

/** Empty a shadow database that is given. Raises: DatabaseError, if it is `main`. */
async function emptied(settings, main) {
  if (main && (await identity(settings)) === (await identity(main))) throw new DatabaseError(null, SAME_DATABASE);
  const shadow = await connect(settings);
  const schema = quoted(settings.schema ?? "public");
  try {
    await shadow.client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`);
  } catch {
    // the schema is another role's: what is in it may still be this one's
    await shadow.client.query(DROP_ALL).catch(async (error) => {
      await shadow.dispose();
      throw connectionError(error, settings.address) ?? new DatabaseError("P3016", `${NOT_EMPTIED}\n${errorText(error)}`);
    });
  }
  return shadow;
}

/** One database may have two addresses. */
const identity = async (settings) => JSON.stringify((await administer(settings, IDENTITY)).rows);

/** Create a database of its own, which goes when the engine is done with it. */
async function created(settings) {
  const database = `prisma_migrate_shadow_db_${crypto.randomUUID()}`;
  const drop = () => administer(settings, `DROP DATABASE IF EXISTS "${database}"`);
  await administer(settings, `CREATE DATABASE "${database}"`).catch((error) => {
    throw shadowNotCreated(error);
  });
  let shadow;
  try {
    shadow = await connect({ ...settings, client: { ...settings.client, database } });
    if (settings.schema) await shadow.executeScript(`CREATE SCHEMA IF NOT EXISTS ${quoted(settings.schema)}`);
  } catch (error) {
    await shadow?.dispose();
    await drop();
    throw error;
  }
  const dispose = shadow.dispose.bind(shadow);
  shadow.dispose = async () => {
    await dispose();
    await drop();
  };
  return shadow;
}

function shadowNotCreated(error) {
  const reason = error instanceof DatabaseError ? `Error code: ${error.code}\n${error.message}` : `\n${errorText(error)}`;
  return new DatabaseError("P3014", `${SHADOW_NOT_CREATED}\n\nOriginal error: ${reason}`);
}

/** Run one statement on a connection of its own. */
async function administer({ client, address }, statement) {
  const pool = openPool(client, { max: 1 });
  try {
    return await pool.query(statement);
  } catch (error) {
    throw connectionError(error, address) ?? error;
  } finally {
    await pool.end();
  }
}

function fit(queryable, address, onError) {
  const raise = queryable.onError.bind(queryable);
  queryable.onError = (error) => {
    onError(error);
    throw connectionError(error, address) ?? raise(error);
  };
  readCatalogue(queryable);
  const query = async (sql) => (await queryable.client.query(sql)).rows;
  const executeRaw = queryable.executeRaw.bind(queryable); // `db push` sends a statement a time
  queryable.executeRaw = async (given) => executeRaw({ ...zoned(given), sql: await withOperatorClasses(given.sql, query) });
  if (!queryable.startTransaction) return queryable;
  queryable.executeScript = async (script) => {
    try {
      await query(await withOperatorClasses(script, query));
    } catch (error) {
      queryable.onError(error);
    }
  };
  const start = queryable.startTransaction.bind(queryable);
  queryable.startTransaction = async (isolationLevel) => fit(await start(isolationLevel), address, onError);
  return queryable;
}

/** The stock adapter maps types by number, and knows neither of these two; it reads and writes every time as UTC's. */
function readCatalogue(queryable) {
  const { queryRaw, performIO } = queryable;
  queryable.queryRaw = async (query) => {
    let chars = [];
    const reader = Object.create(queryable);
    reader.client = { query: (text, values) => queryable.client.query({ ...text, types: inUtc(text.types) }, values) };
    reader.performIO = async (each) => {
      const result = await performIO.call(reader, each);
      chars = result.fields.flatMap((field, i) => (field.dataTypeID === CHAR ? [i] : []));
      for (const field of result.fields) {
        if (field.dataTypeID === CHAR || field.dataTypeID === NAME) field.dataTypeID = TEXT;
      }
      return result;
    };
    const result = await queryRaw.call(reader, zoned(query));
    for (const i of chars) result.columnTypes[i] = ColumnTypeEnum.Character;
    return result;
  };
}

/** Pass times on as the engine writes them: as dates they would lose their zone. */
function zoned({ argTypes, ...query }) {
  const types = argTypes.map((type) => (type.scalarType === "datetime" ? { ...type, scalarType: "string" } : type));
  return { ...query, argTypes: types };
}

/** Postgres leaves out the minutes of a zone where they are 0; a time that is no `Date` (infinity) stays. */
function inUtc(types) {
  const read = (text) => {
    const time = new Date(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
    return Number.isNaN(time.getTime()) ? text : time.toISOString().replace("Z", "+00:00");
  };
  return { getTypeParser: (oid, format) => (oid === TIMESTAMPTZ ? read : types.getTypeParser(oid, format)) };
}

module.exports = { administer, migrationAdapter };
