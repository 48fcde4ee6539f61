import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempDir } from '../test-support/temp-dir.ts';

/**
 * Does the next line of the runbook and checks what it says. `act` gets the numbers in the line, so that
 * none of them is written twice.
 */
type Step = (line: string, act: (numbers: number[]) => Promise<unknown>) => Promise<void>;

export type Context = {
  step: Step;
  /** Each time limit of the page is multiplied by this. */
  slowness: number;
  /** Returns what it is given, and stops it when the drill is over: what came last is stopped first. */
  use: <T extends { stop: () => Promise<unknown> }>(started: T) => T;
};
export type Drill = (context: Context) => Promise<void>;

export const HAT = { json: { sku: 'bowler-hat' } };

export async function tempFolder() {
  const { path, ...folder } = await tempDir('drill');
  return { path, stop: async () => folder[Symbol.asyncDispose]() };
}

/** The list under the heading that names the drill. */
export function linesOf(name: string): string[] {
  const page = readFileSync(new URL('../docs/runbook.md', import.meta.url), 'utf8');
  const section = page.split(/^## /m).find((each) => each.includes(`npm run drill:${name}\``));
  assert.ok(section, `docs/runbook.md has no section with npm run drill:${name}`);
  return [...section.matchAll(/^\d+\. (.+)$/gm)].map(([, line = '']) => line);
}

async function timeLimit(): Promise<never> {
  await sleep(60_000, undefined, { ref: false });
  throw new Error('not within a minute');
}

/** Rejects at the first line that is not true, or if the page and the drill differ. */
export async function runDrill(
  name: string,
  drill: Drill,
  print: (line: string) => void,
  slowness = 1,
): Promise<void> {
  const lines = linesOf(name);
  await using cleanup = new AsyncDisposableStack();
  let count = 0;
  let place = 'Before line 1';
  const step: Step = async (line, act) => {
    assert.equal(line, lines[count], 'docs/runbook.md and the drill say different things');
    count += 1;
    print(`${count}. ${line}`);
    place = `Line ${count} is not true: ${line}`;
    const started = performance.now();
    const numbers = [...line.matchAll(/(?<![\w`])\d+(\.\d+)?/g)].map(([number]) => Number(number));
    // A shop that is stuck may never answer.
    await Promise.race([act(numbers), timeLimit()]);
    print(`   True. It took ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    place = `After line ${count}`;
  };
  const use: Context['use'] = (started) => {
    cleanup.defer(async () => void (await started.stop()));
    return started;
  };
  try {
    await drill({ step, slowness, use });
    assert.equal(count, lines.length, 'docs/runbook.md has more lines than the drill');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${place}\n${reason}`, { cause });
  }
}
