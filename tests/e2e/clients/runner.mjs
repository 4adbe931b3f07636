// `node runner.mjs PROGRAM PACKAGE FOLDER`: what runner.py does, a few cases at once; FOLDER has the packages.
import { copyFileSync, readFileSync, renameSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const AT_ONCE = 4;
const TIMEOUT_MS = 25_000;
const [program, name, folder] = process.argv.slice(2);
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const { url, key, cases } = JSON.parse(readFileSync(0, "utf8"));
Object.assign(process.env, { OPENAI_BASE_URL: url, OPENAI_API_KEY: key, GRAPHQL_URL: url, API_KEY: key });
process.env.GRAPHQL_SCHEMA = resolve("functions/todos/schema.graphql");
print({ version: JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"))).version });
// Node.js looks for a program's packages from its own folder on.
const copy = resolve(folder, basename(program));
copyFileSync(new URL(program, import.meta.url), `${copy}.${process.pid}`);
renameSync(`${copy}.${process.pid}`, copy);
const functions = await import(pathToFileURL(copy));
const waiting = [...cases.entries()];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next; (next = waiting.shift()); ) {
      const [place, { function: called, arguments: given }] = next;
      print({ case: place, outcome: await outcome(() => within(functions[called](...given))) });
    }
  }),
);
process.exit(0);

async function outcome(call) {
  try {
    return { returned: await call() };
  } catch (error) {
    const last = error?.lastError ?? error; // of several tries, in the AI SDK
    const named = last?.name ?? "an object"; // an error part of the AI SDK's streams
    const raised = named === "Error" ? last.constructor.name : named;
    const module = raised in globalThis && !last.cause ? "builtins" : name; // fetch's TypeErrors have a cause
    return { raised, module, status: last?.status ?? null, message: String(last?.message ?? last).slice(0, 500) };
  }
}

function within(promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end within ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();
  });
  return Promise.race([promise, late]);
}
