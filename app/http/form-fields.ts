import { invalidField } from './refusal.ts';

/** A field that a form sent twice is a list. */
type Body = Readonly<Record<string, unknown>> | undefined;

/** @throws Refusal 422 naming the field unless it is a single text of at most 1,000 characters */
export function textField(body: Body, name: string): string {
  const { [name]: value = '' } = body ?? {};
  if (typeof value !== 'string' || value.length > 1000)
    throw invalidField(name, 'must be a single text of at most 1,000 characters');
  return value;
}

/** Takes 3 and "3". @throws Refusal 422 naming the field for "3.0", " 3", -0, 1e309, null, a list */
export function wholeNumberField(
  body: Body,
  name: string,
  { min, max, ifAbsent }: { min: number; max: number; ifAbsent?: number },
): number {
  const { [name]: value = ifAbsent } = body ?? {};
  const number =
    typeof value === 'string' && /^(0|[1-9]\d{0,8})$/.test(value) ? Number(value) : value;
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
