// npm run schema -- postgres: prints the table that the app would create, for a database where it may not.
import { MYSQL_SCHEMA, POSTGRES_SCHEMA, SQLITE_SCHEMA } from '../session/index.ts';

const schemas = new Map([
  ['postgres', POSTGRES_SCHEMA],
  ['mysql', MYSQL_SCHEMA],
  ['sqlite', SQLITE_SCHEMA],
]);
const schema = schemas.get(process.argv[2] ?? '');
if (schema) process.stdout.write(`${schema}\n`);
else {
  process.stderr.write(`Usage: npm run schema -- ${[...schemas.keys()].join('|')}\n`);
  process.exitCode = 1;
}
