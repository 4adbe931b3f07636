// The todo function's own database user: it reads and changes the rows of tables, and nothing else.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { read } from "./address.mjs";

const ITERATIONS = 4096; // Postgres's own number
const NAME = /^[a-z_][a-z0-9_]{0,62}$/;
const ASCII = /^[ -~]+$/; // SASLprep, which Postgres applies to passwords, leaves these as they are

/**
 * Return the SQL that makes the user of a secret, or gives it that password, and grants it all rows. Safe to repeat.
 *
 * Shape:  `master`: the user that executes it; `schema`: where the tables are. There is no password in it but what Postgres keeps of one, so that no
 *         log of statements has it.
 * Raises: Error, which quotes nothing of the secret.
 */
export function userSql(secret, master, schema = "public") {
  const { username, password, dbname } = read(secret);
  const texts = [username, password, dbname].every((text) => typeof text === "string");
  if (!texts || !NAME.test(username) || username === master || !ASCII.test(password)) {
    throw new Error(
      "Expected the todo function's secret to have a username of a-z, 0-9 and _ that is not the master's, a password " +
        "of printable ASCII and a dbname, but it has something else. Correct it, then invoke this function again.",
    );
  }
  const [user, database, tables] = [username, dbname, schema].map((name) => `"${name.replaceAll('"', '""')}"`);
  return `
DO $$ BEGIN
  PERFORM pg_advisory_xact_lock(20261126);
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${username}') THEN CREATE ROLE ${user}; END IF;
END $$;
ALTER ROLE ${user} LOGIN PASSWORD '${verifier(password)}';
REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
REVOKE ALL ON SCHEMA ${tables} FROM PUBLIC;
GRANT CONNECT ON DATABASE ${database} TO ${user};
GRANT USAGE ON SCHEMA ${tables} TO ${user};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${tables} TO ${user};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${tables} TO ${user};
ALTER DEFAULT PRIVILEGES IN SCHEMA ${tables} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${user};
ALTER DEFAULT PRIVILEGES IN SCHEMA ${tables} GRANT USAGE ON SEQUENCES TO ${user};
REVOKE ALL ON ${tables}._prisma_migrations FROM ${user};
`;
}

/** Return what Postgres keeps of a password. Source: PostgreSQL, pg_authid; RFC 5802, section 3; read 2026-11-26. */
function verifier(password, salt = randomBytes(16)) {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const [client, server] = ["Client Key", "Server Key"].map((text) => createHmac("sha256", salted).update(text).digest());
  const stored = createHash("sha256").update(client).digest();
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${stored.toString("base64")}:${server.toString("base64")}`;
}
