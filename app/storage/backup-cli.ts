// npm run backup -- FILE: copies the SQLite database while the shop runs.
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { readCommandConfig } from '../../config/environment.ts';

/**
 * More pages than any database has, so that the copy takes one step. Between several steps, each change
 * by the shop would make it start again.
 */
const ALL_PAGES = 2 ** 30;

const [file, ...more] = process.argv.slice(2);
try {
  if (file === undefined || more.length > 0) throw new Error('Usage: npm run backup -- FILE');
  await copyTo(file);
  process.stdout.write(`The backup is in ${file}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function copyTo(target: string): Promise<void> {
  const { database } = readCommandConfig();
  if (database.kind !== 'sqlite')
    throw new Error(`DATABASE_URL is not SQLite. Use ${database.kind}'s own backup`);
  const { path } = database;
  const unfinished = `${target}.unfinished`;
  if (!existsSync(path)) throw new Error(`DATABASE_URL names ${path}, which does not exist`);
  if (!existsSync(dirname(target))) throw new Error(`There is no folder ${dirname(target)}`);
  // A shop that runs would go on writing to the file that was replaced.
  for (const part of [path, `${path}-wal`, `${path}-shm`])
    if (isSameFile(part, target) || isSameFile(part, unfinished))
      throw new Error(`The backup would replace ${part}, which the shop uses. Name another file`);
  rmSync(unfinished, { force: true });
  process.umask(0o077); // it holds password hashes
  try {
    const source = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    await backup(source, unfinished, { rate: ALL_PAGES });
    source.close();
  } catch (cause) {
    throw new Error(`Cannot copy ${path} to ${unfinished}: ${String(cause)}`, { cause });
  }
  const copy = new DatabaseSync(unfinished);
  // Without sessions and counts: a restored backup must not bring back an old log-in.
  copy.exec(
    'pragma journal_mode = delete; delete from records where expires_at is not null; vacuum',
  );
  copy.close();
  renameSync(unfinished, target);
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) =>
    statSync(path, { throwIfNoEntry: false, bigint: true }),
  );
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}
