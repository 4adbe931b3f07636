"use strict";
/**
 * What a driver says, as Prisma's error codes say it. No text holds a URL or a password.
 *
 *     before the database had the query  P1001 not reached · P1000, P1003, P1010 refused · P1011 TLS · P2024, P2037 no connection
 *     after that                         P1017 connection lost · P1008 no answer in time
 *
 * Source: Prisma's "Error message reference", read 2026-11-22.
 */
const { projectHints } = require("./hints");

const LOOPBACK = /^(localhost|127\..*|::1|\/.*)$/;
const UNREACHED = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EACCES|ENOENT|57P03)$/;
const LOST = /^(ECONNRESET|EPIPE|57P0[125]|08...)$/;
const LOST_TEXT = /^(Connection terminated|Client has encountered a connection error|Client was closed)/;

/** An error that the user of an engine sees, with Prisma's code. */
class DatabaseError extends Error {
  constructor(code, message, meta = {}) {
    super(message);
    this.code = code;
    this.meta = meta;
  }
}

const place = ({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

function unreachable(address) {
  const where = place(address);
  const lines = [
    `Can't reach database server at \`${where}\``,
    "",
    `Please make sure your database server is running at \`${where}\`.`,
  ];
  const hint = LOOPBACK.test(address.host) && projectHints().unreachable;
  if (hint) lines.push("", hint);
  return new DatabaseError("P1001", lines.join("\n"), { database_host: address.host, database_port: address.port });
}

function accessDenied({ message, detail, hint }, { user, database }) {
  const reasons = [message, detail, hint].filter(Boolean).join("\n");
  return ["P1010", `User \`${user}\` was denied access on the database \`${database}\`: ${reasons}`];
}

const PERMISSION_DENIED = "42501";
const NO_CONNECTIONS_TO_IT = "55000";

const BY_CODE = {
  "28P01": (address) => [
    "P1000",
    `Authentication failed against database server at \`${place(address)}\`, ` +
      `the provided database credentials for \`${address.user}\` are not valid.\n\n` +
      `Please make sure to provide valid database credentials for the database server at \`${place(address)}\`.`,
  ],
  28000: (address, error) => accessDenied(error, address),
  "3D000": (address) => [
    "P1003",
    `Database \`${address.database}\` does not exist on the database server at \`${place(address)}\`.`,
  ],
  53300: (address, error) => ["P2037", `Too many database connections opened: ${error.message}`],
};

const TLS = "Error opening a TLS connection:";
const BY_TEXT = [
  [/^timeout exceeded when trying to connect/, "P2024", () => "Timed out fetching a new connection from the connection pool."],
  [/^Query read timeout/, "P1008", () => "Operations timed out: no answer within `socket_timeout`."],
  [/SSL connection/, "P1011", () => `${TLS} expected TLS as \`sslmode\` says, but the server has none.`],
  [/certificate|^unable to (get|verify)/i, "P1011", (reason) => `${TLS} the server's certificate is not trusted: ${reason}`],
  [/password must be a string/, "P1000", () => "Authentication failed: expected a password in the database URL, but it has none."],
];

/** Translate an error about the connection; return undefined for one about the query. */
function connectionError(error, address) {
  if (error instanceof DatabaseError) return error;
  const byCode = BY_CODE[error.code];
  if (byCode) return new DatabaseError(...byCode(address, error));
  const byText = BY_TEXT.find(([text]) => text.test(error.message));
  if (byText) return new DatabaseError(byText[1], byText[2](error.message));
  const denied = error.code === PERMISSION_DENIED || error.code === NO_CONNECTIONS_TO_IT;
  if (error.connecting && denied) return new DatabaseError(...accessDenied(error, address));
  if (UNREACHED.test(error.code) || error.message === "timeout expired") return unreachable(address);
  if (!LOST.test(error.code) && !LOST_TEXT.test(error.message)) return undefined;
  return error.connecting ? unreachable(address) : new DatabaseError("P1017", "Server has closed the connection.");
}

/** Return an error of Postgres's as its own clients print it. */
function errorText({ severity, message, detail, hint }) {
  return [severity ? `${severity}: ${message}` : message, detail && `DETAIL: ${detail}`, hint && `HINT: ${hint}`].filter(Boolean).join("\n");
}

/** Translate an error of a statement of the engine's own; return undefined where Prisma has no code for it. */
function statementError(error, address) {
  return error.code === PERMISSION_DENIED ? new DatabaseError(...accessDenied(error, address)) : undefined;
}

module.exports = { DatabaseError, PERMISSION_DENIED, connectionError, place, errorText, statementError };
