// `prisma migrate deploy` and `prisma db execute`, the real ones, as functions.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { appliedMigrations, isUnreachable, failureText } from "./report.mjs";

const CLI = createRequire(import.meta.url).resolve("prisma/build/index.js");
const SPARE_MS = 2_000; // for the report, when time runs out
const RESUME_MS = 60_000; // for a database that is paused, or being created
const PAUSE_MS = 1_000;

/** A deployment that must stop; the message says which migration and why. */
export class MigrationFailed extends Error {
  name = "MigrationFailed";
}

/**
 * Run it; return the names of the applied migrations. A database that cannot be reached is tried again for a minute.
 *
 * Units:  `timeoutMs`: the time limit; none by default.
 */
export async function deployMigrations({ databaseUrl, schema, timeoutMs = Infinity }) {
  const began = performance.now();
  const remainingMs = () => timeoutMs - SPARE_MS - (performance.now() - began);
  for (let lastReport; ; ) {
    const ended = await run(["migrate", "deploy", "--schema", schema], {
      env: environment(databaseUrl),
      timeout: Number.isFinite(timeoutMs) ? Math.max(Math.ceil(remainingMs()), 1) : undefined,
    });
    if (ended.status === 0) return appliedMigrations(ended.output);
    const report = ended.signal && lastReport ? lastReport : whole(ended); // a killed attempt reports less than the one before
    const mayRetry = performance.now() - began < RESUME_MS && remainingMs() > PAUSE_MS;
    if (!isUnreachable(report) || !mayRetry) throw new MigrationFailed(failureText(report, databaseUrl));
    lastReport = report;
    await pause(PAUSE_MS);
  }
}

/** Execute SQL in one transaction. Raises: MigrationFailed. */
export async function executeSql({ databaseUrl, schema, sql }) {
  const ended = await run(["db", "execute", "--stdin", "--schema", schema], { env: environment(databaseUrl) }, sql);
  if (ended.status !== 0) throw new MigrationFailed(failureText(ended.output, databaseUrl));
}

const whole = ({ signal, output }) => (signal ? `${output}\nError: prisma migrate deploy ran out of time.` : output);

/** Lambda's disk is read-only except for /tmp, and this function connects to the database only. */
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

function run(args, options, input = "") {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { ...options, stdio: "pipe" });
    child.stdin.on("error", () => {}); // it has ended without reading
    child.stdin.end(input);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => (output += text));
    }
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, output }));
  });
}
