import type { RequestHandler } from 'express';
import { answersWithin } from '../session/index.ts';

export type Checks = Record<string, () => Promise<unknown>>;

/**
 * `livez`: this process answers, even if all else is down. `readyz`: so do its stores.
 * @param checks by the name of what they check
 */
export function healthHandlers({ checks }: { checks: Checks }) {
  const asked = Object.entries(checks).map(([name, check]) => {
    const ask = answersWithin(800);
    return () =>
      ask(check()).then(
        () => [],
        () => [name],
      );
  });
  const livez: RequestHandler = (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  };
  const readyz: RequestHandler = async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    const silent = (await Promise.all(asked.map((ask) => ask()))).flat();
    if (silent.length === 0) return res.json({ status: 'ok' });
    const verb = silent.length > 1 ? 'do' : 'does';
    res.status(503).set('Retry-After', '2');
    return res.json({ errorMessage: `The ${silent.join(' and the ')} ${verb} not answer.` });
  };
  return { livez, readyz };
}
