// What both Node clients of the fault matrix do alike; cases.py says what comes in and what goes out.
import { readFileSync } from "node:fs";

const AT_ONCE = 16;
const TIMEOUT_MS = 25_000;
export const MESSAGES = [{ role: "user", content: "What is the capital of France?" }];
export const NEXT = { role: "user", content: "And of Italy?" };
export const FUNCTIONS = [
  ["get_weather", "weather", "city"],
  ["get_time", "time", "zone"],
].map(([name, what, member]) => ({
  name,
  description: `Get the ${what}`,
  parameters: { type: "object", properties: { [member]: { type: "string" } } },
}));

const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

/** Run the cases of stdin; `describe` turns what was thrown into status, code, and whether it is the client's own. */
export async function main(version, client, describe) {
  const { url, key, cases } = JSON.parse(readFileSync(0, "utf8"));
  print({ version });
  const run = client(url, key);
  const waiting = [...cases.entries()];
  const work = async () => {
    for (let next; (next = waiting.shift()); ) {
      const [place, job] = next;
      print({ case: place, outcome: await outcome(() => within(run(job)), describe) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  process.exit(0);
}

async function outcome(run, describe) {
  try {
    return await run();
  } catch (error) {
    const message = String(error?.message ?? error).slice(0, 500);
    return { raised: error?.name ?? typeof error, status: null, code: null, message, ...describe(error) };
  }
}

function within(promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end within ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();
  });
  return Promise.race([promise, late]);
}
