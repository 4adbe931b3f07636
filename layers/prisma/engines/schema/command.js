"use strict";
/** `schema-engine cli --datasource URL COMMAND`: what the command line runs before it starts a session. */
const { quoted } = require("../connections");
const { DatabaseError, errorText } = require("../database-errors");
const { readDatabaseUrl } = require("../database-url");
const { administer } = require("./adapter");

/** From within a database it can neither be created nor dropped; hosts do not always have, or open, the first of these. */
const MAINTENANCE = ["postgres", "template1", "defaultdb"];
const NOT_OPEN = ["P1003", "P1010"];
const EXISTS_NOW = ["42P04", "23505"]; // another process has just created it

const COMMANDS = {
  "can-connect-to-database": (settings) => administer(settings, "SELECT 1"),
  "create-database": async (settings) => {
    try {
      await maintain(settings, "CREATE");
    } catch (error) {
      if (EXISTS_NOW.includes(error.code)) return;
      if (error instanceof DatabaseError) throw error;
      throw new DatabaseError("P3000", `Failed to create database: ${errorText(error)}`);
    }
  },
  "drop-database": (settings) => maintain(settings, "DROP"),
};

async function maintain(settings, verb) {
  const statement = `${verb} DATABASE ${quoted(settings.address.database)}`;
  for (const database of MAINTENANCE) {
    try {
      return await administer({ ...settings, client: { ...settings.client, database } }, statement);
    } catch (error) {
      if (!NOT_OPEN.includes(error.code)) throw error;
    }
  }
  throw new DatabaseError("P3000", `Failed to create database: none of ${MAINTENANCE.join(", ")} can be connected to.`);
}

/** Run a command; return the exit status. Its outcome is one line of JSON, after an empty one. */
async function runCommand(name, url, write) {
  const log = (level, fields) =>
    write(`\n${JSON.stringify({ timestamp: new Date(), level, fields, target: "schema_engine::logger" })}\n`);
  try {
    await COMMANDS[name](readDatabaseUrl(url));
  } catch ({ code, message }) {
    log("ERROR", { message, error_code: code, is_panic: false });
    return 1;
  }
  log("INFO", { message: `${name}: done` });
  return 0;
}

module.exports = { runCommand };
