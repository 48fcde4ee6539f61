/** An expected failure: a status, and a message that a visitor may read. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export const invalidField = (name: string, rule: string) => new Refusal(422, `${name} ${rule}.`);
