// Reads the output of `prisma migrate deploy`.

/** Return the names of the applied migrations, in order: the first level of the tree in the output. */
export function appliedMigrations(output) {
  return [...output.matchAll(/^ {2}└─ (.+)\/$/gm)].map(([, name]) => name);
}

/** Return whether the database could not be reached, or was busy with another deployment. */
export function isUnreachable(output) {
  return /^Error: P100[12]\b/m.test(output);
}

/** Return the failure without its password, and the next step where one migration blocks the others. */
export function failureText(output, databaseUrl) {
  const [, error] = /^Error: *([^]*)/m.exec(output) ?? [, output];
  const text = withoutPassword(error.trim().replace(/\n{2,}/g, "\n"), databaseUrl);
  const [, name] = /^Migration name: (.+)$/m.exec(text) ?? /^The `(.+)` migration started/m.exec(text) ?? [];
  if (!name) return text;
  return (
    `${text}\nUndo by hand what ${name} has changed, mark it with ` +
    `\`prisma migrate resolve --rolled-back ${name}\`, correct it, and deploy again.`
  );
}

function withoutPassword(text, databaseUrl) {
  const { password } = URL.canParse(databaseUrl) ? new URL(databaseUrl) : {};
  const shown = text.replaceAll(databaseUrl, "DATABASE_URL");
  return password ? shown.replaceAll(`:${password}@`, ":***@") : shown;
}
