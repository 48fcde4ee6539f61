import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { returnPath } from './return-path.ts';

it('keeps a path of this shop, with its query', () => {
  for (const path of ['/', '/cart', '/cart?a=1&b=%2F', '/cart/lines/bowler-hat'])
    assert.equal(returnPath(path), path);
});

it('drops what is longer than 1,000 characters: first the query, then the path', () => {
  const long = 'x'.repeat(1000);
  assert.equal(returnPath(`/${long.slice(1)}`), `/${long.slice(1)}`);
  assert.equal(returnPath(`/account?utm=${long}`), '/account');
  assert.equal(returnPath(`/${'é'.repeat(400)}?a=1`), '/', 'counted as it is sent');
  assert.equal(returnPath(`/${long}?a=1`), '/');
});

it('returns / instead of another host', () => {
  const elsewhere = [
    ...['//evil.test', '/\\evil.test', '\\\\evil.test', '/\t/evil.test', '/\n/evil.test'],
    ...[
      'https://evil.test',
      'https:evil.test',
      'javascript:alert(1)',
      'evil.test',
      '',
      ' /',
      '/.//evil.test',
    ],
    ...['/..//evil.test', '/%2e//evil.test', ['/cart'], { a: 1 }, undefined, null, 7],
  ];
  for (const next of elsewhere) assert.equal(returnPath(next), '/', JSON.stringify(next));
});

it('never leaves this host, for any input', () => {
  const parts = fc.constantFrom(
    '/',
    '\\',
    '.',
    '..',
    ':',
    '@',
    '\t',
    '\r',
    '%2f',
    'https',
    'e.test',
  );
  fc.assert(
    fc.property(fc.array(parts), (path) => {
      const to = new URL(returnPath(`/${path.join('')}`), 'http://shop.test/login');
      assert.equal(to.origin, 'http://shop.test');
    }),
    { numRuns: 2000 },
  );
});
