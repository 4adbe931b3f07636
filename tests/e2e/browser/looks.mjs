// How a page looks, in both colour schemes: what axe-core finds, and pictures.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Return what adds to `seen.axe`, and what takes pictures where there is a folder for them. */
export function looksOf(seen, pictures) {
  /** List what axe-core finds. */
  async function check(page, name) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
      const shown = ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 100))}`;
      seen.axe[`${name}, ${colorScheme}`] = violations.map(shown);
    }
    await page.emulateMedia({ colorScheme: "light" });
  }

  async function picture(page, name, options = {}) {
    if (!pictures) return;
    await page.mouse.move(0, 0);
    for (const colorScheme of ["dark", "light"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${pictures}/${name}-${colorScheme}.png`, ...options });
    }
  }

  return { check, picture };
}
