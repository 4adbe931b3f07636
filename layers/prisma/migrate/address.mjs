// The database's address: from the secret that RDS keeps, or given.
import { createRequire } from "node:module";

const EXPECTED = 'Expected the secret to be {"username", "password", "host", "port", "dbname"} as JSON';
const CONNECT_TIMEOUT_S = 20; // a paused database takes about 15 s to resume, and lets clients wait

/**
 * Return the address that the environment configures.
 *
 * Raises: Error, which quotes nothing of the secret.
 */
export async function databaseUrl({ DATABASE_SECRET, DATABASE_CA, DATABASE_URL }, fetchSecret = fetchFromAws) {
  if (DATABASE_SECRET) return urlOf(await fetchSecret(DATABASE_SECRET), DATABASE_CA);
  if (DATABASE_URL?.trim()) return DATABASE_URL.trim(); // Prisma's command line refuses blanks before it
  throw new Error(
    "Expected the database's address in DATABASE_URL, or in DATABASE_SECRET the ARN of the secret that has it, " +
      "but neither is set. Set one in the function's environment.",
  );
}

/** Return the address in a secret of RDS's form: with TLS, and with verification if there are certificates. */
export function urlOf(secret, authority) {
  const { username, password, host, port = 5432, dbname } = read(secret);
  if (![username, password, host, dbname].every((text) => typeof text === "string") || !/^\d+$/.test(port)) {
    throw new Error(`${EXPECTED}, but it is something else.`);
  }
  const [user, hidden, name] = [username, password, dbname].map(encodeURIComponent);
  const options = new URLSearchParams({
    sslmode: "require",
    connect_timeout: CONNECT_TIMEOUT_S,
    ...(authority && { sslcert: authority, sslaccept: "strict" }),
  });
  return `postgresql://${user}:${hidden}@${host}:${port}/${name}?${options}`;
}

/** Return what a secret of RDS's form has. Raises: Error, which quotes nothing of it. */
export function read(secret) {
  try {
    return Object(JSON.parse(secret));
  } catch {
    throw new Error(`${EXPECTED}, but it is not JSON.`); // the parser's own message quotes it
  }
}

/** `require` finds the SDK of Lambda's runtime, and loads it only where there is a secret. */
export async function fetchFromAws(arn) {
  const require = createRequire(import.meta.url);
  const { GetSecretValueCommand, SecretsManagerClient } = require("@aws-sdk/client-secrets-manager");
  try {
    const { SecretString } = await new SecretsManagerClient().send(new GetSecretValueCommand({ SecretId: arn }));
    return SecretString;
  } catch (error) {
    throw new Error(`Expected to fetch the secret of the database, but got ${error.name}: ${error.message}`);
  }
}
