import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { contestants } from './contestants.ts';
import { CHANGES, type Figures, LOG_OUTS, measure } from './measure.ts';
import { nameOf } from './report.ts';

const figuresOf = (name: string): Promise<Figures> => {
  const contestant = contestants.find((one) => one.name === name);
  assert.ok(contestant);
  return measure(contestant);
};
const lossless = { counter: CHANGES, fields: CHANGES, undone: 0 };

describe('the league', { concurrency: true }, () => {
  it('shows that MemoryStore loses changes and undoes log-outs', async () => {
    const { counter, fields, undone } = await figuresOf('MemoryStore');
    assert.ok(counter < CHANGES && fields < CHANGES, `${counter} and ${fields} kept`);
    assert.equal(undone, LOG_OUTS);
  });

  it('shows the same for connect-redis: a write that Redis refused still gets a 200', async () => {
    const { counter, fields, undone, refused } = await figuresOf('connect-redis');
    assert.ok(counter < CHANGES && fields < CHANGES, `${counter} and ${fields} kept`);
    assert.deepEqual({ undone, refused }, { undone: LOG_OUTS, refused: '200' });
  });

  it('shows that the drop-in store keeps every change and every log-out', async () => {
    const { counter, fields, undone } = await figuresOf('dropInStore, Redis');
    assert.deepEqual({ counter, fields, undone }, lossless);
  });

  it('shows the same for updateSession: a write that Redis refused gets a 503', async () => {
    const { left, ...figures } = await figuresOf('updateSession, Redis');
    assert.deepEqual(figures, { ...lossless, refused: '503' });
  });
});

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');

it('the README gives the same range of kept changes as the table', () => {
  const others = [...read('docs/league.md').matchAll(/^\| [\w-]+ [\d(].*?\| (\d+)[^|]*\| (\d+)/gm)];
  const kept = others.flatMap(([, counter, fields]) => [Number(counter), Number(fields)]);
  assert.equal(others.length, 10);
  assert.match(
    read('README.md'),
    new RegExp(`ten other stores keep ${Math.min(...kept)} to ${Math.max(...kept)},`),
  );
});

it('the page of the league lists each store, at the version that is installed', () => {
  const page = read('docs/league.md');
  const names = [...page.matchAll(/^\| ([^|]+) \|/gm)].map(([, name]) => name).slice(2);
  assert.deepEqual(names, contestants.map(nameOf));
});
