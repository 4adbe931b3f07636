// A Chromium for tests: the pinned one of the npm package where it runs (Linux on x64), else the machine's own.

import { accessSync, constants, existsSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const LOCAL = new URL("../../../.local", import.meta.url).pathname;
const PINNED = "@sparticuz/chromium";
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ARGUMENTS = "--no-sandbox --no-zygote --disable-gpu --disable-quic --disable-background-networking".split(" ");

/** Start a browser that finds no host but these, and `rebound` as this machine; null where there is none to start. */
export async function launch(hosts, rebound) {
  const executablePath = (await pinned()) ?? installed();
  const excluded = [hosts].flat().map((host) => `EXCLUDE ${host}`);
  const mapped = rebound ? [`MAP ${rebound} 127.0.0.1`] : [];
  const rules = `--host-resolver-rules=${[...mapped, "MAP * ~NOTFOUND", ...excluded].join(", ")}`;
  return executablePath ? chromium.launch({ executablePath, args: [...ARGUMENTS, rules] }) : null;
}

/** Note the requests of a page, what it prints, and what its policy stops, in the lists of `seen`. */
export async function watch(page, seen) {
  page.setDefaultTimeout(10_000);
  page.on("request", (request) => seen.requests.push([request.method(), request.url()]));
  page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.console.push(`uncaught: ${error}`));
  await page.exposeFunction("violated", (what) => seen.violations.push(what));
  await page.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violated(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`),
    ),
  );
}

/** Unpack the package once, into .local: 210 MB, 2 s. Killed meanwhile, it starts over. */
async function pinned() {
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  const { version } = createRequire(import.meta.url)(`../../../node_modules/${PINNED}/package.json`);
  const folder = join(LOCAL, `chromium-${version}`);
  if (!existsSync(folder)) await unpack(folder);
  // What a bare Debian lacks: libnss3, and a font, without which no text at all is drawn.
  process.env.LD_LIBRARY_PATH = join(folder, "al2023", "lib");
  process.env.FONTCONFIG_FILE = join(folder, "own-fonts.conf");
  return join(folder, "chromium");
}

async function unpack(folder) {
  const unpacked = mkdtempSync(`${folder}-`);
  const { AWS_EXECUTION_ENV, TMPDIR } = process.env;
  Object.assign(process.env, { AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x", TMPDIR: unpacked });
  const { default: packaged } = await import(PINNED);
  await packaged.executablePath();
  Object.assign(process.env, { AWS_EXECUTION_ENV: AWS_EXECUTION_ENV ?? "", TMPDIR: TMPDIR ?? "/tmp" });
  writeFileSync(join(unpacked, "own-fonts.conf"), `<fontconfig><dir>${folder}/fonts</dir></fontconfig>`);
  renameSync(unpacked, folder);
}

function installed() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
