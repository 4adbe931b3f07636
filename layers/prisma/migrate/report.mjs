// What `prisma migrate deploy` prints, read.

/** Return the names of the migrations applied, in order; they are the first level of the tree that it draws. */
export function appliedMigrations(output) {
  return [...output.matchAll(/^ {2}└─ (.+)\/$/gm)].map(([, name]) => name);
}

/** Tell whether the database could not be reached, or was busy with another deployment. */
export function databaseWasAway(output) {
  return /^Error: P100[12]\b/m.test(output);
}

/** Return what failed and why, and the next step where one migration blocks the others. Holds no password. */
export function failureText(output, databaseUrl) {
  const [, error] = /^Error: *([^]*)/m.exec(output) ?? [, output];
  const text = withoutPassword(error.trim().replace(/\n{2,}/g, "\n"), databaseUrl);
  const [, name] = /^Migration name: (.+)$/m.exec(text) ?? /^The `(.+)` migration started/m.exec(text) ?? [];
  if (!name) return text;
  return (
    `${text}\nUndo by hand what ${name} has changed, mark it with ` +
    `\`prisma migrate resolve --rolled-back ${name}\`, mend it, and deploy again.`
  );
}

function withoutPassword(text, databaseUrl) {
  const { password } = URL.canParse(databaseUrl) ? new URL(databaseUrl) : {};
  return password ? text.replaceAll(databaseUrl, "DATABASE_URL").replaceAll(`:${password}@`, ":***@") : text;
}
