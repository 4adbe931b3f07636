"use strict";
/**
 * Fields of type Json: clients of the GraphQL protocol send their values as the text of JSON, which the JSON protocol
 * would read as a string. Fields are recognised by name: one that is Json in any model is Json in all.
 */

/** Conditions on Json that hold plain texts. */
const PLAIN = new Set(["path", "mode", "string_contains", "string_starts_with", "string_ends_with"]);

/** Return the names of a datamodel's fields of type Json. */
function jsonFields(datamodel) {
  return new Set([...datamodel.matchAll(/^\s*(\w+)\s+Json(?:\[\]|\?)?(?:\s|$)/gm)].map(([, name]) => name));
}

/** Mark the texts in a Json field's value, or in the conditions on it, as JSON. */
function markJson(value) {
  if (typeof value === "string") return { $type: "Json", value };
  if (Array.isArray(value)) return value.map(markJson);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, PLAIN.has(name) ? each : markJson(each)]),
  );
}

module.exports = { jsonFields, markJson };
