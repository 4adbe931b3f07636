"use strict";
/** `query-engine -p PORT`: serve until a signal arrives or the parent process exits. */

const PARENT_CHECK_MS = 250;
const GRACE_MS = 500;

const { serve } = require("./server");
const { startEngine } = require("./engine");

const port = Number(process.argv[process.argv.indexOf("-p") + 1]);
const parent = Number(process.env.PRISMA_ENGINE_PARENT) || process.ppid;

function fail(error) {
  process.stderr.write(`query engine: ${error.message}\n`);
  process.exit(1);
}

// Listening comes first: an early client waits for its response instead of trying again later.
let opened;
const engine = new Promise((resolve) => (opened = resolve));
const server = serve(port, engine, fail);
server.on("error", fail);
startEngine(process.env, (line) => process.stdout.write(line)).then(opened, fail);

function stop() {
  setTimeout(() => process.exit(0), GRACE_MS).unref();
  server.close(async () => {
    await (await engine).close();
    process.exit(0);
  });
  server.closeIdleConnections();
}

process.on("SIGINT", stop);
process.on("SIGTERM", stop);
setInterval(() => process.ppid === parent || stop(), PARENT_CHECK_MS).unref();
