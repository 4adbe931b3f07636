// `prisma migrate deploy`, the real one, as a function.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { appliedMigrations, databaseWasAway, failureText } from "./report.mjs";

const CLI = createRequire(import.meta.url).resolve("prisma/build/index.js");
const SPARE_MS = 2_000; // to say so, when time runs out
const RESUME_MS = 60_000; // for a database that is at rest, or being made
const PAUSE_MS = 1_000;

/** A deployment that must stop; the message says which migration and why. */
export class MigrationFailed extends Error {
  name = "MigrationFailed";
}

/**
 * Run it; return the names of the migrations applied. A database that cannot be reached is asked again for a minute.
 *
 * Units:  `timeoutMs`: the time there is; without it, it may take as long as it takes.
 */
export async function deployMigrations({ databaseUrl, schema, timeoutMs = Infinity }) {
  const began = performance.now();
  const leftMs = () => timeoutMs - SPARE_MS - (performance.now() - began);
  for (let away; ; ) {
    const ended = await run(["migrate", "deploy", "--schema", schema], {
      env: environment(databaseUrl),
      timeout: Number.isFinite(timeoutMs) ? Math.max(Math.ceil(leftMs()), 1) : undefined,
    });
    if (ended.status === 0) return appliedMigrations(ended.output);
    const said = ended.signal && away ? away : whole(ended); // a last attempt that was cut says less than the one before
    const patient = performance.now() - began < RESUME_MS && leftMs() > PAUSE_MS;
    if (!databaseWasAway(said) || !patient) throw new MigrationFailed(failureText(said, databaseUrl));
    away = said;
    await pause(PAUSE_MS);
  }
}

const whole = ({ signal, output }) => (signal ? `${output}\nError: prisma migrate deploy ran out of time.` : output);

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
