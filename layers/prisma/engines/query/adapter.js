"use strict";
/** Prisma's Postgres adapter, with errors that carry Prisma's codes, and with the catalogue's own types of text. */
const { PrismaPg } = require("@prisma/adapter-pg");
const { bindAdapter } = require("@prisma/driver-adapter-utils");
const { DatabaseError, connectionError } = require("../database-errors");

const CHAR = 18;
const NAME = 19;
const TEXT = 25;

/** Bind a pool; `failures` keeps what the engine can only point at. */
function bindPool(pool, { address, schema }) {
  const adapter = fit(new PrismaPg(pool, { schema }), address);
  const bound = bindAdapter(adapter);
  const errors = bound.errorRegistry;
  const failures = {
    take(id) {
      const error = errors.consumeError(id)?.error;
      errors.registeredErrors[id] = undefined; // the registry itself forgets nothing
      return error instanceof DatabaseError ? error : new DatabaseError(null, String(error?.message ?? error));
    },
  };
  return { adapter: bound, failures };
}

function fit(queryable, address) {
  const perform = queryable.performIO.bind(queryable);
  queryable.performIO = async (query) => {
    const result = await translated(perform(query), address);
    if (!result.ok) {
      const error = connectionError(result.error, address);
      if (error) throw error;
    }
    for (const field of result.value?.fields ?? []) {
      if (field.dataTypeID === CHAR || field.dataTypeID === NAME) field.dataTypeID = TEXT;
    }
    return result;
  };
  if (queryable.startTransaction) {
    const start = queryable.startTransaction.bind(queryable);
    queryable.startTransaction = async () => (await translated(start(), address)).map((each) => fit(each, address));
  }
  return queryable;
}

async function translated(promise, address) {
  try {
    return await promise;
  } catch (error) {
    throw connectionError(error, address) ?? error;
  }
}

module.exports = { bindPool };
