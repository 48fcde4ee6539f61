import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MemoryStore } from 'express-session';

type Memory = MemoryStore & { sessions: Record<string, string> };
type Kept = {
  /** Who restarts this process: nobody else's memory is taken for one's own. */
  watcher: number;
  secrets: readonly string[];
  sessions: Memory['sessions'];
  documents: Memory['sessions'];
};

const file = join(import.meta.dirname, '../../node_modules/.cache/cloakroom-dev.json');

/**
 * Memory to keep sessions and documents in, for development.
 * @param keep hands it on to the process that replaces this one when a source file is saved, with
 *   the secrets, so that the developer stays logged in; not beyond `npm run dev`
 */
export function devMemory({ secrets, keep }: { secrets: readonly string[]; keep: boolean }) {
  const kept = keep ? takeOver() : undefined;
  const sessions = new MemoryStore() as Memory;
  const documents = new MemoryStore() as Memory;
  Object.assign(sessions.sessions, kept?.sessions);
  Object.assign(documents.sessions, kept?.documents);
  const memory = { secrets: kept?.secrets ?? secrets, sessions, documents };
  const texts = { sessions: sessions.sessions, documents: documents.sessions };
  if (keep) process.on('exit', () => handOn({ ...memory, ...texts, watcher: process.ppid }));
  return memory;
}

function takeOver(): Kept | undefined {
  try {
    const kept: Kept = JSON.parse(readFileSync(file, 'utf8'));
    rmSync(file);
    return kept.watcher === process.ppid ? kept : undefined;
  } catch {
    return undefined; // the first start
  }
}

function handOn(kept: Kept): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(kept), { mode: 0o600 });
}
