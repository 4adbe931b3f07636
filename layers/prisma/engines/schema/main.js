"use strict";
/** `schema-engine [-d SCHEMA…]` or `schema-engine cli --datasource URL COMMAND`. */
const fs = require("node:fs");

const args = process.argv.slice(2);
const after = (...flags) => args.filter((_, i) => flags.includes(args[i - 1]));

async function main() {
  if (args[0] === "cli") {
    const { runCommand } = require("./command");
    return runCommand(args.at(-1), after("--datasource")[0], (text) => process.stderr.write(text));
  }
  const { schemaEngineMethods } = require("./methods");
  const { serve } = require("./rpc");
  const files = after("-d", "--datamodel", "--datamodels").map((path) => ({ path, content: fs.readFileSync(path, "utf8") }));
  await serve(schemaEngineMethods(files, process.env), process.stdin, process.stdout);
  return 0;
}

// The engine never clears its timers of 10 and 60 s; they must not keep the command line waiting.
main().then((status) => process.exit(status));
