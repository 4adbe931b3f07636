"use strict";
/** JSON-RPC, a line a message, one request after the other. */
const readline = require("node:readline");

const FAILED = 4466;

/** Answer requests until the input ends. */
async function serve(methods, input, output) {
  const write = (message) => output.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  for await (const line of readline.createInterface({ input })) {
    const { id, method, params } = JSON.parse(line);
    if (!method) continue; // the client's acknowledgement of `print`
    try {
      if (!methods[method]) throw new Error(`The WASM schema engine has no method ${method}.`);
      const { print, ...result } = asObject(await methods[method](params ?? {}));
      if (print) write({ id, method: "print", params: { content: print } });
      write({ id, result: "text" in result ? result.text : result });
    } catch (error) {
      write({ id, error: failure(error) });
    }
  }
}

const asObject = (result) => (typeof result === "string" ? { text: result } : result);

function failure({ code = null, message, meta = null }) {
  const data = { is_panic: false, message, meta, error_code: code };
  return { code: FAILED, message: "An error happened. Check the data field for details.", data };
}

module.exports = { serve };
