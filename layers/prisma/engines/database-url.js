"use strict";
/**
 * A Postgres URL as Prisma reads it, turned into settings for the driver `pg`.
 *
 * python/prisma_in_process/url.py reads it in the same way, with the reasons; test/database-urls.json holds both to it.
 */
const fs = require("node:fs");
const { DatabaseError } = require("./database-errors");

const CONNECT_TIMEOUT_S = 5;
const POOL_TIMEOUT_S = 10;

const HOST = String.raw`(?<host>\[[^\s\]/@]+\]|[^\s\[\]:/?#@,]*)(?::(?<port>[0-9]*))?`;
const PATH = String.raw`(?:/(?<database>[^/?#@]*)/?)?(?:\?(?<query>(?:[A-Za-z0-9_.-]+=[^&#]*(?:&|$))*))?`;
// A password with unescaped characters ends at the first @ after which the rest is in order, or at the last.
const [STANDARD, FIRST, LAST] = ["[^/?#]*", ".*?", ".*"].map(
  (password) => new RegExp(`^(?:(?<user>[^:/?#]*)(?::(?<password>${password}))?@)?${HOST}${PATH}$`, "s"),
);
const BLANKS = /^[ \t\r\n\v\f\xa0\ufeff]+|[ \t\r\n\v\f\xa0\ufeff]+$/g;
const TLS = ["sslmode", "sslaccept", "sslcert", "sslrootcert"];
const ADDRESS = ["port", "hostaddr", "user", "password", "dbname", "service"];

/**
 * Read a URL.
 *
 * Shape:  `address` {host, port, database, user} is fit to be shown, `client` holds the password. `tls` is a name of
 *         libpq's sslmode.
 * Units:  `poolTimeoutMs`, `socketTimeoutMs`: 0 waits for ever. `connectionLimit`: undefined where the URL has none.
 * Raises: DatabaseError P1013, without anything of the URL in its text.
 */
function readDatabaseUrl(text) {
  const { parts, parameters } = split(text);
  const number = (name, otherwise) => readNumber(name, parameters[name], otherwise);
  const address = {
    host: parameters.host || decode(parts.host.replace(/^\[|\]$/g, "")) || "localhost",
    port: readPort(parts.port),
    database: decode(parts.database ?? "") || "postgres",
    user: decode(parts.user ?? ""),
  };
  const password = parts.password && decode(parts.password);
  for (const each of [...Object.values(address), password, ...Object.values(parameters)]) {
    if (String(each).includes("\0")) throw invalid("no zero byte (%00)");
  }
  const tls = tlsMode(parameters);
  return {
    address,
    schema: parameters.schema || undefined,
    connectionLimit: number("connection_limit"),
    poolTimeoutMs: 1000 * number("pool_timeout", POOL_TIMEOUT_S),
    socketTimeoutMs: 1000 * number("socket_timeout", 0),
    tls,
    client: {
      ...address,
      user: address.user || undefined,
      password: password || undefined,
      ssl: tlsSettings(tls, parameters),
      options: parameters.options,
      keepAlive: true,
      application_name: parameters.application_name,
      connectionTimeoutMillis: 1000 * number("connect_timeout", CONNECT_TIMEOUT_S),
    },
  };
}

const invalid = (expected) => new DatabaseError("P1013", `The database URL is invalid: expected ${expected}.`);

function split(text) {
  const [, scheme, rest] = /^(.*?):\/\/(.*)$/s.exec(text.replace(BLANKS, "")) ?? [];
  if (!/^postgres(ql)?$/i.test(scheme)) {
    throw invalid("a URL that begins with postgresql:// or postgres://, without quotes");
  }
  let parts = STANDARD.exec(rest)?.groups;
  if (!parts) {
    parts = FIRST.exec(rest)?.groups;
    if (!parts || parts.password !== LAST.exec(rest).groups.password) {
      const escaped = "its special characters escaped, for example # as %23, / as %2F and @ as %40";
      throw invalid(`postgresql://user:password@host:port/database, ${escaped}`);
    }
  }
  const parameters = Object.fromEntries(new URLSearchParams(parts.query ?? ""));
  for (const name of Object.keys(parameters)) {
    if (ADDRESS.includes(name)) {
      throw invalid(`host, port, user and password before the parameters, not ${name} in them`);
    }
    if (/^ssl/i.test(name) && !TLS.includes(name)) throw invalid(`no parameters of TLS but ${TLS.join(", ")}`);
  }
  return { parts, parameters };
}

function decode(text) {
  try {
    return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decodeURIComponent(run));
  } catch {
    return text;
  }
}

function readPort(text) {
  const port = Number(text || 5432);
  if (port > 0 && port < 65536) return port;
  throw invalid("a port between 1 and 65535");
}

function readNumber(name, text, otherwise) {
  if (text === undefined) return otherwise;
  if (!/^[0-9]{1,9}$/.test(text)) throw invalid(`a whole number as ${name}`);
  if (name === "connection_limit" && Number(text) === 0) throw invalid("1 or more as connection_limit");
  return Number(text);
}

function oneOf(parameters, name, ...values) {
  const text = parameters[name] ?? values[0];
  if (values.includes(text)) return text;
  throw invalid(`${values.slice(0, -1).join(", ")} or ${values.at(-1)} as ${name}`);
}

function tlsMode(parameters) {
  const mode = oneOf(parameters, "sslmode", "prefer", "disable", "allow", "require", "verify-ca", "verify-full");
  const binding = oneOf(parameters, "channel_binding", "prefer", "disable", "require") === "require";
  const strict = oneOf(parameters, "sslaccept", "accept_invalid_certs", "strict") === "strict";
  if (mode === "disable" && binding) throw invalid("another sslmode than disable with channel_binding=require");
  if (mode === "disable" || mode === "verify-full") return mode;
  if (strict || binding || parameters.sslrootcert === "system") return "verify-full";
  const { sslrootcert, sslaccept } = parameters;
  if (mode === "verify-ca" || (mode === "require" && sslrootcert && sslaccept === undefined)) return "verify-ca";
  return mode === "require" ? "require" : "prefer";
}

function tlsSettings(tls, { sslrootcert, sslcert }) {
  if (tls === "disable" || tls === "prefer") return false;
  const authority = sslrootcert || sslcert;
  const settings = { rejectUnauthorized: tls !== "require" };
  if (authority && authority !== "system") settings.ca = readFile(authority);
  if (tls === "verify-ca") settings.checkServerIdentity = () => undefined;
  return settings;
}

function readFile(name) {
  try {
    return fs.readFileSync(name);
  } catch ({ code }) {
    throw new DatabaseError("P1011", `Error opening a TLS connection: a file of certificates cannot be read (${code}).`);
  }
}

module.exports = { readDatabaseUrl };
