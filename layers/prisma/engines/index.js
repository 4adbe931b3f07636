"use strict";
/**
 * The interface of `@prisma/engines` 5.17, which Prisma's command line requires: where the engines are.
 * Engines that the environment names already win.
 */
const path = require("node:path");
const { enginesVersion } = require("@prisma/engines-version");
const { explainMissingVariables } = require("./hints");

process.env.PRISMA_QUERY_ENGINE_BINARY ||= path.join(__dirname, "query-engine");
process.env.PRISMA_SCHEMA_ENGINE_BINARY ||= path.join(__dirname, "schema-engine");

if (process.argv[2] === "studio") {
  process.stderr.write(
    "Error: Prisma Studio needs a query engine as a process, and there is none here. Any client for Postgres shows the rows.\n",
  );
  process.exit(1);
}

// At the end the command line has read its .env files.
process.on("exit", (status) => {
  if (status) explainMissingVariables(process.argv.slice(2), process.env, (text) => process.stderr.write(text));
});

module.exports = {
  DEFAULT_CLI_QUERY_ENGINE_BINARY_TYPE: "query-engine",
  enginesVersion,
  ensureBinariesExist: async () => {},
  getCliQueryEngineBinaryType: () => "query-engine",
  getEnginesPath: () => __dirname,
};
