"use strict";
/** `schema-engine cli --datasource URL COMMAND`: what the command line runs before it starts a session. */
const { quoted } = require("../connections");
const { readDatabaseUrl } = require("../database-url");
const { administer } = require("./adapter");

const MAINTENANCE = "postgres";

const COMMANDS = {
  "can-connect-to-database": (settings) => administer(settings, "SELECT 1"),
  "create-database": (settings) => maintain(settings, "CREATE"),
  "drop-database": (settings) => maintain(settings, "DROP"),
};

/** A database can neither be created nor dropped from within. */
function maintain(settings, verb) {
  const { database } = settings.address;
  const client = { ...settings.client, database: MAINTENANCE };
  return administer({ ...settings, client }, `${verb} DATABASE ${quoted(database)}`);
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
