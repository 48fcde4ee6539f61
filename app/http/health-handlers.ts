import type { RequestHandler } from 'express';
import { answersWithin } from '../session/index.ts';

/** `livez`: this process answers, even if all else is down. `readyz`: so does its store. */
export function healthHandlers({ checkStore }: { checkStore: () => Promise<unknown> }) {
  const ask = answersWithin(800);
  const livez: RequestHandler = (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  };
  const readyz: RequestHandler = async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    try {
      await ask(checkStore());
      res.json({ status: 'ok' });
    } catch {
      res.status(503).set('Retry-After', '2');
      res.json({ errorMessage: 'The session store does not answer.' });
    }
  };
  return { livez, readyz };
}
