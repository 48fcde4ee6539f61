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
        (error: Error) => [{ name, isSilent: !(error.cause instanceof TakesNoChanges) }],
      );
  });
  const livez: RequestHandler = (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  };
  const readyz: RequestHandler = async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    const failed = (await Promise.all(asked.map((ask) => ask()))).flat();
    if (failed.length === 0) return res.json({ status: 'ok' });
    const silent = failed.filter(({ isSilent }) => isSilent);
    const full = failed.filter(({ isSilent }) => !isSilent);
    const errorMessage = [
      ...sentence(silent, 'does not answer', 'do not answer'),
      ...sentence(full, 'does not accept writes', 'do not accept writes'),
    ].join(' ');
    return res.status(503).set('Retry-After', '2').json({ errorMessage });
  };
  return { livez, readyz };
}

const sentence = (parts: { name: string }[], one: string, several: string) =>
  parts.length === 0
    ? []
    : [
        `The ${parts.map(({ name }) => name).join(' and the ')} ${parts.length > 1 ? several : one}.`,
      ];
