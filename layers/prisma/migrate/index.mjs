// The Lambda function that migrates the database of a deployment, before the code that needs it takes traffic.
import { fileURLToPath } from "node:url";
import { deployMigrations } from "./deploy.mjs";

/**
 * Apply the migrations that the database lacks.
 *
 * Shape:  the names of those applied now, in order.
 * Raises: MigrationFailed; CloudFormation shows its message and stops the deployment.
 */
export async function handler(_event, context) {
  return deployMigrations({
    databaseUrl: await databaseUrl(process.env),
    schema: process.env.PRISMA_SCHEMA ?? fileURLToPath(new URL("prisma/schema.prisma", import.meta.url)),
    timeoutMs: context?.getRemainingTimeInMillis(),
  });
}

/** Where the address comes from; a secret store's place is here. */
async function databaseUrl({ DATABASE_URL }) {
  if (DATABASE_URL) return DATABASE_URL;
  throw new Error("Expected the database's address in DATABASE_URL, but it is not set. Set it in the function's environment.");
}
