// `prisma migrate deploy`, the real one, as a function.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { appliedMigrations, failureText } from "./report.mjs";

const CLI = createRequire(import.meta.url).resolve("prisma/build/index.js");
const SPARE_MS = 2_000; // to say so, when time runs out

/** A deployment that must stop; the message says which migration and why. */
export class MigrationFailed extends Error {
  name = "MigrationFailed";
}

/** Run it; return the names of the migrations applied. Without `timeoutMs` it may take as long as it takes. */
export async function deployMigrations({ databaseUrl, schema, timeoutMs }) {
  const ended = await run(["migrate", "deploy", "--schema", schema], {
    env: environment(databaseUrl),
    timeout: timeoutMs && Math.max(timeoutMs - SPARE_MS, 1),
  });
  if (ended.status === 0) return appliedMigrations(ended.output);
  const output = ended.signal ? `${ended.output}\nError: prisma migrate deploy ran out of time.` : ended.output;
  throw new MigrationFailed(failureText(output, databaseUrl));
}

/** Lambda's disk is read-only but for /tmp, and this function calls nobody but the database. */
function environment(databaseUrl) {
  return {
    ...process.env,
    DATABASE_URL: databaseUrl,
    PATH: [path.dirname(process.execPath), process.env.PATH].join(path.delimiter),
    HOME: os.tmpdir(),
    CHECKPOINT_DISABLE: "1",
    PRISMA_HIDE_UPDATE_MESSAGE: "1",
    NO_COLOR: "1",
  };
}

function run(args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => (output += text));
    }
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, output }));
  });
}
