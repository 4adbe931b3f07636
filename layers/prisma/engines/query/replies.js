"use strict";
/** What the engine answers, as clients of the GraphQL protocol expect it. */

/** Render the engine's reply to one query. */
function render(reply, { alias, query }, failures) {
  if (reply.errors) return { errors: reply.errors.map((error) => explain(error, failures)) };
  const [result] = Object.values(reply.data);
  const raw = query.action === "queryRaw" || query.action === "executeRaw";
  return { data: { [alias]: raw ? result : untag(result) } };
}

/** Render the replies to a batch; the first failure is the batch's. */
function renderBatch(reply, queries, failures) {
  const failed = reply.errors ? reply : reply.batchResult.find((one) => one.errors);
  if (failed) return render(failed, queries[0], failures);
  return { batchResult: reply.batchResult.map((one, i) => render(one, queries[i], failures)) };
}

/** Render the engine's reply to the start or the end of a transaction. */
function renderTransaction(reply, failures) {
  if (!reply.error_code) return reply;
  const error = { error: reply.meta?.error ?? reply.message, user_facing_error: reply };
  return { errors: [explain(error, failures)] };
}

/** Render an error that never was the engine's; Prisma's code, where it has one. */
function renderError({ message, code = null, meta = {} }) {
  return { errors: [errorBody(code, message, meta)] };
}

const errorBody = (code, message, meta) => ({
  error: message,
  user_facing_error: { is_panic: false, message, meta, error_code: code },
});

/** P2036 only points at an error of the driver's: put that in its place. */
function explain(error, failures) {
  const { error_code: code, meta } = error.user_facing_error ?? {};
  if (code !== "P2036") return error;
  const failure = failures.take(meta.id);
  return errorBody(failure.code, failure.message, failure.meta);
}

/** `{"$type": "DateTime", "value": "…"}` of the JSON protocol is only `"…"` in GraphQL. */
function untag(value) {
  if (Array.isArray(value)) return value.map(untag);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$type === "string") return value.value;
  for (const key of Object.keys(value)) value[key] = untag(value[key]);
  return value;
}

module.exports = { render, renderBatch, renderError, renderTransaction };
