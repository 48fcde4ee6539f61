import type { Request } from 'express';
import { addressOf } from '../http/rate-limits.ts';
import { Refusal } from '../http/refusal.ts';
import type { Client } from './fair-queue.ts';

/** The client of this request, in the queue for passwords. */
export const clientOf = (req: Request, email: string): Client => ({
  address: addressOf(req),
  account: email.trim().toLowerCase(),
  requirePresence: () => requireClient(req),
});

/**
 * @throws Refusal, which nobody reads, if the client has disconnected, perhaps to send its form again.
 *   The log shows it as 499, as nginx does.
 */
export function requireClient(req: Request): void {
  if (req.res?.closed) throw new Refusal(499, 'The client disconnected before the response.');
}
