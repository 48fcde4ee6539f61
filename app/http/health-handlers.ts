import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import { answersWithin } from '../session/index.ts';

/** The store answers, but stores nothing. */
export class TakesNoChanges extends Error {
  override name = 'TakesNoChanges';
}

export type Checks = Record<string, () => Promise<unknown>>;

/**
 * `livez`: this process responds, even if all else is down. `readyz`: its stores answer, too, and
 * accept writes.
 * The cause is logged here, once: a load balancer that gets 503 sends no request that would log it.
 * @param checks by the name of what they check
 */
export function healthHandlers({ checks, log }: { checks: Checks; log: Logger }) {
  const asked = Object.entries(checks).map(([name, check]) => {
    const ask = answersWithin(800, (err) => {
      if (err === undefined) log.info({ store: name }, 'Ready again');
      else log.error({ store: name, err }, 'Not ready');
    });
    return () =>
      ask(check()).then(
        () => [],
        ({ cause }: Error) => [{ name, isFull: cause instanceof TakesNoChanges }],
      );
  });
  const livez: RequestHandler = (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  };
  const readyz: RequestHandler = async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    const failed = (await Promise.all(asked.map((ask) => ask()))).flat();
    if (failed.length === 0) return res.json({ status: 'ok' });
    const sentences = [false, true].flatMap((full) => {
      const names = failed.filter(({ isFull }) => isFull === full).map(({ name }) => name);
      const verb = `${names.length > 1 ? 'do' : 'does'} not ${full ? 'accept writes' : 'answer'}`;
      return names.length > 0 ? [`The ${names.join(' and the ')} ${verb}.`] : [];
    });
    return res
      .status(503)
      .set('Retry-After', '2')
      .json({ errorMessage: sentences.join(' ') });
  };
  return { livez, readyz };
}
