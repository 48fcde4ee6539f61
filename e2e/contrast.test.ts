// The colours of the style sheet stand out enough, in light and dark: WCAG 2.2, 1.4.3 and 1.4.11.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { it } from 'node:test';

const css = readFileSync(resolve(import.meta.dirname, '../public/cloakroom.css'), 'utf8');
const PAIR = /--([\w-]+): (?:light-dark\((#\w{6}), (#\w{6})\)|(#\w{6}));/g;
const colours = new Map(
  [...css.matchAll(PAIR)].map(([, name = '', light = '', dark = '', both]) => [
    name,
    both ? [both, both] : [light, dark],
  ]),
);

/** WCAG's relative luminance. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(name: string, other: string, scheme: 0 | 1): number {
  const [one, two] = [name, other].map((each) => luminance(colours.get(each)?.[scheme] ?? ''));
  const [dark = Number.NaN, light = Number.NaN] = [one ?? 0, two ?? 0].toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** The name of the colour that a rule gives to a property. */
function colourOf(selector: string, property: string): string {
  const start = css.indexOf(`\n${selector} {`);
  assert.ok(start >= 0, selector);
  const rule = css.slice(start, css.indexOf('}', start));
  const [, name = ''] = new RegExp(`\\b${property}: [^;]*?var\\(--([\\w-]+)\\)`).exec(rule) ?? [];
  assert.ok(colours.has(name), `${selector} has no ${property} of a known colour`);
  return name;
}

const grounds = ['paper', 'card'];
const schemes = { light: 0, dark: 1 } as const;

for (const [scheme, n] of Object.entries(schemes)) {
  it(`focus rings, borders and marks have a contrast of 3:1 on every background, ${scheme}`, () => {
    for (const [selector, property] of [
      [':focus-visible', 'outline'],
      ['.quiet', 'border-color'],
      ['input:not([type="checkbox"])', 'border'],
      ['.nav > a[aria-current]', 'text-decoration-color'],
      ['.bar .kept', 'fill'],
      ['.bar .lost', 'stroke'],
      ['.drawing .wire', 'stroke'],
      ['.drawing .dots', 'fill'],
      ['progress', 'accent-color'],
    ] as const)
      for (const ground of grounds) {
        const ratio = contrast(colourOf(selector, property), ground, n);
        assert.ok(ratio >= 3, `${selector} on ${ground}: ${ratio.toFixed(2)}:1`);
      }
  });

  it(`text has a contrast of 4.5:1, ${scheme}`, () => {
    const onGrounds = ['ink', 'soft', 'accent', 'numeral', 'good'];
    for (const [text, ground] of [
      ...onGrounds.flatMap((colour) => grounds.map((each) => [colour, each])),
      ['on-oxblood', 'oxblood'],
      ['on-oxblood', 'oxblood-deep'],
      ['on-ticket', 'ticket'],
    ] as [string, string][]) {
      const ratio = contrast(text, ground, n);
      assert.ok(ratio >= 4.5, `${text} on ${ground}: ${ratio.toFixed(2)}:1`);
    }
  });
}
