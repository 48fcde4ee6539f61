/**
 * A failure that is expected: a status, and words that a visitor may read. Throwing it ends a handler,
 * or a change of the session, with nothing stored.
 */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** A field of a form or of a JSON body that breaks a rule. */
export const invalidField = (name: string, rule: string) => new Refusal(422, `${name} ${rule}.`);
