"use strict";
/** The settings of a schema's `datasource` block. */
const { DatabaseError } = require("./database-errors");

const BLOCK = /^[ \t]*datasource\s+\w+\s*\{([^}]*)\}/m;
const withoutComments = (schema) => schema.replace(/^\s*\/\/.*$/gm, "");

/**
 * Read a setting; a variable that it names is looked up.
 *
 * Shape:  undefined where the schema does not have the setting.
 * Raises: DatabaseError P1012 where the variable is missing.
 */
function datasourceSetting(schema, name, environment) {
  const block = BLOCK.exec(withoutComments(schema))?.[1] ?? "";
  const setting = new RegExp(`^\\s*${name}\\s*=\\s*(?:env\\(\\s*"([^"]+)"\\s*\\)|"([^"]*)")`, "m").exec(block);
  if (!setting) return undefined;
  const [, variable, text] = setting;
  if (!variable) return text;
  if (environment[variable]) return environment[variable];
  throw new DatabaseError("P1012", `Environment variable not found: ${variable}.`);
}

module.exports = { datasourceSetting };
