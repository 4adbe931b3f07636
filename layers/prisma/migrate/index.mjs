// The Lambda function that migrates the database of a deployment, before the code that needs it takes traffic.
import { fileURLToPath } from "node:url";
import { databaseUrl } from "./address.mjs";
import { deployMigrations } from "./deploy.mjs";

/**
 * Apply the migrations that the database lacks.
 *
 * Shape:  the names of those applied now, in order.
 * Raises: MigrationFailed, or Error where there is no address; CloudFormation shows the message and stops the
 *         deployment.
 */
export async function handler(_event, context) {
  return deployMigrations({
    databaseUrl: await databaseUrl(process.env),
    schema: process.env.PRISMA_SCHEMA ?? fileURLToPath(new URL("prisma/schema.prisma", import.meta.url)),
    timeoutMs: context?.getRemainingTimeInMillis(),
  });
}
