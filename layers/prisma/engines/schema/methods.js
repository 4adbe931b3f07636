"use strict";
/**
 * The methods of the Prisma 5 command line's schema engine, on the one of Prisma 6: that one is handed the
 * migrations instead of their directory, and filters.
 */
const { DatabaseError, PERMISSION_DENIED, errorText } = require("../database-errors");
const { openEngine } = require("./engine");
const { names, readMigrations, writeMigration } = require("./migrations");

const ALL = { externalTables: [], externalEnums: [] };
const FORWARDED = [
  "devDiagnostic",
  "diagnoseMigrationHistory",
  "markMigrationApplied",
  "markMigrationRolledBack",
  "schemaPush",
];
const inDatabase = ({ tag }) => tag === "schemaDatasource" || tag === "url";
const ONLY_SCHEMA = /^\s*(-- CreateSchema\s+CREATE SCHEMA IF NOT EXISTS "[^"]*";\s*)?$/;
const RESOLVE = "Then mark the migration, and deploy again: prisma migrate resolve --rolled-back";
const NO_EXTENSION = "Have a role that may create extensions execute that CREATE EXTENSION in this database.";
const NO_RIGHT = "Have a role that may grant this one the right, as in GRANT USAGE ON SCHEMA … TO …";
/** Where only a URL is known; it is never read from here. */
const NO_SCHEMA = [{ path: "schema.prisma", content: 'datasource db {\n  provider = "postgresql"\n  url = ""\n}\n' }];

/** Return the methods, each `params → result`, for a session on these schema files. */
function schemaEngineMethods(files, environment) {
  // one engine for the whole session: each one's connection keeps its advisory lock
  let session;
  const engine = () => (session ??= openEngine(files, environment));

  const forward = (method) => async ({ migrationsDirectoryPath: directory, ...input }) => {
    const migrations = directory && { migrationsList: readMigrations(directory) };
    return (await (await engine()).run(method, { ...input, ...migrations, filters: ALL })) ?? {};
  };

  /** Only an engine that has just replayed the migrations knows what they lead to. */
  const replay = async (directory) => {
    const input = { migrationsList: readMigrations(directory), filters: ALL };
    await (await engine()).run("devDiagnostic", input);
    return input;
  };

  return {
    ...Object.fromEntries(FORWARDED.map((method) => [method, forward(method)])),

    async applyMigrations(input) {
      try {
        return await forward("applyMigrations")(input);
      } catch (error) {
        throw failedMigration(error, (await engine()).lastError()) ?? error;
      }
    },

    async createMigration({ migrationsDirectoryPath: directory, draft, migrationName, schema }) {
      const replayed = await replay(directory);
      const made = await (await engine()).run("createMigration", { ...replayed, draft, migrationName, schema });
      if (typeof made.migrationScript !== "string") return { generatedMigrationName: null };
      writeMigration(directory, made);
      return { generatedMigrationName: made.generatedMigrationName };
    },

    async evaluateDataLoss({ migrationsDirectoryPath: directory, schema }) {
      return (await engine()).run("evaluateDataLoss", { ...(await replay(directory)), schema });
    },

    listMigrationDirectories: async ({ migrationsDirectoryPath }) => ({ migrations: names(migrationsDirectoryPath) }),

    getDatabaseVersion: async () => (await engine()).run("version", null),

    async reset() {
      await (await engine()).run("reset", { filter: ALL });
      return {};
    },

    async dbExecute(input) {
      const { tag, url, files: given } = input.datasourceType;
      const target = tag === "url" ? openEngine(NO_SCHEMA, environment, { url }) : openEngine(given, environment);
      await (await target).run("dbExecute", input);
      return {};
    },

    async introspect(input) {
      const target = await openEngine(input.schema.files, environment);
      return target.run("introspect", { ...input, namespaces: input.namespaces ?? null });
    },

    diff: (input) => diff(input, environment),
  };
}

/** Say which migration failed and why, as Prisma's native engine does. */
function failedMigration({ message }, lastError) {
  const [, name] = /migration_name="([^"]+)"/.exec(message) ?? [];
  if (!name || !lastError) return undefined;
  const { code, message: reason, file } = lastError;
  const missing = file === "extension.c" ? NO_EXTENSION : NO_RIGHT;
  const advice = code === PERMISSION_DENIED ? `\n${missing} ${RESOLVE} ${name}\n` : "";
  const text =
    "A migration failed to apply. New migrations cannot be applied before the error is recovered from. " +
    "Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve\n\n" +
    `Migration name: ${name}\n\nDatabase error code: ${code}\n\nDatabase error:\n${errorText(lastError)}\n${advice}`;
  return new DatabaseError("P3018", text, { migration_name: name, database_error_code: code, database_error: reason });
}

/** Compare two schemas. The engine connects to a database even where both come from files. */
async function diff({ from, to, script, exitCode = null, shadowDatabaseUrl: shadowUrl }, environment) {
  const sides = [from, to];
  if (sides.some(({ tag }) => tag === "migrations") && !shadowUrl) {
    throw new Error("You must pass the --shadow-database-url if you want to diff a migrations directory.");
  }
  const database = sides.find(inDatabase);
  const files = database?.files ?? sides.find(({ tag }) => tag.startsWith("schema"))?.files;
  const anyUrl = shadowUrl ?? (files ? undefined : environment.DATABASE_URL); // between files, any database will do
  const target = await openEngine(files ?? NO_SCHEMA, environment, {
    url: database ? database.url : anyUrl,
    shadowUrl: shadowUrl ?? undefined,
    anyDatabase: !database,
  });
  const [before, after] = [diffSide(from), inDatabase(from) && inDatabase(to) ? await pulled(to, environment) : diffSide(to)];
  const output = await target.run("diff", {
    from: before,
    to: after,
    script,
    exitCode,
    shadowDatabaseUrl: null,
    filters: ALL,
  });
  // that a database has the schema which a file does not name is no difference
  if (!ONLY_SCHEMA.test(output.stdout)) return { exitCode: output.exitCode, print: output.stdout };
  return { exitCode: 0, print: script ? "-- This is an empty migration." : "No difference detected." };
}

/** Return a second database's side: the engine sees one only, so it gets the schema that `db pull` makes of the other. */
async function pulled({ files = NO_SCHEMA, url }, environment) {
  const engine = await openEngine(files, environment, { url });
  const input = { schema: { files: NO_SCHEMA }, baseDirectoryPath: process.cwd(), force: true, compositeTypeDepth: -1 };
  try {
    const { schema } = await engine.run("introspect", { ...input, namespaces: null });
    return { tag: "schemaDatamodel", files: schema.files };
  } catch (error) {
    if (error.code !== "P4001") throw error;
    return { tag: "empty" };
  }
}

function diffSide(side) {
  if (side.tag === "url") return { tag: "schemaDatasource", files: NO_SCHEMA, configDir: process.cwd() };
  if (side.tag === "migrations") return { tag: "migrations", ...readMigrations(side.path) };
  return side;
}

module.exports = { schemaEngineMethods };
