"use strict";
/**
 * Hints of the project that installed this package. Its package.json may hold:
 *
 *     "prisma-wasm-engines": {"hints": {"unreachable": "TEXT", "unset": {"VARIABLE": "TEXT"}}}
 *
 * `unreachable` follows the error about a database on this machine, `unset` a command that failed without VARIABLE.
 */
const fs = require("node:fs");
const path = require("node:path");

const FIELD = "prisma-wasm-engines";

/** Find the hints of the nearest project around this package. */
function projectHints(directory = __dirname) {
  for (let folder = directory; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const file = path.join(folder, "package.json");
    if (!fs.existsSync(file)) continue;
    const hints = JSON.parse(fs.readFileSync(file, "utf8"))[FIELD]?.hints;
    if (hints) return hints;
  }
  return {};
}

/** After a database command that failed, name the variables that are missing. */
function explainMissingVariables([command, ...options], environment, write) {
  const hasUrl = options.some((option) => /^--(from-|to-)?url\b/.test(option));
  if ((command !== "migrate" && command !== "db") || hasUrl) return;
  for (const [variable, text] of Object.entries(projectHints().unset ?? {})) {
    if (!environment[variable]) write(`${text}\n`);
  }
}

module.exports = { explainMissingVariables, projectHints };
