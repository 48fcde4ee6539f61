import { invalidField } from './refusal.ts';

/** A field that a form sent twice is a list. */
type Body = Readonly<Record<string, unknown>> | undefined;

/** @throws Refusal 422 naming the field unless it is a single string of at most 1,000 characters */
export function textField(body: Body, name: string): string {
  const { [name]: value = '' } = body ?? {};
  if (typeof value !== 'string' || value.length > 1000)
    throw invalidField(name, 'must be a single string of at most 1,000 characters');
  return value;
}

/**
 * A number as `<input type=number>` sends it, of at most 15 characters: with more, a fraction could be
 * rounded to a whole number.
 */
const NUMBER = /^(?=.{1,15}$)-?(\d+|\d*\.\d+)(e[-+]?\d+)?$/i;

/**
 * Takes 3, "3", "03", "3.0", "30e-1" and "-0".
 * @throws Refusal 422 naming the field for " 3", null, a list and the number -0
 */
export function wholeNumberField(
  body: Body,
  name: string,
  { min, max, ifAbsent }: { min: number; max: number; ifAbsent?: number },
): number {
  const { [name]: value = ifAbsent } = body ?? {};
  // A person may write -0, which is 0.
  const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) + 0 : value;
  const whole = typeof number === 'number' && Number.isInteger(number) && !Object.is(number, -0);
  if (!whole || number < min || number > max)
    throw invalidField(name, `must be a whole number from ${min} to ${max}`);
  return number;
}

export function checkboxField(body: Body, name: string): boolean {
  const { [name]: value = false } = body ?? {};
  if (typeof value !== 'boolean' && value !== 'on')
    throw invalidField(name, 'must be true or false');
  return value !== false;
}
