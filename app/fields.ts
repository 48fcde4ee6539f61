import { invalidField } from './errors.ts';

/**
 * A field of a parsed body, exactly as it was sent.
 * @returns `ifAbsent` when it was not sent; a list for a field sent twice
 */
function field(body: unknown, name: string, ifAbsent: unknown): unknown {
  const fields = Object(body) as Record<string, unknown>;
  return Object.hasOwn(fields, name) ? fields[name] : ifAbsent;
}

/** @throws Refusal 422 naming the field when it is anything but one text of at most 1,000 characters */
export function textField(body: unknown, name: string): string {
  const value = field(body, name, '');
  if (typeof value !== 'string' || value.length > 1000)
    throw invalidField(name, 'must be one text of at most 1,000 characters');
  return value;
}

/**
 * A whole number, as JSON sends it (3) or as a form does ("3").
 * @throws Refusal 422 naming the field for anything else: "3.0", " 3", -0, 1e309, null, a list
 */
export function wholeNumberField(
  body: unknown,
  name: string,
  { min, max, ifAbsent }: { min: number; max: number; ifAbsent?: number },
): number {
  const value = field(body, name, ifAbsent);
  const number =
    typeof value === 'string' && /^(0|[1-9]\d{0,8})$/.test(value) ? Number(value) : value;
  const whole = typeof number === 'number' && Number.isInteger(number) && !Object.is(number, -0);
  if (!whole || number < min || number > max)
    throw invalidField(name, `must be a whole number from ${min} to ${max}`);
  return number;
}

/** A box that may be ticked, as a form sends it ("on", or nothing) or as JSON does. */
export function checkboxField(body: unknown, name: string): boolean {
  const value = field(body, name, false);
  if (typeof value === 'boolean') return value;
  if (value !== 'on') throw invalidField(name, 'must be true or false');
  return true;
}
