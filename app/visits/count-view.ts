import type { Request } from 'express';
import { cookieReachesBrowser, updateSession } from '../session/update-session.ts';

/**
 * Counts one view of the shop and takes the message that was left for it, in one write.
 * @returns the message, if there was one
 */
export async function countView(req: Request): Promise<string | undefined> {
  // HEAD is no look at the shop. And what cannot be found again is not counted: the page says why.
  if (req.method === 'HEAD' || !cookieReachesBrowser(req)) return undefined;
  return updateSession(req, (draft) => {
    const { flash } = draft;
    draft.views += 1;
    delete draft.flash;
    return flash;
  });
}
