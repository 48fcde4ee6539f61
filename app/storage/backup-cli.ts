// npm run backup -- FILE: copies the SQLite database while the shop runs.
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
  if (!existsSync(path)) throw new Error(`DATABASE_URL names ${path}, which does not exist`);
  if (!existsSync(dirname(target))) throw new Error(`There is no folder ${dirname(target)}`);
  // A shop that runs would go on writing to the file that was replaced.
  for (const part of [path, `${path}-wal`, `${path}-shm`])
    if (isSameFile(part, target))
      throw new Error(`The backup would replace ${part}, which the shop uses. Name another file`);
  process.umask(0o077); // it holds password hashes
  try {
    const unfinished = join(temporaryFolder(`${target}.unfinished-`), 'copy.db');
    await copyAll(path, unfinished);
    removeSessions(unfinished);
    renameSync(unfinished, target);
  } catch (cause) {
    throw new Error(`Cannot copy ${path} to ${target}: ${String(cause)}`, { cause });
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) =>
    statSync(path, { throwIfNoEntry: false, bigint: true }),
  );
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

/** Each run has its own, so that two may run at once. Left behind, it could fill the shop's disk. */
function temporaryFolder(prefix: string): string {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const folder = mkdtempSync(prefix);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

async function copyAll(path: string, copy: string): Promise<void> {
  using source = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  // Without this read, `backup` would fail with "not an error" if another process holds the lock.
  source.exec('begin; select key from records limit 1');
  await backup(source, copy, { rate: ALL_PAGES });
}

/** Without sessions and counts: a restored backup must not bring back an old log-in. */
function removeSessions(copy: string): void {
  using database = new DatabaseSync(copy);
  database.exec(
    'pragma journal_mode = delete; delete from records where expires_at is not null; vacuum',
  );
}
