// Where the database is: the secret that RDS keeps says so, or an address that is given.
import { createRequire } from "node:module";

const EXPECTED = 'Expected the secret to be {"username", "password", "host", "port", "dbname"} as JSON';
const CONNECT_TIMEOUT_S = 20; // a database at rest takes 15 s or so to resume, and lets callers wait

/**
 * Return the address that an environment leads to.
 *
 * Raises: Error, without a word of the secret.
 */
export async function databaseUrl({ DATABASE_SECRET, DATABASE_CA, DATABASE_URL }, fetchSecret = fetchFromAws) {
  if (DATABASE_SECRET) return urlOf(await fetchSecret(DATABASE_SECRET), DATABASE_CA);
  if (DATABASE_URL) return DATABASE_URL;
  throw new Error(
    "Expected the database's address in DATABASE_URL, or in DATABASE_SECRET the ARN of the secret that has it, " +
      "but neither is set. Set one in the function's environment.",
  );
}

/** Make an address of a secret in RDS's form: the way to it is encrypted, and verified by these certificates. */
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

function read(secret) {
  try {
    return Object(JSON.parse(secret));
  } catch {
    throw new Error(`${EXPECTED}, but it is no JSON.`); // the parser's own message quotes it
  }
}

/** Lambda's runtime brings the SDK; by this way it is found there, and loaded only where there is a secret. */
async function fetchFromAws(arn) {
  const require = createRequire(import.meta.url);
  const { GetSecretValueCommand, SecretsManagerClient } = require("@aws-sdk/client-secrets-manager");
  try {
    const { SecretString } = await new SecretsManagerClient().send(new GetSecretValueCommand({ SecretId: arn }));
    return SecretString;
  } catch (error) {
    throw new Error(`Expected to fetch the secret of the database, but got ${error.name}: ${error.message}`);
  }
}
