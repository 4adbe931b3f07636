// The Lambda function that migrates the database of a deployment, before the code that needs it takes traffic.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { databaseUrl, fetchFromAws } from "./address.mjs";
import { deployMigrations, executeSql } from "./deploy.mjs";
import { userSql } from "./user.mjs";

const { readDatabaseUrl } = createRequire(import.meta.url)("@prisma/engines/database-url.js");

/**
 * Apply the migrations that the database lacks; then make the user of USER_SECRET, or give it its new password.
 *
 * Shape:  the names of the migrations applied now, in order.
 * Raises: MigrationFailed, or Error where there is no address; CloudFormation shows the message and stops the
 *         deployment.
 */
export async function handler(_event, context) {
  const database = {
    databaseUrl: await databaseUrl(process.env),
    schema: process.env.PRISMA_SCHEMA ?? fileURLToPath(new URL("prisma/schema.prisma", import.meta.url)),
  };
  const applied = await deployMigrations({ ...database, timeoutMs: context?.getRemainingTimeInMillis() });
  if (process.env.USER_SECRET) {
    const { address, schema } = readDatabaseUrl(database.databaseUrl);
    await executeSql({ ...database, sql: userSql(await fetchFromAws(process.env.USER_SECRET), address.user, schema) });
  }
  return applied;
}
