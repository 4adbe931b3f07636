// Fetch Prisma's native query engine for Lambda: `node native-engine.mjs x86_64|arm64 FOLDER` writes FOLDER/query-engine.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import engines from "@prisma/engines-version";
import fetchEngine from "@prisma/fetch-engine";

const TARGETS = { x86_64: "rhel-openssl-3.0.x", arm64: "linux-arm64-openssl-3.0.x" };
const ENGINE = "query-engine";

class FetchFailed extends Error {}

/**
 * Fetch the engine of this package's version, its checksum verified, into a folder; return its path.
 *
 * Raises: FetchFailed, with the reason and the next step.
 */
export async function fetchNativeEngine(architecture, folder) {
  const target = TARGETS[architecture];
  if (!target) {
    throw new FetchFailed(`Expected one of ${Object.keys(TARGETS).join(", ")} as architecture, but got ${architecture}.`);
  }
  delete process.env.PRISMA_QUERY_ENGINE_BINARY; // otherwise its file would be used
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "native-engine-"));
  try {
    const paths = await fetchEngine.download({
      binaries: { [ENGINE]: work },
      binaryTargets: [target],
      version: engines.enginesVersion,
      printVersion: false,
      showProgress: false,
    });
    return place(paths[ENGINE][target], path.join(folder, ENGINE));
  } catch (error) {
    throw new FetchFailed(explain(target, error));
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function place(fetched, file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.copyFileSync(fetched, file);
  fs.chmodSync(file, 0o755);
  return file;
}

function explain(target, error) {
  const server = process.env.PRISMA_ENGINES_MIRROR || "Prisma's download server";
  const reason = [error.message, error.cause?.message].filter(Boolean).join(": ");
  return (
    `Expected Prisma's native query engine ${engines.enginesVersion} for ${target} from ${server}, but got none: ${reason}\n` +
    "Run this where that server can be reached, or set PRISMA_ENGINES_MIRROR to a mirror of it that can."
  );
}

async function main() {
  const [architecture, folder] = parseArgs({ allowPositionals: true }).positionals;
  if (!folder) throw new FetchFailed("Usage: node native-engine.mjs x86_64|arm64 FOLDER");
  console.log(await fetchNativeEngine(architecture, folder));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(error instanceof FetchFailed ? error.message : error);
    process.exitCode = 1;
  });
}
