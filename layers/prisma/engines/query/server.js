"use strict";
/**
 * The query engine's HTTP interface, on this machine only, and not for web pages that a browser of it shows. Where
 * QUERY_ENGINE_KEY is set, it is for those alone who send it as a bearer token.
 *
 *     GET  /status                          once the engine can answer
 *     POST /                                a query or a batch; `X-transaction-id` names its transaction
 *     POST /transaction/start               {timeout, max_wait} in ms → {id}
 *     POST /transaction/ID/commit, …/rollback
 */
const http = require("node:http");
const { renderError } = require("./replies");

const HOST = "127.0.0.1";
const KEY = process.env.QUERY_ENGINE_KEY;
const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const KEEP_ALIVE_MS = 60_000; // longer than any client keeps an idle connection

/** Listen at once; requests wait for the engine. `onBroken` hears that the engine can never answer again. */
function serve(port, engine, onBroken) {
  const server = http.createServer(async (request, response) => {
    try {
      const body = await readBody(request);
      if (isOfPage(request)) return send(response, 403, renderError({ message: "Web pages are refused." }));
      if (KEY && request.headers.authorization !== `Bearer ${KEY}`)
        return send(response, 401, renderError({ message: "Expected the key of this engine." }));
      const reply = await answer(await engine, request, body);
      send(response, reply ? 200 : 404, reply ?? renderError({ message: `Unknown path ${request.url}.` }));
    } catch (error) {
      send(response, 200, renderError(error));
      if (error instanceof WebAssembly.RuntimeError) onBroken(error);
    }
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(port, HOST);
  return server;
}

function isOfPage({ headers }) {
  return "origin" in headers || "sec-fetch-site" in headers || !LOCAL.test(headers.host ?? "");
}

async function answer(engine, { method, url, headers }, body) {
  if (url === "/status") return { status: "ok" };
  if (method !== "POST") return undefined;
  if (url === "/") return engine.query(body, headers["x-transaction-id"]);
  if (url === "/transaction/start") return engine.startTransaction(body);
  const [, id, end] = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(url) ?? [];
  if (end === "commit") return engine.commitTransaction(id);
  if (end === "rollback") return engine.rollbackTransaction(id);
  return undefined;
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function send(response, status, reply) {
  const text = JSON.stringify(reply);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

module.exports = { serve };
