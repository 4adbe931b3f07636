import assert from "node:assert/strict";
import { test } from "node:test";
import { appliedMigrations, isUnreachable, failureText } from "./report.mjs";

const URL_WITH_PASSWORD = "postgresql://u:hush@h/d";

test("what was applied", () => {
  const tree = "The following migration(s) have been applied:\n\nmigrations/\n  └─ 1_init/\n    └─ migration.sql\n  └─ 2_note/\n    └─ migration.sql\n";
  assert.deepEqual(appliedMigrations(tree), ["1_init", "2_note"]);
  assert.deepEqual(appliedMigrations("No pending migrations to apply.\n"), []);
});

for (const [error, name] of [
  ["P3018\n\nA migration failed to apply.\n\nMigration name: 2_bad\n\nDatabase error:\nERROR: no", "2_bad"],
  ["P3009\n\nmigrate found failed migrations\nThe `1_bad` migration started at 2026-11-22 failed", "1_bad"],
]) {
  test(`${name} failed`, () => {
    const text = failureText(`1 migration found\nError: ${error}\n`, URL_WITH_PASSWORD);
    assert.match(text, /^P30/);
    assert.ok(text.endsWith(`\`prisma migrate resolve --rolled-back ${name}\`, correct it, and deploy again.`));
  });
}

for (const [text, expected] of [
  ["P1001: Can't reach database server", true],
  ["P1002\n\nThe database server was reached but timed out", true],
  ["P1000: Authentication failed", false],
  ["P10010: no", false],
  ["P3018\n\nDatabase error: Error: P1001", false],
]) {
  test(`${text.slice(0, 6)} ${expected ? "may pass" : "stays"}`, () => assert.equal(isUnreachable(`1 found\nError: ${text}`), expected));
}

test("no password", () => {
  assert.equal(failureText(`Error: at ${URL_WITH_PASSWORD} or v:hush@x`, URL_WITH_PASSWORD), "at DATABASE_URL or v:***@x");
  assert.equal(failureText("Error: at postgresql://u:hu#sh@h/d", "postgresql://u:hu#sh@h/d"), "at DATABASE_URL");
});
