import type { Request } from 'express';
import {
  canUpdateSession,
  isNew,
  type SessionDraft,
  SessionGone,
  TooManyConflicts,
  updateSession,
} from '../session/index.ts';
import { wantsJson } from './wants-json.ts';

// A flash is a sentence that a form leaves for the page it redirects to. Programs neither leave nor
// take one: they read the outcome in the answer.

export function leaveFlash(req: Request, draft: SessionDraft, sentence: string): void {
  if (wantsJson(req)) return;
  // A new session may begin with a sentence, that the old one is gone, which nobody has read yet.
  const unread = isNew(req.session) && draft.flash ? `${draft.flash} ` : '';
  draft.flash = unread + sentence;
}

/** Leaves a sentence after what was done to an account, which no failure here undoes. */
export async function tell(req: Request, sentence: string): Promise<void> {
  if (wantsJson(req)) return;
  await updateSession(req, (draft) => leaveFlash(req, draft, sentence)).catch((error: unknown) => {
    // Logged out meanwhile, or too busy to listen.
    if (!(error instanceof SessionGone || error instanceof TooManyConflicts)) throw error;
  });
}

/** Takes it for a page that changes nothing else: a write, so it is done only if there is one. */
export async function takenFlash(req: Request): Promise<string | undefined> {
  if (!req.session?.flash || req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => takeFlash(req, draft));
}

/** @returns the sentence, once */
export function takeFlash(req: Request, draft: SessionDraft): string | undefined {
  if (wantsJson(req)) return undefined;
  const { flash } = draft;
  delete draft.flash;
  return flash;
}
