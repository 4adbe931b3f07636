"use strict";
/** The driver `pg`; its errors are marked `connecting` where it failed to connect. */

// pg checks whether it runs on Cloudflare; Node.js before 21 has no navigator, and pg would load all of fetch for the check
globalThis.navigator ??= { userAgent: "Node.js" };

const { Client, Pool } = require("pg");

/** Make the class of connections with these settings. */
function clientClass(settings) {
  return class extends Client {
    constructor() {
      super(settings); // a pool hands on its own timeout
    }

    connect(callback) {
      return super.connect((error) => callback(error && Object.assign(error, { connecting: true })));
    }
  };
}

/** Open a pool whose connections may break: the next query opens another. */
function openPool(settings, options) {
  const pool = new Pool({ ...options, Client: clientClass(settings) });
  pool.on("error", ignore);
  pool.on("connect", (connection) => connection.on("error", ignore)); // one may break between two queries of a transaction
  return pool;
}

const ignore = () => {};

/** Add parameters of the session to settings; those without a value are left out. */
function withSession(settings, parameters) {
  const escape = (text) => text.replace(/[\\\s]/g, "\\$&");
  const set = Object.entries(parameters).flatMap(([name, value]) => (value ? [`-c ${name}=${escape(value)}`] : []));
  return { ...settings, options: [settings.options, ...set].filter(Boolean).join(" ") };
}

/** Quote an identifier for SQL. */
const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

module.exports = { openPool, quoted, withSession };
