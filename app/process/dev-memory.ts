import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

type Saved = {
  /** The process that restarts this one, so that another shop does not read this memory. */
  watcher: number;
  secrets: readonly string[];
  sessions: [key: string, text: string][];
};

const file = join(import.meta.dirname, '../../node_modules/.cache/cloakroom-dev.json');

/** @param survivesRestart so that a developer who saves a file stays logged in */
export function devMemory(secrets: readonly string[], survivesRestart: boolean) {
  const saved = survivesRestart ? takeOver() : undefined;
  const memory = { secrets: saved?.secrets ?? secrets, sessions: new Map(saved?.sessions) };
  const handOver = () => {
    const saving: Saved = { ...memory, watcher: process.ppid, sessions: [...memory.sessions] };
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(saving), { mode: 0o600 });
  };
  if (survivesRestart) process.on('exit', handOver);
  return memory;
}

function takeOver(): Saved | undefined {
  try {
    const saved: Saved = JSON.parse(readFileSync(file, 'utf8'));
    rmSync(file);
    return saved.watcher === process.ppid ? saved : undefined;
  } catch {
    return undefined; // the first start
  }
}
