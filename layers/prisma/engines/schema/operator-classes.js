"use strict";
/**
 * Operator classes of extensions in a schema that is not on the search path, as with `?schema=`: Prisma names them
 * without a schema. The whole schema cannot join the path, since tables of other applications may be in it.
 */

const HIDDEN = `
  SELECT opcname AS name, quote_ident(nspname) AS schema
  FROM pg_opclass
  JOIN pg_namespace ON pg_namespace.oid = opcnamespace
  JOIN pg_depend ON classid = 'pg_opclass'::regclass AND objid = pg_opclass.oid AND deptype = 'e'
  WHERE NOT pg_opclass_is_visible(pg_opclass.oid)`;
const NAME = /[a-z_]\w*_ops\b/i;
/** What is not SQL of its own, and names: only these have the group `name`. */
const PARTS =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--.*|\/\*[^]*?\*\/|\$(\w*)\$[^]*?\$\1\$|(?<![\w$.])(?<name>[a-z_]\w*_ops)(?![\w$])/gi;

/** Return a script in which these have their schema. `query`: SQL → rows. */
async function withOperatorClasses(script, query) {
  if (!NAME.test(script)) return script;
  const schemas = new Map((await query(HIDDEN)).map(({ name, schema }) => [name, schema]));
  return script.replace(PARTS, (part, ...rest) => {
    const schema = schemas.get(rest.at(-1).name?.toLowerCase());
    return schema ? `${schema}.${part}` : part;
  });
}

module.exports = { withOperatorClasses };
