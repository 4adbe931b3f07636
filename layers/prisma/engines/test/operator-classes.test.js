"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { withOperatorClasses } = require("../schema/operator-classes");

const hidden = async () => [{ name: "gin_trgm_ops", schema: '"ext s"' }];
const INDEX = 'CREATE INDEX i ON "Todo" USING GIN ("title" ';

for (const [script, expected] of [
  [`${INDEX}gin_trgm_ops);`, `${INDEX}"ext s".gin_trgm_ops);`],
  [`${INDEX}Gin_Trgm_Ops(siglen=8));`, `${INDEX}"ext s".Gin_Trgm_Ops(siglen=8));`],
]) {
  test(`its schema is named: ${script}`, async () => assert.equal(await withOperatorClasses(script, hidden), expected));
}

for (const script of [
  `${INDEX}public.gin_trgm_ops);`,
  `${INDEX}text_ops);`,
  `${INDEX}my_gin_trgm_ops);`,
  "SELECT 'it''s gin_trgm_ops', \"gin_trgm_ops\" -- gin_trgm_ops",
  "/* gin_trgm_ops */ DO $$ gin_trgm_ops $$; DO $a$ $$ gin_trgm_ops $$ $a$",
]) {
  test(`unchanged: ${script}`, async () => assert.equal(await withOperatorClasses(script, hidden), script));
}

test("a script without any is not looked up", async () => {
  const never = () => assert.fail("expected no query");
  assert.equal(await withOperatorClasses("SELECT 1", never), "SELECT 1");
});
